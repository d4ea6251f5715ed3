//! Versions of records: each content that a record has had.

use shared::time::Timestamp;

use super::content_type::ContentType;
use super::record::RecordId;

/// Between the record and the number in the name of a version.
const COLLECTION: &str = "/versions/";

/// One content of a record, without the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordVersion {
    /// The record.
    pub(crate) record: RecordId,
    /// 1, 2, 3, without gaps.
    pub(crate) version: i64,
    /// The media type of the content.
    pub(crate) content_type: ContentType,
    /// Bytes of the content.
    pub(crate) size: i64,
    /// When it was sealed.
    pub(crate) create_time: Timestamp,
}

/// `records/{uuid}/versions/{n}`.
pub(crate) fn name(record: RecordId, version: i64) -> String {
    format!("{record}{COLLECTION}{version}")
}

/// The record and the number in the name of a version; none in the name of a record.
pub(crate) fn parse(name: &str) -> Option<(RecordId, i64)> {
    let (record, number) = name.split_once(COLLECTION)?;
    Some((RecordId::parse_name(record).ok()?, number.parse().ok()?))
}

/// The number in the name of a version; none in the name of a record.
pub(crate) fn number(name: &str) -> Option<i64> {
    name.split_once(COLLECTION)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_number_of_the_version() {
        let id = RecordId::generate();
        assert_eq!(number(&name(id, 12)), Some(12));
        assert_eq!(parse(&name(id, 12)), Some((id, 12)));
        assert_eq!(number(&id.name()), None);
    }
}
