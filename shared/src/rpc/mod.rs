//! The services that all three have: tenants and outcomes.

mod list_outcomes;
mod outcomes;
mod tenants;

pub use outcomes::OutcomeRpc;
pub use tenants::TenantRpc;
