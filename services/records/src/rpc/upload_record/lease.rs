//! The lease of an upload: it keeps other streams away for as long as this one lives.

use diesel::PgConnection;
use shared::db::Scope;
use shared::deadline::Deadline;
use shared::ids::TenantId;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Stop, lost};
use crate::domain::upload::{Lease, UploadId};
use crate::error::Error;
use crate::rpc::Rpc;
use crate::store::uploads;

/// A lease that is held, or is being asked for. One that is dropped, because the caller has gone,
/// is given back.
pub(super) struct Held {
    rpc: Rpc,
    tenant: TenantId,
    upload: UploadId,
    id: Uuid,
    has_lease: bool,
}

impl Held {
    pub(super) fn new(rpc: &Rpc, tenant: TenantId, upload: UploadId, id: Uuid) -> Self {
        Self { rpc: rpc.clone(), tenant, upload, id, has_lease: true }
    }

    /// Renews the lease, until it is lost.
    pub(super) async fn keep(&self) -> Stop {
        let lasts = self.rpc.streams.lease;
        let mut until = Instant::now() + lasts;
        loop {
            tokio::time::sleep(lasts / 3).await;
            let renewed = Instant::now();
            match self.renew().await {
                Ok(true) => until = renewed + lasts,
                Ok(false) => return lost().into(),
                // Until it has passed nobody else can have it.
                Err(error) if Instant::now() < until => {
                    tracing::warn!(%error, upload = %self.upload, "a lease was not renewed");
                }
                Err(error) => return error.into(),
            }
        }
    }

    async fn renew(&self) -> Result<bool, Error> {
        let (tenant, upload) = (self.tenant, self.upload);
        let until = self.rpc.clock.now().plus(self.rpc.streams.lease);
        let lease = Lease { id: self.id, until };
        let renew = move |conn: &mut PgConnection| {
            Ok::<_, Error>(uploads::renew(conn, tenant, upload, lease)?)
        };
        self.rpc.db.write("renew_upload", self.scope(), renew).await
    }

    fn scope(&self) -> Scope {
        Scope::tenant(self.tenant, Deadline::after(self.rpc.streams.lease))
    }

    /// There is nothing to give back.
    pub(super) fn done(mut self) {
        self.has_lease = false;
    }

    /// Gives the lease back, so that the next stream need not wait for its end.
    pub(super) async fn release(mut self) {
        release(&self.rpc, self.scope(), self.tenant, self.upload, self.id).await;
        self.has_lease = false;
    }

    /// Removes the upload.
    pub(super) async fn abandon(mut self) {
        let (tenant, upload, lease) = (self.tenant, self.upload, self.id);
        let now = self.rpc.clock.now();
        let abandon = move |conn: &mut PgConnection| {
            Ok::<_, Error>(uploads::abandon(conn, tenant, upload, lease, now)?)
        };
        if let Err(error) = self.rpc.db.write("abandon_upload", self.scope(), abandon).await {
            // It is removed when it expires.
            tracing::warn!(%error, %upload, "an upload was not removed");
            return;
        }
        self.has_lease = false;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.has_lease && !self.rpc.shutdown.is_cancelled() {
            let (rpc, scope, tenant) = (self.rpc.clone(), self.scope(), self.tenant);
            let (upload, id) = (self.upload, self.id);
            // It ends with the deadline of its scope.
            tokio::spawn(async move { release(&rpc, scope, tenant, upload, id).await });
        }
    }
}

async fn release(rpc: &Rpc, scope: Scope, tenant: TenantId, upload: UploadId, lease: Uuid) {
    let release = move |conn: &mut PgConnection| {
        Ok::<_, Error>(uploads::release(conn, tenant, upload, lease)?)
    };
    if let Err(error) = rpc.db.write("release_upload", scope, release).await {
        // It passes by itself.
        tracing::warn!(%error, %upload, "a lease was not given back");
    }
}
