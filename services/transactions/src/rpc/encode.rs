//! Encoding that several RPCs share.

mod account;
mod mismatch;

use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::money::Units;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::Response;
use uuid::Uuid;

use super::orders::{Done, sees_balances};
use crate::domain::{
    AccountId, Direction, Evidence, Force, Hold, HoldEvent, HoldEventType, HoldId, HoldState, Link,
    LinkType, Made, Override, Overrides, PostedEntry, PostedTransaction, TransactionId,
};

pub(super) use account::{account_class, balance, block, ledger_account, limit};
pub(super) use mismatch::{finding, mismatch};

/// The answer to a single posting.
pub(super) fn posted(done: Done, call: &Call) -> Result<Response<wire::Transaction>, Problem> {
    match done.made.into_iter().next() {
        Some(Made::Transaction(posted)) => Ok(respond(transaction(*posted, call), done.replayed)),
        _ => Err(other()),
    }
}

/// The answer to a single order about a hold.
pub(super) fn held(done: Done, timeline: Uuid) -> Result<Response<wire::Hold>, Problem> {
    match done.made.into_iter().next() {
        Some(Made::Hold(one)) => Ok(respond(hold(*one, timeline), done.replayed)),
        _ => Err(other()),
    }
}

/// The answer to a single capture.
pub(super) fn captured(
    done: Done,
    call: &Call,
    timeline: Uuid,
) -> Result<Response<wire::CaptureHoldResponse>, Problem> {
    match done.made.into_iter().next() {
        Some(Made::Capture(hold, posted)) => {
            Ok(respond(capture(*hold, *posted, call, timeline), done.replayed))
        }
        _ => Err(other()),
    }
}

fn respond<T>(answer: T, is_replayed: bool) -> Response<T> {
    if is_replayed { replayed(answer) } else { Response::new(answer) }
}

fn other() -> Problem {
    Problem::new(Reason::Internal, "An order made something else than was asked for.")
}

/// A version, told apart from the same number in another history of the database: a restore takes
/// versions back.
fn etag(timeline: Uuid, version: i64) -> String {
    // The last digits of a UUIDv7 are random.
    let [.., a, b, c, d] = *timeline.as_bytes();
    format!("\"{:08x}-{version}\"", u32::from_be_bytes([a, b, c, d]))
}

pub(super) fn capture(
    one: Hold,
    posted: PostedTransaction,
    call: &Call,
    timeline: Uuid,
) -> wire::CaptureHoldResponse {
    let transaction = Some(transaction(posted, call));
    wire::CaptureHoldResponse { hold: Some(hold(one, timeline)), transaction }
}

pub(super) fn transaction(posted: PostedTransaction, call: &Call) -> wire::Transaction {
    let sees = sees_balances(call);
    wire::Transaction {
        name: posted.id.name(),
        r#type: posted.kind,
        entries: posted.entries.into_iter().map(|one| entry(one, sees)).collect(),
        description: posted.description,
        labels: posted.labels,
        effective_time: Some(posted.effective_time.encode()),
        record_time: Some(posted.record_time.encode()),
        booking_date: posted.booking_date.to_string(),
        links: posted.links.into_iter().map(link).collect(),
        evidence: posted.evidence.into_iter().map(evidence).collect(),
        external_ids: posted.external_ids,
        group_id: posted.group_id.unwrap_or_default(),
        force: posted.force.map(force),
        reverses: posted.reverses.map(TransactionId::name).unwrap_or_default(),
        hold: posted.hold.map(HoldId::name).unwrap_or_default(),
        late: wire::LatePosting::Unspecified.into(),
        import: posted.import_source.map(|source| wire::Import { source }),
        redacted: posted.commitments.redacted,
    }
}

pub(super) fn direction(direction: Direction) -> wire::Direction {
    match direction {
        Direction::Debit => wire::Direction::Debit,
        Direction::Credit => wire::Direction::Credit,
    }
}

