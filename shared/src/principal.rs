//! Who calls: a subject, possibly through another service, with grants in one tenant.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::TenantId;
use crate::problem::{Problem, Reason};

/// How far a grant reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// What the principal's own customer holds.
    Own,
    /// The whole tenant.
    Tenant,
}

/// Permissions as a token carries them: "accounts.customers.create", "accounts.*" or "*", for the
/// whole tenant, or with ":own" behind it for what the principal's own customer holds. "*" is
/// everything inside a tenant; the administration of tenants is granted by name ("tenants.*").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(Vec<String>);

impl Grants {
    /// Grants with these permissions.
    pub fn new(permissions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(permissions.into_iter().map(Into::into).collect())
    }

    /// How far a permission is granted; `None` where it is not.
    pub fn scope(&self, permission: &str) -> Option<Scope> {
        self.0
            .iter()
            .filter_map(|grant| match grant.strip_suffix(":own") {
                Some(pattern) => matches(pattern, permission).then_some(Scope::Own),
                None => matches(grant, permission).then_some(Scope::Tenant),
            })
            .max()
    }
}

fn matches(pattern: &str, permission: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => !permission.starts_with("tenants."),
        Some(prefix) => prefix.ends_with('.') && permission.starts_with(prefix),
        None => pattern == permission,
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The subject of the token: a person or a program.
    pub subject: String,
    /// The service that calls on the subject's behalf, where one does.
    pub workload: Option<String>,
    /// The tenant of the call; none for the administration of tenants.
    pub tenant: Option<TenantId>,
    /// The customer that the subject is, for grants of scope OWN.
    pub customer: Option<Uuid>,
    /// What it may do.
    pub grants: Grants,
}

impl Principal {
    /// How far a permission reaches, or `PERMISSION_MISSING`.
    pub fn require(&self, permission: &str) -> Result<Scope, Problem> {
        self.grants.scope(permission).ok_or_else(|| missing(permission))
    }
}

/// `PERMISSION_MISSING` for a permission.
pub fn missing(permission: &str) -> Problem {
    let message = format!("The caller's grants do not hold {permission}.");
    Problem::new(Reason::PermissionMissing, message).figure("permission", permission)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_match_whole_words_only() {
        let grants = Grants::new(["accounts.*", "records.records.get", "transactions.*:own"]);
        assert_eq!(grants.scope("accounts.customers.create"), Some(Scope::Tenant));
        assert_eq!(grants.scope("accountsx.customers.create"), None);
        assert_eq!(grants.scope("records.records.getFull"), None);
        assert_eq!(grants.scope("transactions.balances.get"), Some(Scope::Own));
        assert_eq!(Grants::new(["acc*"]).scope("accounts.customers.create"), None);
        assert_eq!(Grants::default().scope("accounts.customers.create"), None);
    }

    #[test]
    fn everything_inside_a_tenant_is_not_the_administration_of_tenants() {
        let grants = Grants::new(["*"]);
        assert_eq!(grants.scope("accounts.customers.create"), Some(Scope::Tenant));
        assert_eq!(grants.scope("tenants.tenants.create"), None);
        let grants = Grants::new(["tenants.*"]);
        assert_eq!(grants.scope("tenants.tenants.create"), Some(Scope::Tenant));
    }

    #[test]
    fn the_widest_grant_counts() {
        let grants = Grants::new(["accounts.accounts.get:own", "accounts.accounts.*"]);
        assert_eq!(grants.scope("accounts.accounts.get"), Some(Scope::Tenant));
    }
}
