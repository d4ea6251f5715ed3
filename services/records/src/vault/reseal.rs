//! Contents, sealed anew under another key of their subject.

use uuid::Uuid;

use crate::domain::record::Record;
use crate::error::Error;
use crate::seal::{SealBroken, SubjectKey, Wrapped};
use crate::store::records::Sealed;

/// Opens content and seals it under a new data key, which another generation of the subject's key
/// wraps. The commitment and its salt stay the same.
pub(crate) fn reseal(
    from: &SubjectKey,
    to: &SubjectKey,
    record: &Record,
    sealed: &Sealed,
) -> Result<Sealed, Error> {
    let (id, version, data_key_id) = (record.id.uuid(), record.version, Uuid::now_v7());
    let content = super::open(from, record, sealed)?;
    let (data_key, wrapped_key) = to.new_data_key(id, version, data_key_id)?;
    let salt = Wrapped::from_bytes(sealed.commitment_salt.as_deref().ok_or(SealBroken)?)?;
    Ok(Sealed {
        body: Some(data_key.seal(record.content_type.as_str(), &content)?),
        data_key_id,
        subject_key_generation: to.generation(),
        data_key: Some(wrapped_key.to_bytes()),
        commitment_salt: Some(to.rewrap_salt(from, id, version, &salt)?.to_bytes()),
        commitment: sealed.commitment.clone(),
        segments: None,
    })
}