fn entry(posted: PostedEntry, sees_balances: bool) -> wire::Entry {
    let currency = posted.entry.amount.currency;
    let balance = sees_balances.then(|| wire::EntryBalance {
        posted: Some(posted.posted_after.encode(currency)),
        available: posted.available_after.map(|units| units.encode(currency)),
        entry_seq: posted.entry_seq,
        version: posted.version_after,
    });
    wire::Entry {
        account: posted.entry.account.name(),
        direction: direction(posted.entry.direction).into(),
        amount: Some(posted.entry.amount.encode()),
        memo: posted.entry.memo,
        balance,
        expected_version: 0,
        min_available_after: None,
    }
}

fn link(link: Link) -> wire::Link {
    let kind = match link.kind {
        LinkType::RefundOf => wire::link::Type::RefundOf,
        LinkType::ChargebackOf => wire::link::Type::ChargebackOf,
        LinkType::Corrects => wire::link::Type::Corrects,
        LinkType::FeeOf => wire::link::Type::FeeOf,
        LinkType::ReversalOf => wire::link::Type::ReversalOf,
    };
    wire::Link {
        r#type: kind.into(),
        transaction: link.entry.transaction.name(),
        entry_index: link.entry.index,
        amount: Some(link.amount.encode()),
    }
}

fn evidence(evidence: Evidence) -> String {
    format!("{}/versions/{}", evidence.record.name(), evidence.version)
}

fn force(force: Force) -> wire::Force {
    let overrides = Overrides::ALL.into_iter().filter(|rule| force.overrides.has(*rule));
    let overrides = overrides.map(|rule| match rule {
        Override::Funds => wire::Override::Funds,
        Override::Limits => wire::Override::Limits,
        Override::Controls => wire::Override::Controls,
        Override::HoldExpired => wire::Override::HoldExpired,
    });
    wire::Force { overrides: overrides.map(Into::into).collect(), reason: force.reason }
}

pub(super) fn hold(hold: Hold, timeline: Uuid) -> wire::Hold {
    use wire::hold::State;
    let money = |units| Some(hold.money(units).encode());
    let state = match hold.state {
        HoldState::Open => State::Open,
        HoldState::Captured => State::Captured,
        HoldState::Released => State::Released,
        HoldState::Expired => State::Expired,
    };
    wire::Hold {
        name: hold.id.name(),
        account: hold.account.name(),
        destination: hold.destination.map(AccountId::name).unwrap_or_default(),
        amount: money(hold.amount),
        over_capture: money(hold.over_capture).filter(|_| hold.over_capture != Units::ZERO),
        r#type: hold.kind.clone(),
        expire_time: hold.expire_time.map(Timestamp::encode),
        state: state.into(),
        remaining: money(hold.remaining),
        captured: money(hold.captured),
        released: money(hold.released),
        create_time: Some(hold.create_time.encode()),
        events: Vec::new(),
        etag: etag(timeline, hold.event_seq.into()),
        description: hold.description,
        external_ids: hold.external_ids,
        force: hold.force.map(force),
    }
}

pub(super) fn hold_event(event: &HoldEvent, hold: &Hold) -> wire::HoldEvent {
    use wire::hold_event::Type;
    let money = |units| Some(hold.money(units).encode());
    let kind = match event.kind {
        HoldEventType::Created => Type::Created,
        HoldEventType::Captured => Type::Captured,
        HoldEventType::Released => Type::Released,
        HoldEventType::Extended => Type::Extended,
        HoldEventType::Increased => Type::Increased,
        HoldEventType::Expired => Type::Expired,
    };
    wire::HoldEvent {
        seq: event.seq,
        r#type: kind.into(),
        amount: money(event.amount),
        remaining: money(event.remaining),
        transaction: event.transaction.map(TransactionId::name).unwrap_or_default(),
        expire_time: event.expire_time.map(Timestamp::encode),
        record_time: Some(event.record_time.encode()),
        force: event
            .overrides
            .number()
            .map(|_| force(Force { overrides: event.overrides, reason: event.reason.clone() })),
    }
}
