//! What the log says of a change: a line of JSON whose bytes are the leaf, and the event's data. It
//! is made once when the change is written, and again whenever somebody asks; as long as nobody has
//! touched the rows both are the same. Texts are in it as commitments only.
//!
//! The order of the fields is part of the format: what comes later is added at the end, is left out
//! where it is absent, and never changes a leaf that exists.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::commitment::Commitment;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::Timestamp;

use super::{
    Commitments, Hold, HoldEvent, HoldEventType, LinkType, Override, Overrides, PostedEntry,
    PostedTransaction,
};

/// The kind of a posting.
pub(crate) const POSTED: &str = "transaction.posted";
/// The kind of a change of a hold.
pub(crate) const HELD: &str = "hold.changed";

/// The kind of the redaction of a transaction.
pub(crate) const TRANSACTION_REDACTED: &str = "transaction.redacted";
/// The kind of the redaction of a hold.
pub(crate) const HOLD_REDACTED: &str = "hold.redacted";

/// The version of the format.
const VERSION: u8 = 1;

#[derive(Serialize)]
struct Posted<'a> {
    v: u8,
    kind: &'a str,
    tenant: String,
    transaction: String,
    r#type: &'a str,
    record_time: String,
    effective_time: String,
    booking_date: String,
    entries: Vec<EntryLine<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<(String, i32)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    overrides: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reverses: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    import_source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commitments: Option<Committed>,
}

#[derive(Serialize)]
struct EntryLine<'a> {
    account: String,
    direction: &'a str,
    amount: String,
    currency: &'a str,
    posted: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<String>,
    entry_seq: i64,
    version: i64,
}

#[derive(Serialize)]
struct Link<'a> {
    r#type: &'a str,
    transaction: String,
    entry_index: i32,
    amount: String,
    currency: &'a str,
}

/// In hexadecimal digits. The keys of labels may be redacted, so labels have none here.
#[derive(Serialize)]
struct Committed {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    texts: BTreeMap<i32, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    external_ids: BTreeMap<String, String>,
}

/// The leaf of a posting.
pub(crate) fn posted_leaf(tenant: TenantId, posted: &PostedTransaction) -> String {
    let leaf = Posted {
        v: VERSION,
        kind: POSTED,
        tenant: tenant.name(),
        transaction: posted.id.name(),
        r#type: &posted.kind,
        record_time: posted.record_time.to_string(),
        effective_time: posted.effective_time.to_string(),
        booking_date: posted.booking_date.to_string(),
        entries: posted.entries.iter().map(entry).collect(),
        links: posted.links.iter().map(link).collect(),
        evidence: posted
            .evidence
            .iter()
            .map(|one| format!("{}/versions/{}", one.record.name(), one.version))
            .collect(),
        group_id: posted.group_id.as_deref(),
        batch: posted.batch.map(|(batch, index)| (batch.name(), index)),
        overrides: overrides(posted.force.as_ref().map(|force| force.overrides)),
        reverses: posted.reverses.map(super::TransactionId::name),
        hold: posted.hold.map(super::HoldId::name),
        import_source: posted.import_source.as_deref(),
        commitments: committed(&posted.commitments),
    };
    line(&leaf)
}

fn entry(posted: &PostedEntry) -> EntryLine<'_> {
    let PostedEntry { entry, posted_after, available_after, entry_seq, version_after } = posted;
    let currency = &entry.amount.currency;
    EntryLine {
        account: entry.account.name(),
        direction: entry.direction.name(),
        amount: entry.amount.units.major(*currency),
        currency: currency.code(),
        posted: posted_after.major(*currency),
        available: available_after.map(|units| units.major(*currency)),
        entry_seq: *entry_seq,
        version: *version_after,
    }
}

fn link(link: &super::Link) -> Link<'_> {
    Link {
        r#type: match link.kind {
            LinkType::RefundOf => "REFUND_OF",
            LinkType::ChargebackOf => "CHARGEBACK_OF",
            LinkType::Corrects => "CORRECTS",
            LinkType::FeeOf => "FEE_OF",
            LinkType::ReversalOf => "REVERSAL_OF",
        },
        transaction: link.entry.transaction.name(),
        entry_index: link.entry.index,
        amount: link.amount.units.major(link.amount.currency),
        currency: link.amount.currency.code(),
    }
}

