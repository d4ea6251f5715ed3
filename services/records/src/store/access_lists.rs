//! Lists of `accesses`, the latest first, and entries by their ids.

use std::cmp::Reverse;
use std::time::Duration;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Array, BigInt, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use shared::commitment::Commitment;
use shared::db::{Statement, statement};
use shared::filter::Period;
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::accesses::{DENY, PERMIT, time_of, view};
use super::schema::accesses;
use crate::domain::access::AccessId;
use crate::domain::access_entry::AccessEntry;
use crate::domain::record::{RecordId, View};
use crate::domain::subject::SubjectId;
use crate::seal::SealBroken;

/// Before and after every time: 0001-01-01 and 9999-12-31.
const EARLIEST: Timestamp = Timestamp::from_micros(-62_135_596_800_000_000);
const LATEST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);
/// The part of a time that an id does not say.
const ID_PRECISION: Duration = Duration::from_millis(1);

/// What a list lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) principal: Option<String>,
    pub(crate) subject: Option<SubjectId>,
    pub(crate) target: Option<Target>,
    pub(crate) action: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) is_permitted: Option<bool>,
    pub(crate) period: Period,
}

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Record(RecordId),
    Other(String),
}

/// A place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    time: Timestamp,
    id: Uuid,
}

/// An entry as it lies in the table.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(table_name = accesses)]
pub(crate) struct Row {
    id: AccessId,
    time: Timestamp,
    principal: String,
    principal_salt: Option<Vec<u8>>,
    principal_commitment: Option<Vec<u8>>,
    workload: Option<String>,
    action: String,
    subject_id: Option<SubjectId>,
    record_id: Option<RecordId>,
    version: Option<i64>,
    resource: Option<String>,
    view: Option<i16>,
    purpose: Option<String>,
    decision: i16,
    reason: Option<String>,
    grounds: Option<String>,
    trace_id: String,
}

impl Row {
    pub(crate) fn id(&self) -> AccessId {
        self.id
    }

    pub(crate) fn place(&self) -> Place {
        Place { time: self.time, id: self.id.uuid() }
    }

    /// About how many bytes it has in a message.
    pub(crate) fn bytes(&self) -> usize {
        let texts = [&self.workload, &self.resource, &self.grounds, &self.purpose, &self.reason];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        // Once as fields, and once in the leaf.
        2 * (self.principal.len() + self.action.len() + texts) + 768
    }

    /// Whether a filter lets it through.
    pub(crate) fn is_kept(&self, filter: &Filter) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none_or(|wanted| found == Some(wanted))
        }
        let targeted = match &filter.target {
            None => true,
            Some(Target::Record(record)) => self.record_id == Some(*record),
            Some(Target::Other(name)) => {
                self.record_id.is_none() && self.resource.as_ref() == Some(name)
            }
        };
        targeted
            && is(filter.principal.as_ref(), Some(&self.principal))
            && is(filter.subject.as_ref(), self.subject_id.as_ref())
            && is(filter.action.as_ref(), Some(&self.action))
            && is(filter.purpose.as_ref(), self.purpose.as_ref())
            && is(filter.is_permitted.as_ref(), Some(&self.reason.is_none()))
    }

    /// What it says. `SealBroken` where it says what no entry does.
    pub(crate) fn entry(self) -> Result<AccessEntry, SealBroken> {
        let decision = if self.reason.is_none() { PERMIT } else { DENY };
        if self.decision != decision {
            return Err(SealBroken);
        }
        let commitment = match (self.principal_salt, self.principal_commitment) {
            (Some(salt), Some(value)) => Some(Commitment { salt, value }),
            (None, None) => None,
            _ => return Err(SealBroken),
        };
        let shown = |shown: i16| {
            let views = [View::Basic, View::Masked, View::Full];
            views.into_iter().find(|one| view(*one) == shown).ok_or(SealBroken)
        };
        Ok(AccessEntry {
            id: self.id,
            time: self.time,
            principal: self.principal,
            commitment,
            workload: self.workload,
            action: self.action,
            subject: self.subject_id,
            record: self.record_id,
            version: self.version,
            view: self.view.map(shown).transpose()?,
            purpose: self.purpose,
            refusal: self.reason,
            resource: self.resource,
            grounds: self.grounds,
            trace_id: self.trace_id,
        })
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT a.id, a.time, a.principal, a.principal_salt, a.principal_commitment, \
                a.workload, a.action, a.subject_id, a.record_id, a.version, a.resource, a.view, \
                a.purpose, a.decision, a.reason, a.grounds, a.trace_id ",
            $rest
        )
    };
}

