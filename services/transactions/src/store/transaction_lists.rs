//! Lists of `transactions`. Whatever the filter, a list walks along one index and looks the rest of
//! the filter up for each candidate by its key.

mod look_ups;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid};
use serde::{Deserialize, Serialize};
use shared::db::statement;
use shared::filter::Period;
use shared::ids::TenantId;
use shared::page::EXAMINED_MAX;
use shared::time::Timestamp;

use self::look_ups::{Head, heads, with_account, with_labels};
use super::schema::labels;
use super::{EARLIEST, LATEST, entries, external_ids, ledger_accounts};
use crate::domain::{AccountId, Collection, TransactionId};
use crate::error::Error;

/// About how many bytes a transaction and each of its entries have in a message.
const HEAD_BYTES: usize = 256;
const ENTRY_BYTES: usize = 128;
/// Before every id.
const FIRST_ID: TransactionId = TransactionId::from_uuid(uuid::Uuid::nil());

/// What a list lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) account: Option<AccountId>,
    pub(crate) kind: Option<String>,
    /// Empty for those of no group.
    pub(crate) group_id: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) external_ids: BTreeMap<String, String>,
    pub(crate) period: Period,
}

/// A place in a list: the latest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    record_time: Timestamp,
    id: TransactionId,
    /// The place in the account, where the list walks along one.
    entry_seq: Option<i64>,
}

/// A transaction that may be of a page.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) id: TransactionId,
    pub(crate) place: Place,
    /// Whether the filter lets it through.
    pub(crate) is_kept: bool,
    head: Head,
}

impl Candidate {
    fn new(head: Head, entry_seq: Option<i64>) -> Self {
        let (id, record_time) = (head.id, head.record_time);
        Self { id, place: Place { record_time, id, entry_seq }, is_kept: true, head }
    }

    /// About how many bytes it has in a message.
    pub(crate) fn bytes(&self) -> usize {
        HEAD_BYTES + usize::try_from(self.head.entry_count).unwrap_or(0) * ENTRY_BYTES
    }
}

/// What a list walks along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Along<'a> {
    /// The transaction that has them all, if any.
    ExternalIds,
    Group(&'a str),
    Label(&'a str, &'a str),
    /// The entries of an account in front of a place.
    Account(AccountId, i64),
    Time,
}

impl<'a> Along<'a> {
    /// The walk along what a filter knows but the account.
    fn key(filter: &'a Filter) -> Option<Self> {
        let group = filter.group_id.as_deref().filter(|group| !group.is_empty());
        let label = filter.labels.first_key_value();
        match (filter.external_ids.is_empty(), group, label) {
            (false, ..) => Some(Self::ExternalIds),
            (true, Some(group), _) => Some(Self::Group(group)),
            (true, None, Some((key, value))) => Some(Self::Label(key, value)),
            (true, None, None) => None,
        }
    }

    /// The walk along an account, where there is no better one: its entries are examined at once if
    /// they are few, and may be more than a key has if they are many.
    fn account(
        conn: &mut PgConnection,
        tenant: TenantId,
        filter: &Filter,
        account: AccountId,
        has_key: bool,
    ) -> Result<Option<Self>, Error> {
        let found = ledger_accounts::select(conn, tenant, account)?;
        let count = found.map_or(0, |account| account.entry_seq);
        let is_small = usize::try_from(count).is_ok_and(|count| count <= EXAMINED_MAX);
        if has_key && !is_small {
            return Ok(None);
        }
        let place = match filter.period.before {
            None => count + 1,
            Some(time) => entries::first_from(conn, tenant, account, count, time)?,
        };
        Ok(Some(Self::Account(account, place)))
    }
}

// In all of these the limit is a query, so that the planner does not know it: it would else sort
// what it takes for a few rows.

const BY_TIME: &str = "\
    SELECT id, kind, group_id, entry_count, record_time FROM transactions \
    WHERE tenant_id = $1 AND record_time >= $2 AND (record_time, id) < ($3, $4) \
    ORDER BY record_time DESC FETCH FIRST (SELECT $5) ROWS WITH TIES";

