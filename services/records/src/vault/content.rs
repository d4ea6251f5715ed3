//! Contents, sealed for the store and opened from it.

use std::sync::Arc;

use shared::ids::TenantId;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Vault;
use crate::domain::record::Record;
use crate::error::Error;
use crate::seal::{
    DataKey, Keyring, Salt, SealBroken, SealFailed, SubjectKey, TenantKey, Wrapped, commitment,
};
use crate::store::key_chains::KeyChain;
use crate::store::records::Sealed;

/// Content that is sealed, under a data key that nobody has wrapped yet: it takes no other key to
/// make it.
pub(crate) struct Loose {
    /// The sealed content.
    pub(crate) body: Vec<u8>,
    /// The commitment to the content.
    pub(crate) commitment: [u8; commitment::COMMITMENT_LEN],
    /// The id of the data key.
    pub(crate) data_key_id: Uuid,
    data_key: DataKey,
    salt: Salt,
    record: Uuid,
    version: i64,
}

/// What a subject's key made of the keys of a version.
#[derive(Debug)]
pub(crate) struct Wraps {
    /// The generation of the subject's key.
    pub(crate) generation: i32,
    /// The wrapped data key.
    pub(crate) data_key: Vec<u8>,
    /// The wrapped salt of the commitment.
    pub(crate) salt: Vec<u8>,
}

impl Loose {
    /// Seals the content of a record's version under a new data key.
    pub(crate) fn seal(
        tenant: TenantId,
        record: &Record,
        content: &[u8],
    ) -> Result<Self, SealFailed> {
        let (id, version, data_key_id) = (record.id.uuid(), record.version, Uuid::now_v7());
        let subject = record.subject.uuid();
        let data_key = DataKey::random(tenant.uuid(), subject, id, version, data_key_id)?;
        let salt = Salt::random()?;
        Ok(Self {
            body: data_key.seal(record.content_type.as_str(), content)?,
            commitment: commitment::commit(&salt, content),
            data_key_id,
            data_key,
            salt,
            record: id,
            version,
        })
    }

    /// Wraps the keys of the version.
    pub(crate) fn wrap(&self, key: &SubjectKey) -> Result<Wraps, SealFailed> {
        Ok(Wraps {
            generation: key.generation(),
            data_key: key.wrap_data_key(&self.data_key)?.to_bytes(),
            salt: key.wrap_salt(self.record, self.version, &self.salt)?.to_bytes(),
        })
    }
}

impl std::fmt::Debug for Loose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loose").field("data_key_id", &self.data_key_id).finish_non_exhaustive()
    }
}

/// The tenants' keys that are open: for a thread that cannot wait for others.
#[derive(Clone)]
pub(crate) struct OpenKeys(Arc<Keyring>);

impl Vault {
    /// The tenants' keys that are open. It has no database, which only the runtime may drop.
    pub(crate) fn open_keys(&self) -> OpenKeys {
        OpenKeys(Arc::clone(&self.ring))
    }
}

impl OpenKeys {
    /// The tenant's key of a chain where it is open now. Nothing is waited for.
    pub(crate) fn tenant_key(&self, chain: &KeyChain) -> Option<Arc<TenantKey>> {
        self.0.cached(chain.tenant_id.uuid(), chain.epoch, chain.tenant_key.as_deref()?)
    }
}

/// Opens a subject's key under the tenant's.
pub(crate) fn subject_key(above: &TenantKey, chain: &KeyChain) -> Result<SubjectKey, SealBroken> {
    let wrapped = Wrapped::from_bytes(&chain.subject_key)?;
    above.open_subject_key(chain.subject_id.uuid(), chain.generation, &wrapped)
}

/// Seals the content of a record's version under a new data key, and wraps that.
pub(crate) fn seal(key: &SubjectKey, record: &Record, content: &[u8]) -> Result<Sealed, Error> {
    let (id, version, data_key_id) = (record.id.uuid(), record.version, Uuid::now_v7());
    let (data_key, wrapped_key) = key.new_data_key(id, version, data_key_id)?;
    let (salt, wrapped_salt) = key.new_salt(id, version)?;
    Ok(Sealed {
        body: Some(data_key.seal(record.content_type.as_str(), content)?),
        data_key_id,
        subject_key_generation: key.generation(),
        data_key: Some(wrapped_key.to_bytes()),
        commitment_salt: Some(wrapped_salt.to_bytes()),
        commitment: commitment::commit(&salt, content).to_vec(),
        segments: None,
    })
}

/// Opens the content of a record's version: exactly what was sealed and committed to.
pub(crate) fn open(
    key: &SubjectKey,
    record: &Record,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (id, version) = (record.id.uuid(), record.version);
    let wrapped = Wrapped::from_bytes(sealed.data_key.as_deref().ok_or(SealBroken)?)?;
    let data_key = key.open_data_key(id, version, sealed.data_key_id, &wrapped)?;
    let body = sealed.body.as_deref().ok_or(SealBroken)?;
    let content = data_key.open(record.content_type.as_str(), body)?;
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
    let wrapped = Wrapped::from_bytes(sealed.commitment_salt.as_deref().ok_or(SealBroken)?)?;
    let salt = key.open_salt(record.id.uuid(), record.version, &wrapped)?;
    Ok(commitment::verify(&salt, content, &sealed.commitment)?)
}
