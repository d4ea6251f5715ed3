//! Keys from the store, opened; contents, sealed for the store and opened from it.

mod content;
mod index;
mod reseal;
pub(crate) mod segments;

use std::sync::Arc;

use shared::clock::Clock;
use shared::db::{Db, Scope};
use shared::ids::TenantId;
use tokio::sync::Mutex;

use crate::error::Error;
use crate::seal::{KeyError, Keyring, SealBroken, SubjectKey, TenantKey, Wrapped};
use crate::store::keys::{self, KeyChain, TenantKeyRow};

pub(crate) use content::{Loose, OpenKeys, Wraps, open, seal, subject_key, verify};
pub(crate) use reseal::reseal;

/// The epoch of a tenant's first key.
const FIRST_EPOCH: i32 = 1;

/// Opens the keys of tenants and subjects.
#[derive(Clone)]
pub(crate) struct Vault {
    db: Db,
    clock: Clock,
    ring: Arc<Keyring>,
    /// Held while a tenant's first key is made, so that callers at once ask the provider once.
    making: Arc<Mutex<()>>,
    index: Arc<index::Cache>,
}

impl Vault {
    /// A vault over a database and a key ring.
    pub(crate) fn new(db: Db, clock: Clock, ring: Keyring) -> Self {
        Self { db, clock, ring: Arc::new(ring), making: Arc::default(), index: Arc::default() }
    }

    /// What opens tenants' keys.
    pub(crate) fn ring(&self) -> &Keyring {
        &self.ring
    }

    /// The key under which a tenant's new subjects are put. The first call makes it.
    pub(crate) async fn tenant_key(
        &self,
        tenant: TenantId,
        scope: Scope,
    ) -> Result<Arc<TenantKey>, Error> {
        let row = match self.current(tenant, scope).await? {
            Some(row) => row,
            None => self.make(tenant, scope).await?,
        };
        self.open_tenant_key(&row).await
    }

    /// The tenant's key of an epoch. A destroyed one does not open.
    pub(crate) async fn open_tenant_key(
        &self,
        row: &TenantKeyRow,
    ) -> Result<Arc<TenantKey>, Error> {
        let wrapped = row.wrapped.as_ref().ok_or(SealBroken)?;
        self.open(row.tenant_id, row.epoch, wrapped).await
    }

    /// A subject's key.
    pub(crate) async fn subject_key(&self, chain: &KeyChain) -> Result<SubjectKey, Error> {
        let wrapped = chain.tenant_key.as_ref().ok_or(SealBroken)?;
        let above = self.open(chain.tenant_id, chain.epoch, wrapped).await?;
        Ok(content::subject_key(&above, chain)?)
    }

    /// A new key of a tenant for an epoch, wrapped and as it is to be stored.
    pub(crate) async fn new_tenant_key(
        &self,
        tenant: TenantId,
        epoch: i32,
    ) -> Result<TenantKeyRow, Error> {
        // Nothing new comes under a key-encryption key that has been replaced elsewhere.
        self.ring.refresh().await?;
        let (_, wrapped) = self.ring.new_tenant_key(tenant.uuid(), epoch).await?;
        Ok(TenantKeyRow {
            tenant_id: tenant,
            epoch,
            keks: vec![wrapped.key_id().to_string()],
            wrapped: Some(wrapped.to_bytes()),
            create_time: self.clock.now(),
            retire_time: None,
            destroy_time: None,
        })
    }

    async fn open(
        &self,
        tenant: TenantId,
        epoch: i32,
        wrapped: &[u8],
    ) -> Result<Arc<TenantKey>, Error> {
        let tenant = tenant.uuid();
        if let Some(key) = self.ring.cached(tenant, epoch, wrapped) {
            return Ok(key);
        }
        self.learn(wrapped).await?;
        Ok(self.ring.tenant_key(tenant, epoch, wrapped).await?)
    }

    /// A key-encryption key that is not known here may be new, because another replica has rotated:
    /// then the provider is asked again.
    async fn learn(&self, wrapped: &[u8]) -> Result<(), KeyError> {
        let wrapped = Wrapped::from_bytes(wrapped)?;
        if !self.ring.provider().versions().contains(wrapped.key_id()) {
            self.ring.refresh().await?;
        }
        Ok(())
    }

    async fn current(&self, tenant: TenantId, scope: Scope) -> Result<Option<TenantKeyRow>, Error> {
        let read = move |conn: &mut _| Ok(keys::current_tenant_key(conn, tenant)?);
        self.db.read("get_tenant_key", scope, read).await
    }

    async fn make(&self, tenant: TenantId, scope: Scope) -> Result<TenantKeyRow, Error> {
        let _making = self.making.lock().await;
        if let Some(row) = self.current(tenant, scope).await? {
            return Ok(row);
        }
        let row = self.new_tenant_key(tenant, FIRST_EPOCH).await?;
        // Another replica may have been faster: then its key is the one.
        let insert = move |conn: &mut _| {
            keys::insert_tenant_key(conn, &row)?;
            Ok::<_, Error>(keys::current_tenant_key(conn, tenant)?)
        };
        let row = self.db.write("create_tenant_key", scope, insert).await?;
        row.ok_or_else(|| SealBroken.into())
    }
}
