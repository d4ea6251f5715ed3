//! Tenant keys.

use uuid::Uuid;

use super::SubjectKey;
use crate::seal::blind_index::IndexKey;
use crate::seal::context::{Context, Domain};
use crate::seal::key::Key;
use crate::seal::wrap::{self, KeyId, Wrapped};
use crate::seal::{KeyError, SealBroken, SealFailed};

/// The key of a tenant in one epoch: it wraps subject keys and index keys.
pub struct TenantKey {
    tenant: Uuid,
    epoch: i32,
    key: Key,
}

impl TenantKey {
    /// The context under which a provider wraps the key of this tenant and epoch.
    pub fn context(tenant: Uuid, epoch: i32) -> Context {
        Context::new(Domain::TenantKey).id(tenant).number(epoch.into())
    }

    /// A key that a provider has opened, or one that it shall wrap.
    pub fn new(tenant: Uuid, epoch: i32, key: Key) -> Self {
        Self { tenant, epoch, key }
    }

    /// The epoch: 1, 2, 3.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// A new key for a subject, and its wrap under this key.
    pub fn new_subject_key(
        &self,
        subject: Uuid,
        generation: i32,
    ) -> Result<(SubjectKey, Wrapped), SealFailed> {
        let key = Key::random()?;
        let wrapped = self.wrap(&key, &self.subject_context(subject, generation))?;
        Ok((SubjectKey::new(self.tenant, subject, generation, key), wrapped))
    }

    /// Opens the key of a subject.
    pub fn open_subject_key(
        &self,
        subject: Uuid,
        generation: i32,
        wrapped: &Wrapped,
    ) -> Result<SubjectKey, SealBroken> {
        let key = wrap::unwrap(&self.key, wrapped, &self.subject_context(subject, generation))?;
        Ok(SubjectKey::new(self.tenant, subject, generation, key))
    }

    /// Wraps a subject's key under this key instead of `from`, which is of another epoch.
    pub fn rewrap_subject_key(
        &self,
        from: &Self,
        subject: Uuid,
        generation: i32,
        wrapped: &Wrapped,
    ) -> Result<Wrapped, KeyError> {
        self.rewrap(from, wrapped, &self.subject_context(subject, generation))
    }

    /// A new key for blind indexes, and its wrap under this key.
    pub fn new_index_key(&self, version: i32) -> Result<(IndexKey, Wrapped), SealFailed> {
        let key = Key::random()?;
        let wrapped = self.wrap(&key, &self.index_context(version))?;
        Ok((IndexKey::new(version, key), wrapped))
    }

    /// Opens a key for blind indexes.
    pub fn open_index_key(&self, version: i32, wrapped: &Wrapped) -> Result<IndexKey, SealBroken> {
        let key = wrap::unwrap(&self.key, wrapped, &self.index_context(version))?;
        Ok(IndexKey::new(version, key))
    }

    /// Wraps a key for blind indexes under this key instead of `from`, which is of another epoch.
    pub fn rewrap_index_key(
        &self,
        from: &Self,
        version: i32,
        wrapped: &Wrapped,
    ) -> Result<Wrapped, KeyError> {
        self.rewrap(from, wrapped, &self.index_context(version))
    }

    fn wrap(&self, key: &Key, context: &Context) -> Result<Wrapped, SealFailed> {
        wrap::wrap(&self.key, &KeyId::epoch(self.epoch), key, context)
    }

    /// The context is the same under both keys, and names this tenant: what another tenant's key
    /// wrapped does not open.
    fn rewrap(
        &self,
        from: &Self,
        wrapped: &Wrapped,
        context: &Context,
    ) -> Result<Wrapped, KeyError> {
        let key = wrap::unwrap(&from.key, wrapped, context)?;
        Ok(self.wrap(&key, context)?)
    }

    fn subject_context(&self, subject: Uuid, generation: i32) -> Context {
        let context = Context::new(Domain::SubjectKey).id(self.tenant);
        context.id(subject).number(generation.into())
    }

    fn index_context(&self, version: i32) -> Context {
        Context::new(Domain::IndexKey).id(self.tenant).number(version.into())
    }
}
