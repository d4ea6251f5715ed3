//! Keys from the store, opened; contents, sealed for the store and opened from it.

use std::sync::Arc;

use shared::clock::Clock;
use shared::db::{Db, Scope};
use shared::ids::TenantId;
use tokio::sync::Mutex;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::domain::record::Record;
use crate::error::Error;
use crate::seal::{Keyring, SealBroken, SubjectKey, TenantKey, Wrapped, commitment};
use crate::store::keys::{self, KeyChain, TenantKeyRow};
use crate::store::records::Sealed;

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
}

impl Vault {
    /// A vault over a database and a key ring.
    pub(crate) fn new(db: Db, clock: Clock, ring: Keyring) -> Self {
        Self { db, clock, ring: Arc::new(ring), making: Arc::default() }
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
        Ok(self.ring.tenant_key(tenant.uuid(), row.epoch, &row.wrapped).await?)
    }

    /// A subject's key.
    pub(crate) async fn subject_key(&self, chain: &KeyChain) -> Result<SubjectKey, Error> {
        let (above, key) = (&chain.tenant, &chain.subject);
        let tenant = above.tenant_id.uuid();
        let above = self.ring.tenant_key(tenant, above.epoch, &above.wrapped).await?;
        let wrapped = Wrapped::from_bytes(&key.wrapped)?;
        Ok(above.open_subject_key(key.subject_id.uuid(), key.generation, &wrapped)?)
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
        let (_, wrapped) = self.ring.new_tenant_key(tenant.uuid(), FIRST_EPOCH).await?;
        let row = TenantKeyRow {
            tenant_id: tenant,
            epoch: FIRST_EPOCH,
            wrapped: wrapped.to_bytes(),
            create_time: self.clock.now(),
        };
        // Another replica may have been faster: then its key is the one.
        let insert = move |conn: &mut _| {
            keys::insert_tenant_key(conn, &row)?;
            Ok::<_, Error>(keys::current_tenant_key(conn, tenant)?)
        };
        let row = self.db.write("create_tenant_key", scope, insert).await?;
        row.ok_or_else(|| SealBroken.into())
    }
}

/// Seals the content of a record's version under a new data key.
pub(crate) fn seal(key: &SubjectKey, record: &Record, content: &[u8]) -> Result<Sealed, Error> {
    let (id, version, data_key_id) = (record.id.uuid(), record.version, Uuid::now_v7());
    let (data_key, wrapped_key) = key.new_data_key(id, version, data_key_id)?;
    let (salt, wrapped_salt) = key.new_salt(id, version)?;
    Ok(Sealed {
        body: data_key.seal(record.content_type.as_str(), content)?,
        data_key_id,
        subject_key_generation: key.generation(),
        data_key: wrapped_key.to_bytes(),
        commitment_salt: wrapped_salt.to_bytes(),
        commitment: commitment::commit(&salt, content).to_vec(),
    })
}

/// Opens the content of a record's version: exactly what was sealed and committed to.
pub(crate) fn open(
    key: &SubjectKey,
    record: &Record,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (id, version) = (record.id.uuid(), record.version);
    let wrapped = Wrapped::from_bytes(&sealed.data_key)?;
    let data_key = key.open_data_key(id, version, sealed.data_key_id, &wrapped)?;
    let content = data_key.open(record.content_type.as_str(), &sealed.body)?;
    verify(key, record, sealed, &content)?;
    if i64::try_from(content.len()) != Ok(record.size) {
        return Err(SealBroken.into());
    }
    Ok(content)
}

/// Whether this is the content that was committed to, without opening the body.
pub(crate) fn verify(
    key: &SubjectKey,
    record: &Record,
    sealed: &Sealed,
    content: &[u8],
) -> Result<(), Error> {
    let wrapped = Wrapped::from_bytes(&sealed.commitment_salt)?;
    let salt = key.open_salt(record.id.uuid(), record.version, &wrapped)?;
    Ok(commitment::verify(&salt, content, &sealed.commitment)?)
}
