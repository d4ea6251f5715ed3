//! The key ladder: each key knows whose it is, and opens only what belongs to its owner.
//!
//! A tenant key makes subject keys, a subject key makes data keys, a data key seals one body. The
//! owner's ids travel down the ladder and into every [`Context`], so that no caller can mix them.

use uuid::Uuid;
use zeroize::Zeroizing;

use super::body::{self, HEADER_LEN, Opener, Sealer};
use super::context::{Context, Domain};
use super::key::Key;
use super::wrap::{self, KeyId, Wrapped};
use super::{SealBroken, SealFailed};

/// The key of a tenant in one epoch: it wraps subject keys.
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
        let context = self.subject_context(subject, generation);
        let wrapped = wrap::wrap(&self.key, &KeyId::epoch(self.epoch), &key, &context)?;
        Ok((SubjectKey { tenant: self.tenant, subject, generation, key }, wrapped))
    }

    /// Opens the key of a subject.
    pub fn open_subject_key(
        &self,
        subject: Uuid,
        generation: i32,
        wrapped: &Wrapped,
    ) -> Result<SubjectKey, SealBroken> {
        let context = self.subject_context(subject, generation);
        let key = wrap::unwrap(&self.key, wrapped, &context)?;
        Ok(SubjectKey { tenant: self.tenant, subject, generation, key })
    }

    fn subject_context(&self, subject: Uuid, generation: i32) -> Context {
        let context = Context::new(Domain::SubjectKey).id(self.tenant);
        context.id(subject).number(generation.into())
    }
}

/// The key of a person: it wraps data keys and the salts of commitments. Without it nothing of the
/// person can be read any more.
pub struct SubjectKey {
    tenant: Uuid,
    subject: Uuid,
    generation: i32,
    key: Key,
}

