//! What records, subjects and accesses are, and the rules about them.

pub(crate) mod access;
pub(crate) mod content_type;
pub(crate) mod json;
pub(crate) mod purpose;
pub(crate) mod record;
pub(crate) mod subject;
