//! Writes down what does not match, and blocks the accounts that it casts doubt on.

use std::collections::BTreeSet;

use diesel::PgConnection;
use serde::Serialize;
use shared::changes;
use shared::ids::TenantId;
use shared::time::Timestamp;

use crate::domain::{
    AUDITOR, AccountId, CONTROLLED, Finding, LedgerAccount, Mismatch, MismatchId, Overdraft,
    Resolution,
};
use crate::error::Error;
use crate::store::{ledger_accounts, mismatches};

/// The kinds of the changes.
const FOUND: &str = "mismatch.found";
const RESOLVED: &str = "mismatch.resolved";

/// What the log says of it. The order of the fields is part of the format.
#[derive(Serialize)]
struct Said<'a> {
    v: u8,
    kind: &'a str,
    tenant: String,
    mismatch: String,
    check: &'a str,
    resource: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolver: Option<&'a str>,
}

fn record(
    conn: &mut PgConnection,
    tenant: TenantId,
    (id, finding): (MismatchId, &Finding),
    resolution: Option<&Resolution>,
    time: Timestamp,
) -> Result<(), Error> {
    let kind = if resolution.is_some() { RESOLVED } else { FOUND };
    let said = Said {
        v: 1,
        kind,
        tenant: tenant.name(),
        mismatch: id.name(),
        check: finding.check.name(),
        resource: &finding.resource,
        time: time.to_string(),
        resolution_code: resolution.map(|resolution| resolution.code.as_str()),
        resolver: resolution.map(|resolution| resolution.resolver.as_str()),
    };
    // Plain data with string keys, which always serialises.
    let data = serde_json::to_string(&said).unwrap_or_default();
    Ok(changes::record(conn, tenant, kind, &id.name(), &data, time)?)
}

/// Writes the auditor's controls of a locked account back.
fn control(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &LedgerAccount,
) -> Result<(), Error> {
    ledger_accounts::update_controls(conn, tenant, account)?;
    Ok(ledger_accounts::record(conn, tenant, CONTROLLED, account, Some(AUDITOR))?)
}

/// Writes findings down and blocks their accounts, but for those without a bound: much goes through
/// them that has nothing to do with it. Gives how many of the findings are new.
pub(crate) fn accuse(
    conn: &mut PgConnection,
    tenant: TenantId,
    findings: &[Finding],
    now: Timestamp,
) -> Result<usize, Error> {
    let ids: BTreeSet<AccountId> =
        findings.iter().flat_map(|finding| finding.accounts.iter().copied()).collect();
    // The accounts first, as everywhere: who resolves locks them before the mismatch.
    let locked = ledger_accounts::lock(conn, tenant, &ids)?;
    let mut new = 0;
    for finding in findings {
        if let Some(id) = mismatches::insert(conn, tenant, finding, now)? {
            record(conn, tenant, (id, finding), None, now)?;
            new += 1;
        }
    }
    for mut account in locked.accounts.into_values() {
        let is_bounded = account.overdraft != Overdraft::Unbounded;
        if is_bounded && account.set_audit_block(true, now) {
            control(conn, tenant, &account)?;
        }
    }
    Ok(new)
}

/// Writes down how a mismatch was dealt with, and lifts the block of the accounts on which no other
/// one casts doubt.
pub(crate) fn resolve(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: MismatchId,
    resolution: &Resolution,
) -> Result<Mismatch, Error> {
    let found = mismatches::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
    let locked = ledger_accounts::lock(conn, tenant, &found.finding.accounts)?;
    // Somebody else may have been first.
    let mut found = mismatches::select_locked(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
    if found.resolution.is_some() {
        return Ok(found);
    }
    mismatches::resolve(conn, tenant, id, resolution)?;
    record(conn, tenant, (id, &found.finding), Some(resolution), resolution.time)?;
    for mut account in locked.accounts.into_values() {
        if !mismatches::is_doubtful(conn, tenant, account.id)?
            && account.set_audit_block(false, resolution.time)
        {
            control(conn, tenant, &account)?;
        }
    }
    found.resolution = Some(resolution.clone());
    Ok(found)
}
