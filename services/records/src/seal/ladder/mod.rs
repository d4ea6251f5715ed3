//! The key ladder: each key knows whose it is, and opens only what belongs to its owner.
//!
//! A tenant key makes subject keys and index keys, a subject key makes data keys, a data key seals
//! one body. The owner's ids travel down the ladder and into every [`Context`](super::Context), so
//! that no caller can mix them.

#[cfg(test)]
mod cross_check;
mod data;
mod subject;
mod tenant;
#[cfg(test)]
mod tests;

pub use data::DataKey;
pub use subject::SubjectKey;
pub use tenant::TenantKey;