impl SubjectKey {
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
        let key = Key::random()?;
        let context = self.data_context(record, version, id);
        let wrapped = wrap::wrap(&self.key, &self.id(), &key, &context)?;
        Ok((self.data_key(record, version, id, key), wrapped))
    }

    /// Opens the data key of a version of a record.
    pub fn open_data_key(
        &self,
        record: Uuid,
        version: i64,
        id: Uuid,
        wrapped: &Wrapped,
    ) -> Result<DataKey, SealBroken> {
        let context = self.data_context(record, version, id);
        let key = wrap::unwrap(&self.key, wrapped, &context)?;
        Ok(self.data_key(record, version, id, key))
    }

    /// A new salt for the commitment to a version of a record, and its wrap under this key.
    pub fn new_salt(&self, record: Uuid, version: i64) -> Result<(Key, Wrapped), SealFailed> {
        let salt = Key::random()?;
        let context = self.salt_context(record, version);
        let wrapped = wrap::wrap(&self.key, &self.id(), &salt, &context)?;
        Ok((salt, wrapped))
    }

    /// Opens the salt of the commitment to a version of a record.
    pub fn open_salt(
        &self,
        record: Uuid,
        version: i64,
        wrapped: &Wrapped,
    ) -> Result<Key, SealBroken> {
        wrap::unwrap(&self.key, wrapped, &self.salt_context(record, version))
    }

    fn id(&self) -> KeyId {
        KeyId::generation(self.generation)
    }

    fn data_key(&self, record: Uuid, version: i64, id: Uuid, key: Key) -> DataKey {
        DataKey { tenant: self.tenant, subject: self.subject, record, version, id, key }
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

/// The key of one version of a record: it seals one body.
pub struct DataKey {
    tenant: Uuid,
    subject: Uuid,
    record: Uuid,
    version: i64,
    id: Uuid,
    key: Key,
}

/// The part of a version that is sealed; today there is one.
const PART: &[u8] = b"plaintext";

impl DataKey {
    /// Seals a body that is in memory.
    pub fn seal(&self, content_type: &str, plaintext: &[u8]) -> Result<Vec<u8>, SealFailed> {
        body::seal(&self.key, &self.body_context(content_type), plaintext)
    }

    /// Opens a body that is in memory.
    pub fn open(
        &self,
        content_type: &str,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealBroken> {
        body::open(&self.key, &self.body_context(content_type), ciphertext)
    }

    /// Seals a body as it arrives.
    pub fn sealer(&self, content_type: &str) -> Result<Sealer, SealFailed> {
        Sealer::new(&self.key, &self.body_context(content_type))
    }

    /// Opens a body in chunks.
    pub fn opener(
        &self,
        content_type: &str,
        header: &[u8; HEADER_LEN],
        ciphertext_len: u64,
    ) -> Result<Opener, SealBroken> {
        Opener::new(&self.key, &self.body_context(content_type), header, ciphertext_len)
    }

    fn body_context(&self, content_type: &str) -> Context {
        let context = Context::new(Domain::Body).id(self.tenant).id(self.subject);
        let context = context.id(self.record).number(self.version).bytes(PART);
        context.bytes(content_type.as_bytes()).id(self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: Uuid = Uuid::from_u128(1);
    const SUBJECT: Uuid = Uuid::from_u128(2);
    const RECORD: Uuid = Uuid::from_u128(3);
    const DATA_KEY: Uuid = Uuid::from_u128(4);
    const OTHER: Uuid = Uuid::from_u128(9);

    fn tenant_key() -> TenantKey {
        TenantKey::new(TENANT, 1, Key::random().unwrap())
    }

    /// The same secret in another owner's name, as after a row was moved.
    fn renamed(key: &Key) -> Key {
        Key::fill_with(|bytes| {
            *bytes = *key.expose();
            Ok::<_, SealFailed>(())
        })
        .unwrap()
    }

    #[test]
    fn a_body_goes_down_and_comes_up_the_ladder() {
        let tenant = tenant_key();
        let (subject, wrapped_subject) = tenant.new_subject_key(SUBJECT, 1).unwrap();
        let (data, wrapped_data) = subject.new_data_key(RECORD, 1, DATA_KEY).unwrap();
        let (salt, wrapped_salt) = subject.new_salt(RECORD, 1).unwrap();
        let ciphertext = data.seal("text/plain", b"secret").unwrap();

        let subject = tenant.open_subject_key(SUBJECT, 1, &wrapped_subject).unwrap();
        let data = subject.open_data_key(RECORD, 1, DATA_KEY, &wrapped_data).unwrap();
        assert_eq!(*data.open("text/plain", &ciphertext).unwrap(), b"secret");
        assert!(data.open("text/html", &ciphertext).is_err());
        let opened = subject.open_salt(RECORD, 1, &wrapped_salt).unwrap();
        assert_eq!(opened.expose(), salt.expose());
    }

    #[test]
    fn a_wrap_opens_on_its_own_rung_and_for_its_own_owner_only() {
        let tenant = tenant_key();
        let (subject, wrapped) = tenant.new_subject_key(SUBJECT, 1).unwrap();
        assert!(tenant.open_subject_key(OTHER, 1, &wrapped).is_err());
        assert!(tenant.open_subject_key(SUBJECT, 2, &wrapped).is_err());
        assert!(tenant_key().open_subject_key(SUBJECT, 1, &wrapped).is_err());
        let other_tenant = TenantKey::new(OTHER, 1, renamed(&tenant.key));
        assert!(other_tenant.open_subject_key(SUBJECT, 1, &wrapped).is_err());

        let (_, data) = subject.new_data_key(RECORD, 1, DATA_KEY).unwrap();
        let (_, salt) = subject.new_salt(RECORD, 1).unwrap();
        assert!(subject.open_data_key(OTHER, 1, DATA_KEY, &data).is_err());
        assert!(subject.open_data_key(RECORD, 2, DATA_KEY, &data).is_err());
        assert!(subject.open_data_key(RECORD, 1, OTHER, &data).is_err());
        assert!(subject.open_data_key(RECORD, 1, DATA_KEY, &salt).is_err());
        assert!(subject.open_salt(RECORD, 1, &data).is_err());
        assert!(subject.open_salt(RECORD, 2, &salt).is_err());
    }

    #[test]
    fn a_body_opens_for_its_own_version_only() {
        let (subject, _) = tenant_key().new_subject_key(SUBJECT, 1).unwrap();
        let (data, _) = subject.new_data_key(RECORD, 1, DATA_KEY).unwrap();
        let ciphertext = data.seal("text/plain", b"secret").unwrap();
        let moved = [(OTHER, 1, DATA_KEY), (RECORD, 2, DATA_KEY), (RECORD, 1, OTHER)];
        for (record, version, id) in moved {
            let data = subject.data_key(record, version, id, renamed(&data.key));
            assert!(data.open("text/plain", &ciphertext).is_err());
        }
    }
}
