//! What records, subjects and accesses are, and the rules about them.

pub mod access;
pub mod content_type;
pub mod json;
pub mod purpose;
pub mod record;
pub mod subject;
