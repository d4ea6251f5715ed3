//! Lists of `records`, by id. Whatever the filter, a list walks along one index and looks the rest
//! of the filter up for each candidate.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Uuid};
use shared::db::statement;
use shared::filter::Period;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::records::{RecordRow, from_column};
use super::schema::{record_labels, record_versions, records};
use crate::domain::content_type::ContentType;
use crate::domain::record::{Record, RecordId, RecordState};
use crate::domain::subject::SubjectId;

/// About how many bytes a record has in a message, but for its labels.
pub(crate) const BYTES: usize = 384;
/// Before every id.
const FIRST_ID: RecordId = RecordId::from_uuid(uuid::Uuid::nil());

/// What a list lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) subject: Option<SubjectId>,
    pub(crate) kind: Option<String>,
    /// Those that are active, where it does not say.
    pub(crate) state: Option<RecordState>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) created: Period,
    pub(crate) happened: Period,
}

/// A record that may be of a page.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    row: Head,
    /// Whether the filter lets it through.
    pub(crate) is_kept: bool,
}

impl Candidate {
    /// The id, which is the place in the list.
    pub(crate) fn id(&self) -> RecordId {
        self.row.id
    }
}

/// What a record has in its own row that lists ask for.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(table_name = records)]
struct Head {
    id: RecordId,
    subject_id: SubjectId,
    kind: String,
    state: i16,
    create_time: Timestamp,
    event_time: Option<Timestamp>,
}

impl Head {
    /// Whether a filter lets it through, as far as this knows.
    fn is_kept(&self, filter: &Filter) -> bool {
        let state = filter.state.unwrap_or(RecordState::Active);
        filter.subject.is_none_or(|subject| subject == self.subject_id)
            && filter.kind.as_ref().is_none_or(|kind| *kind == self.kind)
            && state == from_column(self.state)
            && is_in(filter.created, Some(self.create_time))
            && is_in(filter.happened, self.event_time)
    }
}

fn is_in(period: Period, time: Option<Timestamp>) -> bool {
    period.from.is_none_or(|from| time.is_some_and(|time| from <= time))
        && period.before.is_none_or(|before| time.is_some_and(|time| time < before))
}

// In all of these the limit is a query, so that the planner does not know it: it would else walk
// along the primary key for what it takes for many rows. Each asks for one range of its own index,
// in terms that no other index serves.

const BY_ID: &str = "\
    SELECT id, subject_id, kind, state, create_time, event_time FROM records \
    WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT (SELECT $3)";

const BY_SUBJECT: &str = "\
    SELECT id, subject_id, kind, state, create_time, event_time FROM records \
    WHERE tenant_id = $1 AND (subject_id, id) > ($4, $2) AND (subject_id, id) <= ($4, $5) \
    ORDER BY subject_id, id LIMIT (SELECT $3)";

const BY_KIND: &str = "\
    SELECT id, subject_id, kind, state, create_time, event_time FROM records \
    WHERE tenant_id = $1 AND (kind, id) > ($4, $2) AND (kind, id) <= ($4, $5) \
    ORDER BY kind, id LIMIT (SELECT $3)";

const BY_LABEL: &str = "\
    SELECT r.* FROM ( \
        SELECT record_id FROM record_labels \
        WHERE tenant_id = $1 AND key = $4 AND value = $5 AND record_id > $2 \
        ORDER BY record_id LIMIT (SELECT $3)) n, LATERAL ( \
        SELECT id, subject_id, kind, state, create_time, event_time FROM records \
        WHERE tenant_id = $1 AND id = n.record_id LIMIT 1) r \
    ORDER BY r.id";

/// Reads candidates behind an id, in the order of the list: fewer than `limit` where there are no
/// more.
pub(crate) fn candidates(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    after: Option<RecordId>,
    limit: i64,
) -> QueryResult<Vec<Candidate>> {
    let after = after.unwrap_or(FIRST_ID).into_sql::<Uuid>();
    let last = uuid::Uuid::max().into_sql::<Uuid>();
    let (of, limit) = (tenant.into_sql::<Uuid>(), limit.into_sql::<BigInt>());
    let rows: Vec<Head> = match (filter.subject, filter.labels.first_key_value()) {
        (Some(subject), _) => {
            let binds = (of, after, limit, subject.into_sql::<Uuid>(), last);
            statement(BY_SUBJECT, binds).load(conn)?
        }
        (None, Some((key, value))) => {
            let binds = (of, after, limit, key.into_sql::<Text>(), value.into_sql::<Text>());
            statement(BY_LABEL, binds).load(conn)?
        }
        (None, None) => match &filter.kind {
            Some(kind) => {
                let binds = (of, after, limit, kind.into_sql::<Text>(), last);
                statement(BY_KIND, binds).load(conn)?
            }
            None => statement(BY_ID, (of, after, limit)).load(conn)?,
        },
    };
    let mut candidates: Vec<_> =
        rows.into_iter().map(|row| Candidate { row, is_kept: true }).collect();
    if !filter.labels.is_empty() {
        let ids = candidates.iter().map(|one| one.row.id).collect();
        let labelled = with_labels(conn, tenant, ids, &filter.labels)?;
        for one in &mut candidates {
            one.is_kept = labelled.contains(&one.row.id);
        }
    }
    for one in &mut candidates {
        one.is_kept &= one.row.is_kept(filter);
    }
    Ok(candidates)
}

