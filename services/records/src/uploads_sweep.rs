//! What uploads leave behind: those with which nobody goes on, and objects that nothing needs.
//!
//! Objects are deleted first and their rows after that, so that a crash between the two deletes
//! again and forgets nothing.

use std::sync::Arc;
use std::time::Duration;

use diesel::PgConnection;
use shared::db::Scope;
use shared::deadline::Deadline;
use shared::problem::Problem;
use shared::tenants::TenantInfo;
use uuid::Uuid;

use crate::error::Error;
use crate::objects::ObjectError;
use crate::rpc::Rpc;
use crate::store::{object_deletes, uploads};

/// Uploads, and paths of objects, of one step.
const BATCH: i64 = 100;
/// How long a look may take, or a write.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Does a bounded part of what there is to do for a tenant. True where there is more.
pub(crate) async fn step(rpc: &Rpc, tenant: &Arc<TenantInfo>) -> Result<bool, Problem> {
    let expired = expire(rpc, tenant).await?;
    Ok(delete(rpc, tenant).await? || expired)
}

async fn expire(rpc: &Rpc, tenant: &TenantInfo) -> Result<bool, Problem> {
    let (tenant, now) = (tenant.id, rpc.clock.now());
    let remove = move |conn: &mut PgConnection| {
        Ok::<_, Error>(uploads::remove_expired(conn, tenant, now, BATCH)?)
    };
    let scope = Scope::tenant(tenant, Deadline::after(TIMEOUT));
    let removed = rpc.db.write("remove_uploads", scope, remove).await?;
    Ok(removed >= usize::try_from(BATCH).unwrap_or(usize::MAX))
}

async fn delete(rpc: &Rpc, tenant: &TenantInfo) -> Result<bool, Problem> {
    let (tenant, now) = (tenant.id, rpc.clock.now());
    let scope = || Scope::tenant(tenant, Deadline::after(TIMEOUT));
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(object_deletes::select_first(conn, tenant, now, BATCH)?)
    };
    let needless = rpc.db.read("find_object_deletes", scope(), read).await?;
    let more = needless.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX);
    let mut gone: Vec<Uuid> = Vec::new();
    let mut failed = None;
    for (id, path) in needless {
        match rpc.objects.delete_all(&path).await {
            // A path that names no bodies has been told to whoever runs the service.
            Ok(()) | Err(ObjectError::Missing) => gone.push(id),
            Err(error) => {
                failed = Some(Error::from(error));
                break;
            }
        }
    }
    if !gone.is_empty() {
        let forget = move |conn: &mut PgConnection| {
            Ok::<_, Error>(object_deletes::delete(conn, tenant, &gone)?)
        };
        rpc.db.write("forget_object_deletes", scope(), forget).await?;
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(more),
    }
}
