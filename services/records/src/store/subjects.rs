//! The table of subjects.

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::subjects;
use crate::domain::subject::{Subject, SubjectId, SubjectState};

#[derive(Debug, Queryable, Insertable, Selectable)]
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
