//! The table of subjects.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::schema::subjects;
use crate::domain::record::RecordId;
use crate::domain::subject::{Subject, SubjectId, SubjectState};

// In both of these the limit is a query, so that the planner does not know it.

/// Subjects from an id on.
pub(super) const LIST: &str = "\
    SELECT tenant_id, id, state, revision, create_time FROM subjects \
    WHERE tenant_id = $1 AND id >= $2 ORDER BY id LIMIT (SELECT $3)";
/// The records of a subject behind an id.
pub(super) const RECORD_IDS: &str = "\
    SELECT id FROM records WHERE tenant_id = $1 AND (subject_id, id) > ($2, $3) \
        AND (subject_id, id) <= ($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff') \
    ORDER BY subject_id, id LIMIT (SELECT $4)";

#[derive(Debug, Queryable, QueryableByName, Insertable, Selectable)]
#[diesel(table_name = subjects)]
struct Row {
    tenant_id: TenantId,
    id: SubjectId,
    state: i16,
    revision: i64,
    create_time: Timestamp,
}

impl From<Row> for Subject {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            state: from_column(row.state),
            create_time: row.create_time,
            revision: row.revision,
        }
    }
}

/// The state as the table has it.
fn column(state: SubjectState) -> i16 {
    match state {
        SubjectState::Active => 1,
        SubjectState::Restricted => 2,
        SubjectState::Erased => 3,
    }
}

/// The state that the table has.
pub(super) fn from_column(column: i16) -> SubjectState {
    match column {
        1 => SubjectState::Active,
        2 => SubjectState::Restricted,
        // What is not known to be allowed is not.
        _ => SubjectState::Erased,
    }
}

/// Inserts a subject; false where the id is taken.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: &Subject,
) -> QueryResult<bool> {
    let row = Row {
        tenant_id: tenant,
        id: subject.id,
        state: column(subject.state),
        revision: subject.revision,
        create_time: subject.create_time,
    };
    let inserted = diesel::insert_into(subjects::table).values(row).on_conflict_do_nothing();
    Ok(inserted.execute(conn)? == 1)
}

/// Reads a subject.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: SubjectId,
) -> QueryResult<Option<Subject>> {
    let row: Option<Row> =
        subjects::table.find((tenant, id)).select(Row::as_select()).first(conn).optional()?;
    Ok(row.map(Row::into))
}

/// Reads a subject and keeps everybody else from it until the end of the transaction: whoever holds
/// its state as it is is waited for.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: SubjectId,
) -> QueryResult<Option<Subject>> {
    let query = subjects::table.find((tenant, id)).select(Row::as_select());
    Ok(query.for_no_key_update().first(conn).optional()?.map(Row::into))
}

/// Writes the state of a subject, which is a change of it.
pub(crate) fn set_state(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: SubjectId,
    state: SubjectState,
) -> QueryResult<()> {
    diesel::update(subjects::table.find((tenant, id)))
        .set((subjects::state.eq(column(state)), subjects::revision.eq(subjects::revision + 1)))
        .execute(conn)?;
    Ok(())
}

/// Reads at most `limit` subjects behind an id, in the order of their ids.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: Option<&SubjectId>,
    limit: i64,
) -> QueryResult<Vec<Subject>> {
    let next = |after: &SubjectId| after.uuid().as_u128().checked_add(1);
    let Some(from) = after.map_or(Some(0), next) else { return Ok(Vec::new()) };
    let binds = (
        tenant.into_sql::<SqlUuid>(),
        Uuid::from_u128(from).into_sql::<SqlUuid>(),
        limit.into_sql::<BigInt>(),
    );
    let rows: Vec<Row> = statement(LIST, binds).load(conn)?;
    Ok(rows.into_iter().map(Row::into).collect())
}

/// The ids of at most `limit` of a subject's records behind one, in order, whatever their states.
pub(crate) fn record_ids(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    after: Option<RecordId>,
    limit: i64,
) -> QueryResult<Vec<RecordId>> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = SqlUuid)]
        id: RecordId,
    }
    let after = after.unwrap_or(RecordId::from_uuid(Uuid::nil()));
    let binds = (
        tenant.into_sql::<SqlUuid>(),
        subject.into_sql::<SqlUuid>(),
        after.into_sql::<SqlUuid>(),
        limit.into_sql::<BigInt>(),
    );
    let found: Vec<Found> = statement(RECORD_IDS, binds).load(conn)?;
    Ok(found.into_iter().map(|one| one.id).collect())
}

/// Reads the state of a subject and keeps it as it is until the end of the transaction.
pub(crate) fn lock_state(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: SubjectId,
) -> QueryResult<Option<SubjectState>> {
    let state: Option<i16> = subjects::table
        .find((tenant, id))
        .select(subjects::state)
        .for_share()
        .first(conn)
        .optional()?;
    Ok(state.map(from_column))
}
