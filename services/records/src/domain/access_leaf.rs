//! What the log says of an access: ids and codes, and a salted commitment in place of who it was.

use serde::Serialize;
use shared::commitment::Commitment;
use shared::ids::TenantId;
use shared::problem::reason_name;

use super::access::Access;
use super::access_entry::AccessEntry;
use super::purpose::Purpose;
use super::record::{RecordId, View};
use super::subject::SubjectId;

/// Somebody got what was asked for.
pub(crate) const PERMITTED: &str = "access.permitted";
/// Somebody did not.
pub(crate) const DENIED: &str = "access.denied";
/// The version of the format.
const VERSION: u8 = 1;

/// The order of the fields is part of the format: what comes later is added at the end, and is left
/// out where it is absent.
#[derive(Serialize)]
struct Line<'a> {
    v: u8,
    kind: &'a str,
    tenant: String,
    access: String,
    time: String,
    principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<&'a str>,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grounds: Option<&'a str>,
    trace: &'a str,
}

/// The kind of change that an access is.
pub(crate) fn kind(access: &Access) -> &'static str {
    kind_of(access.refusal.map(reason_name))
}

fn kind_of(refusal: Option<&str>) -> &'static str {
    if refusal.is_none() { PERMITTED } else { DENIED }
}

/// The leaf of an access.
pub(crate) fn leaf(tenant: TenantId, access: &Access) -> String {
    let refusal = access.refusal.map(reason_name);
    spell(&Line {
        v: VERSION,
        kind: kind_of(refusal),
        tenant: tenant.name(),
        access: access.id.name(),
        time: access.time.to_string(),
        principal: access.commitment.hex(),
        workload: access.workload.as_deref(),
        action: access.action.permission(),
        subject: access.subject.map(SubjectId::name),
        record: access.record.map(RecordId::name),
        version: access.version,
        resource: access.resource.as_deref(),
        view: access.view.map(View::name),
        purpose: access.purpose.map(Purpose::code),
        reason: refusal,
        grounds: access.grounds.as_deref(),
        trace: &access.trace_id,
    })
}

/// The leaf of an access that was read back, and whose commitment this is.
pub(super) fn leaf_of_entry(
    tenant: TenantId,
    entry: &AccessEntry,
    commitment: &Commitment,
) -> String {
    spell(&Line {
        v: VERSION,
        kind: kind_of(entry.refusal.as_deref()),
        tenant: tenant.name(),
        access: entry.id.name(),
        time: entry.time.to_string(),
        principal: commitment.hex(),
        workload: entry.workload.as_deref(),
        action: &entry.action,
        subject: entry.subject.map(SubjectId::name),
        record: entry.record.map(RecordId::name),
        version: entry.version,
        resource: entry.resource.as_deref(),
        view: entry.view.map(View::name),
        purpose: entry.purpose.as_deref(),
        reason: entry.refusal.as_deref(),
        grounds: entry.grounds.as_deref(),
        trace: &entry.trace_id,
    })
}

fn spell(line: &Line<'_>) -> String {
    // Plain data with string keys always serialises.
    serde_json::to_string(line).unwrap_or_default()
}
