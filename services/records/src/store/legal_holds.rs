//! The table of legal holds.

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::latest::{self, Place, latest};
use super::schema::legal_holds;
use crate::domain::legal_hold::{HoldState, LegalHold, LegalHoldId};
use crate::domain::record::RecordId;
use crate::domain::retention::Blocker;
use crate::domain::subject::SubjectId;

/// The most blockers that are told.
pub(super) const BLOCKERS_MAX: i64 = 100;
const RELEASED: i16 = 3;
const OF_SUBJECT: &str = latest!("legal_holds", "subject_id");

#[derive(Queryable, QueryableByName, Insertable, Selectable, AsChangeset)]
#[diesel(table_name = legal_holds, treat_none_as_null = true)]
struct Row {
    tenant_id: TenantId,
    id: LegalHoldId,
    subject_id: SubjectId,
    record_id: Option<RecordId>,
    authority: String,
    case_reference: Option<String>,
    state: i16,
    placer: String,
    release_requester: Option<String>,
    releaser: Option<String>,
    revision: i64,
    create_time: Timestamp,
    release_time: Option<Timestamp>,
}

impl Row {
    fn new(tenant: TenantId, hold: &LegalHold) -> Self {
        Self {
            tenant_id: tenant,
            id: hold.id,
            subject_id: hold.subject,
            record_id: hold.record,
            authority: hold.authority.clone(),
            case_reference: hold.case_reference.clone(),
            state: match hold.state {
                HoldState::Active => 1,
                HoldState::ReleaseRequested => 2,
                HoldState::Released => RELEASED,
            },
            placer: hold.placer.clone(),
            release_requester: hold.release_requester.clone(),
            releaser: hold.releaser.clone(),
            revision: hold.revision,
            create_time: hold.create_time,
            release_time: hold.release_time,
        }
    }
}

impl From<Row> for LegalHold {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            subject: row.subject_id,
            record: row.record_id,
            authority: row.authority,
            case_reference: row.case_reference,
            state: match row.state {
                2 => HoldState::ReleaseRequested,
                RELEASED => HoldState::Released,
                // What is not known to be released holds.
                _ => HoldState::Active,
            },
            placer: row.placer,
            release_requester: row.release_requester,
            releaser: row.releaser,
            revision: row.revision,
            create_time: row.create_time,
            release_time: row.release_time,
        }
    }
}

/// Inserts a hold; false where the id is taken.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    hold: &LegalHold,
) -> QueryResult<bool> {
    let row = Row::new(tenant, hold);
    let inserted = diesel::insert_into(legal_holds::table).values(row).on_conflict_do_nothing();
    Ok(inserted.execute(conn)? == 1)
}

/// Reads a hold.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: LegalHoldId,
) -> QueryResult<Option<LegalHold>> {
    let query = legal_holds::table.find((tenant, id)).select(Row::as_select());
    Ok(query.first(conn).optional()?.map(Row::into))
}

/// Reads a hold and keeps others from changing it until the end of the transaction.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: LegalHoldId,
) -> QueryResult<Option<LegalHold>> {
    let query = legal_holds::table.find((tenant, id)).select(Row::as_select());
    Ok(query.for_update().first(conn).optional()?.map(Row::into))
}

/// Writes what has changed of a hold.
pub(crate) fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    hold: &LegalHold,
) -> QueryResult<()> {
    let row = Row::new(tenant, hold);
    diesel::update(legal_holds::table.find((tenant, hold.id))).set(row).execute(conn)?;
    Ok(())
}

/// The holds that forbid to delete or purge a record; without one, those that forbid to erase its
/// subject, which are all of the subject's. Whoever acts on the answer has the subject's row
/// locked.
pub(crate) fn blocking(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    record: Option<RecordId>,
) -> QueryResult<Vec<Blocker>> {
    let mut holds = legal_holds::table
        .filter(legal_holds::tenant_id.eq(tenant))
        .filter(legal_holds::subject_id.eq(subject))
        .filter(legal_holds::state.ne(diesel::dsl::sql("3")))
        .select(legal_holds::id)
        .limit(BLOCKERS_MAX)
        .into_boxed();
    if let Some(record) = record {
        let held = legal_holds::record_id.is_null().or(legal_holds::record_id.eq(record));
        holds = holds.filter(held);
    }
    let ids: Vec<LegalHoldId> = holds.load(conn)?;
    Ok(ids.into_iter().map(|id| Blocker { name: id.name(), end_time: None }).collect())
}

/// Reads at most `limit` of all of a subject's holds behind a place, those on single records too.
pub(crate) fn of_subject(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    after: Option<&Place>,
    limit: i64,
) -> QueryResult<Vec<LegalHold>> {
    let rows: Vec<Row> = latest::of(conn, OF_SUBJECT, tenant, subject.uuid(), after, limit)?;
    Ok(rows.into_iter().map(Row::into).collect())
}

/// Takes the words of people out of a subject's holds.
pub(crate) fn clear_texts(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
) -> QueryResult<()> {
    let of = legal_holds::table
        .filter(legal_holds::tenant_id.eq(tenant))
        .filter(legal_holds::subject_id.eq(subject));
    let none: Option<String> = None;
    diesel::update(of).set(legal_holds::case_reference.eq(none)).execute(conn)?;
    Ok(())
}

/// What a list lets through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) subject: Option<SubjectId>,
    pub(crate) record: Option<RecordId>,
    pub(crate) authority: Option<String>,
    pub(crate) state: Option<HoldState>,
}

impl Filter {
    /// Whether it lets a hold through.
    pub(crate) fn keeps(&self, hold: &LegalHold) -> bool {
        self.subject.is_none_or(|id| id == hold.subject && hold.record.is_none())
            && self.record.is_none_or(|id| hold.record == Some(id))
            && self.authority.as_ref().is_none_or(|authority| *authority == hold.authority)
            && self.state.is_none_or(|state| state == hold.state)
    }
}

/// Reads at most `limit` candidates of a list behind a place.
pub(crate) fn candidates(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    after: Option<&Place>,
    limit: i64,
) -> QueryResult<Vec<LegalHold>> {
    const ALL: &str = latest!("legal_holds");
    const OF_RECORD: &str = latest!("legal_holds", "record_id");
    let rows: Vec<Row> = match (filter.record, filter.subject) {
        (Some(id), _) => latest::of(conn, OF_RECORD, tenant, id.uuid(), after, limit)?,
        (None, Some(id)) => return of_subject(conn, tenant, id, after, limit),
        (None, None) => latest::all(conn, ALL, tenant, after, limit)?,
    };
    Ok(rows.into_iter().map(Row::into).collect())
}