/// One range of the index by group, in terms that the index by time does not serve.
const BY_GROUP: &str = "\
    SELECT id, kind, group_id, entry_count, record_time FROM transactions \
    WHERE tenant_id = $1 AND group_id IS NOT NULL AND (group_id, record_time) >= ($6, $2) \
        AND (group_id, record_time) <= ($6, $3) AND (record_time < $3 OR id < $4) \
    ORDER BY group_id DESC, record_time DESC FETCH FIRST (SELECT $5) ROWS WITH TIES";

const BY_LABEL: &str = "\
    SELECT transaction_id FROM labels \
    WHERE tenant_id = $1 AND key = $2 AND value = $3 AND record_time >= $4 \
        AND (record_time, transaction_id) < ($5, $6) \
    ORDER BY record_time DESC, transaction_id DESC LIMIT (SELECT $7)";

#[derive(Debug, QueryableByName)]
#[diesel(table_name = labels)]
struct Labelled {
    transaction_id: TransactionId,
}

/// The walk of one list.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    tenant: TenantId,
    filter: &'a Filter,
    along: Along<'a>,
}

impl<'a> Walk<'a> {
    /// Chooses what to walk along: what leaves few candidates, as far as that is known.
    pub(crate) fn choose(
        conn: &mut PgConnection,
        tenant: TenantId,
        filter: &'a Filter,
        after: Option<&Place>,
    ) -> Result<Self, Error> {
        let key = Along::key(filter);
        let account = match (filter.account, after) {
            _ if key == Some(Along::ExternalIds) => None,
            (None, _) => None,
            // A list goes on along what it began with.
            (Some(account), Some(after)) => {
                after.entry_seq.map(|place| Along::Account(account, place))
            }
            (Some(account), None) => Along::account(conn, tenant, filter, account, key.is_some())?,
        };
        Ok(Self { tenant, filter, along: account.or(key).unwrap_or(Along::Time) })
    }

    /// Reads candidates behind a place in the order of the list: fewer than `limit` where there are
    /// no more, else as many and those that share the last one's time.
    pub(crate) fn candidates(
        &self,
        conn: &mut PgConnection,
        after: Option<&Place>,
        limit: i64,
    ) -> QueryResult<Vec<Candidate>> {
        let mut candidates = match self.along {
            Along::ExternalIds if after.is_some() => Vec::new(),
            Along::ExternalIds => self.by_external_ids(conn)?,
            Along::Account(account, place) => {
                self.by_account(conn, account, place, after, limit)?
            }
            Along::Label(key, value) => self.by_label(conn, (key, value), after, limit)?,
            Along::Group(group) => self.by_time(conn, Some(group), after, limit)?,
            Along::Time => self.by_time(conn, None, after, limit)?,
        };
        self.leave_out(conn, &mut candidates)?;
        Ok(candidates)
    }

    fn by_external_ids(&self, conn: &mut PgConnection) -> QueryResult<Vec<Candidate>> {
        let ids = &self.filter.external_ids;
        let holder = external_ids::holder(conn, self.tenant, Collection::Transactions, ids)?;
        let ids = holder.into_iter().map(TransactionId::from_uuid).collect();
        let heads = heads(conn, self.tenant, ids)?;
        Ok(heads.into_values().map(|head| Candidate::new(head, None)).collect())
    }

    /// An account may have several entries of a transaction, one after the other.
    fn by_account(
        &self,
        conn: &mut PgConnection,
        account: AccountId,
        begin: i64,
        after: Option<&Place>,
        limit: i64,
    ) -> QueryResult<Vec<Candidate>> {
        let place = after.and_then(|after| after.entry_seq).unwrap_or(begin);
        let from = self.filter.period.from;
        let entries = entries::in_front(conn, self.tenant, account, place, from, limit)?;
        let mut last = after.map(|after| after.id);
        let candidate = |entry: entries::Listed| {
            let id = entry.transaction_id;
            let head = Head {
                id,
                kind: entry.kind,
                group_id: entry.group_id,
                entry_count: entry.entry_count,
                record_time: entry.record_time,
            };
            let is_kept = last.replace(id) != Some(id);
            Candidate { is_kept, ..Candidate::new(head, Some(entry.entry_seq)) }
        };
        Ok(entries.into_iter().map(candidate).collect())
    }

