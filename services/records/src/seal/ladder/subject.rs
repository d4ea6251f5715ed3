//! Subject keys.

use uuid::Uuid;

use super::DataKey;
use crate::seal::commitment::Salt;
use crate::seal::context::{Context, Domain};
use crate::seal::key::Key;
use crate::seal::wrap::{self, KeyId, Wrapped};
use crate::seal::{KeyError, SealBroken, SealFailed};

/// The key of a person: it wraps data keys and the salts of commitments. Without it nothing of the
/// person can be read any more.
pub struct SubjectKey {
    tenant: Uuid,
    subject: Uuid,
    generation: i32,
    key: Key,
}

impl SubjectKey {
    pub(super) fn new(tenant: Uuid, subject: Uuid, generation: i32, key: Key) -> Self {
        Self { tenant, subject, generation, key }
    }

    /// The generation: 1, 2, 3.
    pub fn generation(&self) -> i32 {
        self.generation
    }

    /// A new data key for a version of a record, and its wrap under this key.
    pub fn new_data_key(
        &self,
        record: Uuid,
        version: i64,
        id: Uuid,
    ) -> Result<(DataKey, Wrapped), SealFailed> {
        let key = DataKey::random(self.tenant, self.subject, record, version, id)?;
        let wrapped = self.wrap_data_key(&key)?;
        Ok((key, wrapped))
    }

    /// Wraps a data key that was made for this subject; another subject's is refused.
    pub fn wrap_data_key(&self, key: &DataKey) -> Result<Wrapped, SealFailed> {
        if (key.tenant, key.subject) != (self.tenant, self.subject) {
            return Err(SealFailed);
        }
        self.wrap(&key.key, &self.data_context(key.record, key.version, key.id))
    }

    /// Opens the data key of a version of a record.
    pub fn open_data_key(
        &self,
        record: Uuid,
        version: i64,
        id: Uuid,
        wrapped: &Wrapped,
    ) -> Result<DataKey, SealBroken> {
        let key = wrap::unwrap(&self.key, wrapped, &self.data_context(record, version, id))?;
        Ok(DataKey { tenant: self.tenant, subject: self.subject, record, version, id, key })
    }

    /// A new salt for the commitment to a version of a record, and its wrap under this key.
    pub fn new_salt(&self, record: Uuid, version: i64) -> Result<(Salt, Wrapped), SealFailed> {
        let salt = Salt::random()?;
        let wrapped = self.wrap_salt(record, version, &salt)?;
        Ok((salt, wrapped))
    }

    /// Wraps the salt of the commitment to a version of a record.
    pub fn wrap_salt(
        &self,
        record: Uuid,
        version: i64,
        salt: &Salt,
    ) -> Result<Wrapped, SealFailed> {
        self.wrap(salt, &self.salt_context(record, version))
    }

    /// Opens the salt of the commitment to a version of a record.
    pub fn open_salt(
        &self,
        record: Uuid,
        version: i64,
        wrapped: &Wrapped,
    ) -> Result<Salt, SealBroken> {
        wrap::unwrap(&self.key, wrapped, &self.salt_context(record, version))
    }

    /// Wraps a salt under this key instead of `from`, which is of another generation. The
    /// commitment stays as it is.
    pub fn rewrap_salt(
        &self,
        from: &Self,
        record: Uuid,
        version: i64,
        wrapped: &Wrapped,
    ) -> Result<Wrapped, KeyError> {
        // The context names this subject: what another subject's key wrapped does not open.
        let context = self.salt_context(record, version);
        let salt = wrap::unwrap(&from.key, wrapped, &context)?;
        Ok(self.wrap(&salt, &context)?)
    }

    fn wrap(&self, key: &Key, context: &Context) -> Result<Wrapped, SealFailed> {
        wrap::wrap(&self.key, &KeyId::generation(self.generation), key, context)
    }

    fn data_context(&self, record: Uuid, version: i64, id: Uuid) -> Context {
        let context = Context::new(Domain::DataKey).id(self.tenant).id(self.subject);
        context.id(record).number(version).id(id)
    }

    fn salt_context(&self, record: Uuid, version: i64) -> Context {
        let context = Context::new(Domain::CommitmentSalt).id(self.tenant).id(self.subject);
        context.id(record).number(version)
    }
}
