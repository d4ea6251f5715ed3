//! What the log says of accounts: who they are, what forbids what on them, and that they are
//! closed or open again. Amounts in controls are in minor units, as they are stored.

use serde::Serialize;
use shared::ids::TenantId;

use super::{AccountClass, AccountId, Controls, CustomerId, LedgerAccount, Overdraft};

/// The kind of a registration.
pub(crate) const REGISTERED: &str = "ledgerAccount.registered";
/// The kind of a change of what one source forbids.
pub(crate) const CONTROLLED: &str = "ledgerAccount.controlled";
/// The kind of a close.
pub(crate) const CLOSED: &str = "ledgerAccount.closed";
/// The kind of a reopening.
pub(crate) const REOPENED: &str = "ledgerAccount.reopened";

const VERSION: u8 = 1;

#[derive(Serialize)]
struct AccountLine<'a> {
    v: u8,
    kind: &'a str,
    tenant: String,
    account: String,
    currency: &'a str,
    decimals: u8,
    class: &'a str,
    gl_code: &'a str,
    /// Absent where it has no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    overdraft_limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    version: i64,
    record_time: String,
    controls: Vec<&'a Controls>,
}

/// The leaf of something that happened to an account: as it is now, with the controls of one source
/// or of all.
pub(crate) fn account_leaf(
    tenant: TenantId,
    kind: &str,
    account: &LedgerAccount,
    source: Option<&str>,
) -> String {
    let is_asked = |controls: &&Controls| source.is_none_or(|source| source == controls.source);
    let leaf = AccountLine {
        v: VERSION,
        kind,
        tenant: tenant.name(),
        account: account.id.name(),
        currency: account.currency.code(),
        decimals: account.currency.decimals(),
        class: class(account.class),
        gl_code: &account.gl_code,
        overdraft_limit: match account.overdraft {
            Overdraft::Limit(limit) => Some(limit.major(account.currency)),
            Overdraft::Unbounded => None,
        },
        customer: account.customer.map(CustomerId::name),
        parent: account.parent.map(AccountId::name),
        version: account.version,
        record_time: account.record_time.to_string(),
        controls: account.controls.iter().filter(is_asked).collect(),
    };
    // Plain data with string keys, which always serialises.
    serde_json::to_string(&leaf).unwrap_or_default()
}

fn class(class: AccountClass) -> &'static str {
    match class {
        AccountClass::Asset => "ASSET",
        AccountClass::Liability => "LIABILITY",
        AccountClass::Equity => "EQUITY",
        AccountClass::Income => "INCOME",
        AccountClass::Expense => "EXPENSE",
    }
}