    fn by_label(
        &self,
        conn: &mut PgConnection,
        (key, value): (&str, &str),
        after: Option<&Place>,
        limit: i64,
    ) -> QueryResult<Vec<Candidate>> {
        let place = self.begin(after);
        let binds = (
            self.tenant.into_sql::<Uuid>(),
            key.into_sql::<Text>(),
            value.into_sql::<Text>(),
            self.filter.period.from.unwrap_or(EARLIEST).into_sql::<Timestamptz>(),
            place.record_time.into_sql::<Timestamptz>(),
            place.id.into_sql::<Uuid>(),
            limit.into_sql::<BigInt>(),
        );
        let rows: Vec<Labelled> = statement(BY_LABEL, binds).load(conn)?;
        let ids: Vec<TransactionId> = rows.iter().map(|row| row.transaction_id).collect();
        let mut heads = heads(conn, self.tenant, ids.clone())?;
        let heads = ids.into_iter().filter_map(|id| heads.remove(&id));
        Ok(heads.map(|head| Candidate::new(head, None)).collect())
    }

    fn by_time(
        &self,
        conn: &mut PgConnection,
        group: Option<&str>,
        after: Option<&Place>,
        limit: i64,
    ) -> QueryResult<Vec<Candidate>> {
        let place = self.begin(after);
        let binds = (
            self.tenant.into_sql::<Uuid>(),
            self.filter.period.from.unwrap_or(EARLIEST).into_sql::<Timestamptz>(),
            place.record_time.into_sql::<Timestamptz>(),
            place.id.into_sql::<Uuid>(),
            limit.into_sql::<BigInt>(),
        );
        let heads: Vec<Head> = match group {
            None => statement(BY_TIME, binds).load(conn)?,
            Some(group) => {
                let (tenant, from, time, id, limit) = binds;
                let group = group.into_sql::<Text>();
                statement(BY_GROUP, (tenant, from, time, id, limit, group)).load(conn)?
            }
        };
        let mut candidates: Vec<Candidate> =
            heads.into_iter().map(|head| Candidate::new(head, None)).collect();
        // The index does not know the order of those of one time.
        candidates.sort_by_key(|candidate| Reverse(candidate.place));
        Ok(candidates)
    }

    /// Behind which place a look along times begins.
    fn begin(&self, after: Option<&Place>) -> Place {
        let record_time = self.filter.period.before.unwrap_or(LATEST);
        let end = Place { record_time, id: FIRST_ID, entry_seq: None };
        after.copied().unwrap_or(end)
    }

    /// Leaves out what the rest of the filter does not let through.
    fn leave_out(&self, conn: &mut PgConnection, candidates: &mut [Candidate]) -> QueryResult<()> {
        let filter = self.filter;
        for Candidate { head, is_kept, .. } in candidates.iter_mut() {
            *is_kept &= filter.kind.as_ref().is_none_or(|kind| head.kind == *kind);
            let group = head.group_id.as_deref().unwrap_or_default();
            *is_kept &= filter.group_id.as_ref().is_none_or(|wanted| group == wanted);
            *is_kept &= filter.period.from.is_none_or(|from| from <= head.record_time);
            *is_kept &= filter.period.before.is_none_or(|before| head.record_time < before);
        }
        let own = match self.along {
            Along::Label(key, _) => Some(key),
            _ => None,
        };
        let labels: Vec<(&str, &str)> = filter
            .labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .filter(|(key, _)| Some(*key) != own)
            .collect();
        if !labels.is_empty() {
            keep(candidates, |ids| with_labels(conn, self.tenant, ids, &labels))?;
        }
        match (filter.account, self.along) {
            (None, _) | (_, Along::Account(..)) => Ok(()),
            (Some(account), _) => {
                keep(candidates, |ids| with_account(conn, self.tenant, ids, account))
            }
        }
    }
}

/// Keeps those candidates whose ids `look` gives back.
fn keep(
    candidates: &mut [Candidate],
    look: impl FnOnce(Vec<TransactionId>) -> QueryResult<BTreeSet<TransactionId>>,
) -> QueryResult<()> {
    let kept = candidates.iter().filter(|candidate| candidate.is_kept);
    let ids: Vec<TransactionId> = kept.map(|candidate| candidate.id).collect();
    if !ids.is_empty() {
        let found = look(ids)?;
        for candidate in candidates {
            candidate.is_kept &= found.contains(&candidate.id);
        }
    }
    Ok(())
}