fn overrides(overrides: Option<Overrides>) -> Vec<&'static str> {
    let all = Overrides::ALL.into_iter();
    let all = all.filter(|rule| overrides.is_some_and(|overrides| overrides.has(*rule)));
    let name = |rule| match rule {
        Override::Funds => "FUNDS",
        Override::Limits => "LIMITS",
        Override::Controls => "CONTROLS",
        Override::HoldExpired => "HOLD_EXPIRED",
    };
    all.map(name).collect()
}

#[derive(Serialize)]
struct Held<'a> {
    v: u8,
    kind: &'a str,
    tenant: String,
    hold: String,
    seq: i32,
    r#type: &'a str,
    account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    amount: String,
    remaining: String,
    currency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_time: Option<String>,
    record_time: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    overrides: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<(String, i32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commitments: Option<Committed>,
}

/// The leaf of something that happened to a hold; of its making with the commitments to all that
/// was written then.
pub(crate) fn held_leaf(
    tenant: TenantId,
    hold: &Hold,
    event: &HoldEvent,
    commitments: &Commitments,
) -> String {
    let money = |units: Units| units.major(hold.currency);
    let leaf = Held {
        v: VERSION,
        kind: HELD,
        tenant: tenant.name(),
        hold: hold.id.name(),
        seq: event.seq,
        r#type: match event.kind {
            HoldEventType::Created => "CREATED",
            HoldEventType::Captured => "CAPTURED",
            HoldEventType::Released => "RELEASED",
            HoldEventType::Extended => "EXTENDED",
            HoldEventType::Increased => "INCREASED",
            HoldEventType::Expired => "EXPIRED",
        },
        account: hold.account.name(),
        destination: hold.destination.map(super::AccountId::name),
        amount: money(event.amount),
        remaining: money(event.remaining),
        currency: hold.currency.code(),
        transaction: event.transaction.map(super::TransactionId::name),
        expire_time: event.expire_time.map(|time| time.to_string()),
        record_time: event.record_time.to_string(),
        overrides: overrides(Some(event.overrides)),
        batch: event.batch.map(|(batch, index)| (batch.name(), index)),
        commitments: committed(commitments),
    };
    line(&leaf)
}

/// Who had texts erased, and why. The leaves that commit to them stay as they are.
#[derive(Debug)]
pub(crate) struct Redaction<'a> {
    /// One of the two kinds above.
    pub(crate) kind: &'static str,
    /// The transaction or the hold.
    pub(crate) subject: String,
    /// A code.
    pub(crate) reason_code: &'a str,
    pub(crate) principal: &'a str,
    pub(crate) time: Timestamp,
}

#[derive(Serialize)]
struct Redacted<'a> {
    v: u8,
    kind: &'a str,
    tenant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a str>,
    reason_code: &'a str,
    principal: &'a str,
    time: String,
}

/// The leaf of a redaction.
pub(crate) fn redacted_leaf(tenant: TenantId, redaction: &Redaction<'_>) -> String {
    let Redaction { kind, subject, reason_code, principal, time } = redaction;
    let of = |wanted: &str| Some(subject.as_str()).filter(|_| *kind == wanted);
    let leaf = Redacted {
        v: VERSION,
        kind,
        tenant: tenant.name(),
        transaction: of(TRANSACTION_REDACTED),
        hold: of(HOLD_REDACTED),
        reason_code,
        principal,
        time: time.to_string(),
    };
    line(&leaf)
}

fn committed(commitments: &Commitments) -> Option<Committed> {
    fn named<K: Clone + Ord>(map: &BTreeMap<K, Commitment>) -> BTreeMap<K, String> {
        map.iter().map(|(key, one)| (key.clone(), one.hex())).collect()
    }
    if commitments.is_empty() {
        return None;
    }
    let mut labels: Vec<String> = commitments.labels.values().map(Commitment::hex).collect();
    labels.sort_unstable();
    let texts = named(&commitments.texts);
    Some(Committed { texts, labels, external_ids: named(&commitments.external_ids) })
}

/// Plain data with string keys, which always serialise.
fn line(leaf: &impl Serialize) -> String {
    serde_json::to_string(leaf).unwrap_or_default()
}
