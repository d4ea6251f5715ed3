//! Decoding of what postings have in common.

use std::collections::BTreeMap;

use shared::field::{self, At as _, Decoded, invalid};
use shared::money::{Currencies, Money, Units};
use shared::problem::{Problem, Reason};
use shared::time::{Day, Timestamp};
use strongroom_proto::transactions::v1 as wire;

use super::decode;
use crate::domain::{
    AccountId, ENTRIES_MAX, EntryRef, Evidence, Force, Late, Link, LinkType, NewEntry,
    NewTransaction, Override, Overrides, RecordId, TransactionId, check_balance,
};

const DESCRIPTION_MAX: usize = 1_024;
const MEMO_MAX: usize = 256;
const REASON_MAX: usize = 256;
const LINKS_MAX: usize = 1_000;
const EVIDENCE_MAX: usize = 16;
const EXTERNAL_IDS_MAX: usize = 8;
const EXTERNAL_ID_MAX: usize = 128;
const WORD_MAX: usize = 64;

/// What every posting may have beside its entries, as the wire has it.
pub(super) struct Fields {
    pub(super) transaction_id: String,
    pub(super) kind: String,
    pub(super) description: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) effective_time: Option<prost_types::Timestamp>,
    pub(super) links: Vec<wire::Link>,
    pub(super) evidence: Vec<String>,
    pub(super) external_ids: BTreeMap<String, String>,
    pub(super) group_id: String,
    pub(super) force: Option<wire::Force>,
    pub(super) booking_date: String,
    pub(super) late: wire::LatePosting,
    pub(super) import: Option<wire::Import>,
}

/// Reads a posting; `default` is its type where it names none.
pub(super) fn draft(
    fields: Fields,
    default: Option<&str>,
    entries: Vec<NewEntry>,
    known: &Currencies,
) -> Decoded<NewTransaction> {
    let import_source = import_source(fields.import).at("import")?;
    let booking_date = booking_date(&fields.booking_date).at("booking_date")?;
    if import_source.is_some() && booking_date.is_none() {
        return Err(invalid("must be given with import")).at("booking_date");
    }
    Ok(NewTransaction {
        id: TransactionId::parse_chosen(&fields.transaction_id).at("transaction_id")?,
        kind: kind(fields.kind, default).at("type")?,
        entries,
        description: description(fields.description).at("description")?,
        labels: field::labels(fields.labels).at("labels")?,
        effective_time: time(fields.effective_time).at("effective_time")?,
        links: links(fields.links, known).at("links")?,
        evidence: evidence(&fields.evidence).at("evidence")?,
        external_ids: external_ids(fields.external_ids).at("external_ids")?,
        group_id: group_id(fields.group_id).at("group_id")?,
        force: force(fields.force).at("force")?,
        booking_date,
        late: match fields.late {
            wire::LatePosting::NextOpenPeriod => Late::NextOpenPeriod,
            wire::LatePosting::Refuse | wire::LatePosting::Unspecified => Late::Refuse,
        },
        import_source,
        books_soft_closed: false,
    })
}

/// The type of a posting or a hold.
pub(super) fn kind(kind: String, default: Option<&str>) -> Decoded<String> {
    match default {
        Some(default) if kind.is_empty() => Ok(default.to_owned()),
        _ => field::code(kind),
    }
}

pub(super) fn description(text: String) -> Decoded<String> {
    field::text(text, 0, DESCRIPTION_MAX)
}

pub(super) fn time(wire: Option<prost_types::Timestamp>) -> Decoded<Option<Timestamp>> {
    wire.map(Timestamp::decode).transpose()
}

/// Entries, which must balance.
pub(super) fn entries(wire: Vec<wire::Entry>, known: &Currencies) -> Decoded<Vec<NewEntry>> {
    let count = wire.len();
    if count > ENTRIES_MAX {
        let sentence = format!("must be at most {ENTRIES_MAX}, and are {count}");
        let problem = Problem::new(Reason::TooManyEntries, sentence).in_field("");
        return Err(Box::new(problem.figure("count", count).figure("limit", ENTRIES_MAX)));
    }
    if count < 2 {
        return Err(invalid("must be at least 2"));
    }
    let entries: Vec<NewEntry> = wire
        .into_iter()
        .enumerate()
        .map(|(index, wire)| entry(wire, known).at_index("", index))
        .collect::<Decoded<_>>()?;
    check_balance(&entries).map_err(|unbalanced| match unbalanced {
        None => Box::new(overflow()),
        Some(sums) => {
            let major = |units: Units| units.major(sums.currency);
            let (debits, credits) = (major(sums.debits), major(sums.credits));
            let sentence =
                format!("must balance: {debits} debited, {credits} credited in {}", sums.currency);
            let problem = Problem::new(Reason::Unbalanced, sentence).in_field("");
            Box::new(
                problem
                    .figure("currency", sums.currency)
                    .figure("debits", debits)
                    .figure("credits", credits),
            )
        }
    })?;
    Ok(entries)
}

fn overflow() -> Problem {
    Problem::new(Reason::AmountOverflow, "must have sums of at most 38 digits").in_field("")
}