/// Those of the records that have all of these labels.
fn with_labels(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<RecordId>,
    labels: &BTreeMap<String, String>,
) -> QueryResult<BTreeSet<RecordId>> {
    // All labels of each record, which no index but the right one serves: by their keys, the
    // planner may take one that reads the labels of all records.
    const READ: &str = "\
        SELECT n.id FROM unnest($2) AS n (id) WHERE NOT EXISTS ( \
            SELECT FROM unnest($3, $4) AS w (key, value) WHERE (w.key, w.value) NOT IN ( \
                SELECT key, value FROM ( \
                    SELECT key, value FROM record_labels \
                    WHERE tenant_id = $1 AND record_id = n.id OFFSET 0) l))";
    #[derive(QueryableByName)]
    #[diesel(table_name = records)]
    struct Kept {
        id: RecordId,
    }
    let (keys, values): (Vec<&str>, Vec<&str>) =
        labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).unzip();
    let binds = (
        tenant.into_sql::<Uuid>(),
        ids.into_sql::<Array<Uuid>>(),
        keys.into_sql::<Array<Text>>(),
        values.into_sql::<Array<Text>>(),
    );
    let kept: Vec<Kept> = statement(READ, binds).load(conn)?;
    Ok(kept.into_iter().map(|row| row.id).collect())
}

#[derive(Debug, QueryableByName)]
struct Row {
    #[diesel(embed)]
    record: RecordRow,
    #[diesel(embed)]
    last: Last,
}

/// What a record has of its last version.
#[derive(Debug, QueryableByName)]
#[diesel(table_name = record_versions)]
struct Last {
    content_type: String,
    size_bytes: i64,
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = record_labels)]
struct Label {
    record_id: RecordId,
    key: String,
    value: String,
}

/// Reads records as of their last versions, in the order of their ids.
pub(crate) fn select_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[RecordId],
) -> QueryResult<Vec<Record>> {
    const READ: &str = "\
        SELECT r.*, v.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT tenant_id, id, subject_id, kind, event_time, version, revision, create_time, \
                update_time, state, delete_time, purge_time, expire_time \
            FROM records WHERE tenant_id = $1 AND id = n.id LIMIT 1) r, LATERAL ( \
            SELECT content_type, size_bytes FROM record_versions \
            WHERE tenant_id = $1 AND record_id = r.id AND version = r.version LIMIT 1) v \
        ORDER BY r.id";
    let mut labels = select_labels(conn, tenant, ids)?;
    let binds = (tenant.into_sql::<Uuid>(), ids.to_vec().into_sql::<Array<Uuid>>());
    let rows: Vec<Row> = statement(READ, binds).load(conn)?;
    let record = |Row { record, last }: Row| {
        let content_type = ContentType::stored(last.content_type);
        let mut record = record.record(content_type, last.size_bytes, BTreeMap::new());
        record.labels = labels.remove(&record.id).unwrap_or_default();
        record
    };
    Ok(rows.into_iter().map(record).collect())
}

fn select_labels(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[RecordId],
) -> QueryResult<BTreeMap<RecordId, BTreeMap<String, String>>> {
    const READ: &str = "\
        SELECT l.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT record_id, key, value FROM record_labels \
            WHERE tenant_id = $1 AND record_id = n.id) l";
    let binds = (tenant.into_sql::<Uuid>(), ids.to_vec().into_sql::<Array<Uuid>>());
    let rows: Vec<Label> = statement(READ, binds).load(conn)?;
    let mut labels = BTreeMap::<_, BTreeMap<_, _>>::new();
    for row in rows {
        labels.entry(row.record_id).or_default().insert(row.key, row.value);
    }
    Ok(labels)
}