/// Reads candidates behind a place in the order of the list, along one index whatever the filter:
/// fewer than `limit` where there are no more, else as many, and those that share the last one's
/// time.
pub(crate) fn candidates(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    after: Option<&Place>,
    limit: i64,
) -> QueryResult<Vec<Row>> {
    let from = filter.period.from.unwrap_or(EARLIEST);
    let first = Place { time: filter.period.before.unwrap_or(LATEST), id: Uuid::nil() };
    let place = after.copied().unwrap_or(first);
    let mut rows: Vec<Row> = match filter.subject {
        None => by_time(tenant, from, place, limit).load(conn)?,
        Some(subject) => by_subject(tenant, subject, from, place, limit).load(conn)?,
    };
    // The index of subjects does not know the order of those of one time.
    rows.sort_by_key(|row| Reverse(row.place()));
    Ok(rows)
}

// In both of these the limit is a query, so that the planner does not know it: it would else sort
// what it takes for a few rows.

fn by_time(
    tenant: TenantId,
    from: Timestamp,
    place: Place,
    limit: i64,
) -> Statement<impl QueryFragment<Pg> + use<>> {
    const SELECT: &str = select!(
        "FROM accesses a WHERE tenant_id = $1 AND time >= $2 AND time <= $3 \
            AND (time, id) < ($3, $4) \
         ORDER BY time DESC FETCH FIRST (SELECT $5) ROWS WITH TIES"
    );
    let binds = (
        tenant.into_sql::<SqlUuid>(),
        from.into_sql::<Timestamptz>(),
        place.time.into_sql::<Timestamptz>(),
        place.id.into_sql::<SqlUuid>(),
        limit.into_sql::<BigInt>(),
    );
    statement(SELECT, binds)
}

fn by_subject(
    tenant: TenantId,
    subject: SubjectId,
    from: Timestamp,
    place: Place,
    limit: i64,
) -> Statement<impl QueryFragment<Pg> + use<>> {
    // One range of the index by subject, in terms that the index by time does not serve.
    const SELECT: &str = select!(
        "FROM accesses a WHERE tenant_id = $1 AND (subject_id, time) >= ($6, $2) \
            AND (subject_id, time) <= ($6, $3) AND (time < $3 OR id < $4) \
         ORDER BY subject_id DESC, time DESC FETCH FIRST (SELECT $5) ROWS WITH TIES"
    );
    let binds = (
        tenant.into_sql::<SqlUuid>(),
        from.into_sql::<Timestamptz>(),
        place.time.into_sql::<Timestamptz>(),
        place.id.into_sql::<SqlUuid>(),
        limit.into_sql::<BigInt>(),
        subject.into_sql::<SqlUuid>(),
    );
    statement(SELECT, binds)
}

/// Reads entries by their ids, of which each says in what month it lies. What is gone is not among
/// them.
pub(crate) fn select_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[Uuid],
) -> QueryResult<Vec<Row>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    by_ids(tenant, ids).load(conn)
}

fn by_ids(tenant: TenantId, ids: &[Uuid]) -> Statement<impl QueryFragment<Pg> + use<>> {
    // The order says which index: that of subjects knows the time too, behind what is not asked.
    const SELECT: &str = select!(
        "FROM unnest($2, $3, $4) AS w (id, first, last), \
         LATERAL (SELECT * FROM accesses WHERE tenant_id = $1 AND time >= w.first \
            AND time < w.last AND id = w.id ORDER BY time, id LIMIT 1) a"
    );
    let first: Vec<Timestamp> = ids.iter().map(|id| time_of(*id).unwrap_or(EARLIEST)).collect();
    let last: Vec<Timestamp> = first.iter().map(|time| time.plus(ID_PRECISION)).collect();
    let binds = (
        tenant.into_sql::<SqlUuid>(),
        ids.to_vec().into_sql::<Array<SqlUuid>>(),
        first.into_sql::<Array<Timestamptz>>(),
        last.into_sql::<Array<Timestamptz>>(),
    );
    statement(SELECT, binds)
}

#[cfg(test)]
mod tests;