fn entry(wire: wire::Entry, known: &Currencies) -> Decoded<NewEntry> {
    let expected_version = match wire.expected_version {
        0 => None,
        1.. => Some(wire.expected_version),
        _ => return Err(invalid("must not be negative")).at("expected_version"),
    };
    let min = wire.min_available_after.as_ref();
    Ok(NewEntry {
        account: AccountId::parse_name(&wire.account).at("account")?,
        direction: decode::direction(wire.direction()).at("direction")?,
        amount: field::required(wire.amount.as_ref())
            .and_then(|amount| Money::decode_positive(amount, known))
            .at("amount")?,
        memo: field::text(wire.memo, 0, MEMO_MAX).at("memo")?,
        expected_version,
        min_available_after: min
            .map(|min| Money::decode(min, known))
            .transpose()
            .at("min_available_after")?,
    })
}

fn links(wire: Vec<wire::Link>, known: &Currencies) -> Decoded<Vec<Link>> {
    at_most(wire.len(), LINKS_MAX)?;
    let links = wire.into_iter().enumerate();
    links.map(|(index, wire)| link(&wire, known).at_index("", index)).collect()
}

fn link(wire: &wire::Link, known: &Currencies) -> Decoded<Link> {
    use wire::link::Type;
    let kind = match wire.r#type() {
        Type::RefundOf => LinkType::RefundOf,
        Type::ChargebackOf => LinkType::ChargebackOf,
        Type::Corrects => LinkType::Corrects,
        Type::FeeOf => LinkType::FeeOf,
        Type::ReversalOf => return Err(invalid("is made by ReverseTransaction alone")).at("type"),
        Type::Unspecified => {
            let sentence = "must be REFUND_OF, CHARGEBACK_OF, CORRECTS or FEE_OF";
            return Err(invalid(sentence)).at("type");
        }
    };
    if wire.entry_index < 0 {
        return Err(invalid("must not be negative")).at("entry_index");
    }
    let transaction = TransactionId::parse_name(&wire.transaction).at("transaction")?;
    let amount = field::required(wire.amount.as_ref())
        .and_then(|amount| Money::decode_positive(amount, known))
        .at("amount")?;
    Ok(Link { kind, entry: EntryRef { transaction, index: wire.entry_index }, amount })
}

fn evidence(names: &[String]) -> Decoded<Vec<Evidence>> {
    at_most(names.len(), EVIDENCE_MAX)?;
    let read = |name: &str| {
        let (record, version) = name.rsplit_once("/versions/")?;
        let number: i64 = version.parse().ok().filter(|number| *number > 0)?;
        // One spelling for each version.
        let version = Some(number).filter(|number| number.to_string() == version)?;
        Some(Evidence { record: RecordId::parse_name(record).ok()?, version })
    };
    let evidence = names.iter().enumerate().map(|(index, name)| {
        let found = read(name);
        found.ok_or_else(|| invalid("must be records/{uuid}/versions/{n}")).at_index("", index)
    });
    evidence.collect()
}

/// The caller's own ids by kind.
pub(super) fn external_ids(ids: BTreeMap<String, String>) -> Decoded<BTreeMap<String, String>> {
    at_most(ids.len(), EXTERNAL_IDS_MAX)?;
    for (kind, value) in &ids {
        field::code(kind.clone()).map_err(|_| invalid("has a kind that is no code"))?;
        field::text(value.clone(), 1, EXTERNAL_ID_MAX).at(kind)?;
    }
    Ok(ids)
}

/// A group; none where it is empty.
pub(super) fn group_id(id: String) -> Decoded<Option<String>> {
    if id.is_empty() { Ok(None) } else { word(id).map(Some) }
}

fn booking_date(day: &str) -> Decoded<Option<Day>> {
    if day.is_empty() { Ok(None) } else { Day::parse(day).map(Some) }
}

/// The ledger that a posting is brought from.
fn import_source(wire: Option<wire::Import>) -> Decoded<Option<String>> {
    let source = wire.map(|import| match import.source.is_empty() {
        true => Err(invalid("is required")).at("source"),
        false => word(import.source).at("source"),
    });
    source.transpose()
}

fn word(word: String) -> Decoded<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    if word.len() > WORD_MAX || !word.chars().all(fits) {
        let sentence = format!("must be at most {WORD_MAX} letters, digits and \"._:-\"");
        return Err(invalid(sentence));
    }
    Ok(word)
}

/// What rules are overridden, and why.
pub(super) fn force(wire: Option<wire::Force>) -> Decoded<Option<Force>> {
    let Some(wire) = wire else { return Ok(None) };
    let mut overrides = Vec::new();
    for (index, rule) in wire.overrides.into_iter().enumerate() {
        overrides.push(match wire::Override::try_from(rule) {
            Ok(wire::Override::Funds) => Override::Funds,
            Ok(wire::Override::Limits) => Override::Limits,
            Ok(wire::Override::Controls) => Override::Controls,
            Ok(wire::Override::HoldExpired) => Override::HoldExpired,
            Ok(wire::Override::Unspecified) | Err(_) => {
                let sentence = "must be FUNDS, LIMITS, CONTROLS or HOLD_EXPIRED";
                return Err(invalid(sentence)).at_index("overrides", index);
            }
        });
    }
    if overrides.is_empty() {
        return Err(invalid("must name at least one rule")).at("overrides");
    }
    let reason = field::text(wire.reason, 1, REASON_MAX).at("reason")?;
    Ok(Some(Force { overrides: Overrides::of(overrides), reason }))
}

fn at_most(count: usize, limit: usize) -> Decoded<()> {
    if count <= limit {
        return Ok(());
    }
    Err(invalid(format!("must be at most {limit}, and are {count}")))
}
