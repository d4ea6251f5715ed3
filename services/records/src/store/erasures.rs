//! The table of erasures.

mod counts;
mod wipe;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;

pub(crate) use counts::{blocked_count, counts, epochs, first_epoch, is_erased, open_uploads};
pub(crate) use wipe::{shred, wipe_records};

use super::latest::{self, Place, latest};
use super::schema::erasures;
use crate::domain::erasure::{
    Destroyed, Erasure, ErasureId, ErasureName, ErasureState, LegalBasis,
};
use crate::domain::subject::SubjectId;

/// Those below this have not ended; indexes know it as a constant.
const DONE: i16 = 4;
/// Erasures at which the worker has to look.
pub(super) const DUE: &str = "\
    SELECT subject_id, id FROM erasures WHERE tenant_id = $1 AND state < 4 AND next_time <= $2 \
    ORDER BY next_time LIMIT (SELECT $3)";

#[derive(Queryable, QueryableByName, Insertable, Selectable, AsChangeset)]
#[diesel(table_name = erasures, treat_none_as_null = true)]
struct Row {
    tenant_id: TenantId,
    id: ErasureId,
    subject_id: SubjectId,
    state: i16,
    legal_basis: i16,
    requester: String,
    approver: Option<String>,
    create_time: Timestamp,
    due_time: Timestamp,
    next_time: Timestamp,
    shred_time: Option<Timestamp>,
    done_time: Option<Timestamp>,
    first_epoch: Option<i32>,
    last_epoch: Option<i32>,
    keys: i64,
    records: i64,
    versions: i64,
    index_rows: i64,
    objects: i64,
    uploads: i64,
    revision: i64,
}

fn column(state: ErasureState) -> i16 {
    match state {
        ErasureState::Requested => 1,
        ErasureState::Blocked => 2,
        ErasureState::Running => 3,
        ErasureState::Done => DONE,
        ErasureState::Cancelled => 5,
    }
}

fn from_column(column: i16) -> ErasureState {
    match column {
        1 => ErasureState::Requested,
        2 => ErasureState::Blocked,
        3 => ErasureState::Running,
        DONE => ErasureState::Done,
        _ => ErasureState::Cancelled,
    }
}

fn basis_column(basis: LegalBasis) -> i16 {
    match basis {
        LegalBasis::SubjectRequest => 1,
        LegalBasis::PurposeEnded => 2,
        LegalBasis::UnlawfulProcessing => 3,
        LegalBasis::LegalObligation => 4,
    }
}

fn basis_from(column: i16) -> LegalBasis {
    match column {
        1 => LegalBasis::SubjectRequest,
        2 => LegalBasis::PurposeEnded,
        3 => LegalBasis::UnlawfulProcessing,
        _ => LegalBasis::LegalObligation,
    }
}

impl Row {
    fn new(tenant: TenantId, erasure: &Erasure) -> Self {
        let of = erasure.destroyed;
        Self {
            tenant_id: tenant,
            id: erasure.name.id,
            subject_id: erasure.name.subject,
            state: column(erasure.state),
            legal_basis: basis_column(erasure.legal_basis),
            requester: erasure.requester.clone(),
            approver: erasure.approver.clone(),
            create_time: erasure.create_time,
            due_time: erasure.due_time,
            next_time: erasure.next_time,
            shred_time: erasure.shred_time,
            done_time: erasure.done_time,
            first_epoch: erasure.epochs.map(|(first, _)| first),
            last_epoch: erasure.epochs.map(|(_, last)| last),
            keys: of.keys,
            records: of.records,
            versions: of.versions,
            index_rows: of.index_rows,
            objects: of.objects,
            uploads: of.uploads,
            revision: erasure.revision,
        }
    }
}

impl From<Row> for Erasure {
    fn from(row: Row) -> Self {
        Self {
            name: ErasureName { subject: row.subject_id, id: row.id },
            state: from_column(row.state),
            legal_basis: basis_from(row.legal_basis),
            requester: row.requester,
            approver: row.approver,
            create_time: row.create_time,
            due_time: row.due_time,
            next_time: row.next_time,
            shred_time: row.shred_time,
            done_time: row.done_time,
            epochs: row.first_epoch.zip(row.last_epoch),
            destroyed: Destroyed {
                keys: row.keys,
                records: row.records,
                versions: row.versions,
                index_rows: row.index_rows,
                objects: row.objects,
                uploads: row.uploads,
            },
            revision: row.revision,
        }
    }
}

/// Inserts an erasure.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    erasure: &Erasure,
) -> QueryResult<()> {
    diesel::insert_into(erasures::table).values(Row::new(tenant, erasure)).execute(conn)?;
    Ok(())
}

/// Reads an erasure.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    name: ErasureName,
) -> QueryResult<Option<Erasure>> {
    let query = erasures::table.find((tenant, name.id)).select(Row::as_select());
    let of = erasures::subject_id.eq(name.subject);
    Ok(query.filter(of).first(conn).optional()?.map(Row::into))
}

/// Reads an erasure and keeps others from changing it until the end of the transaction. Whoever may
/// need the subject's row too has locked that first.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    name: ErasureName,
) -> QueryResult<Option<Erasure>> {
    let query = erasures::table.find((tenant, name.id)).select(Row::as_select());
    let of = erasures::subject_id.eq(name.subject);
    Ok(query.filter(of).for_update().first(conn).optional()?.map(Row::into))
}

/// The erasure of a subject that has not ended.
pub(crate) fn open_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
) -> QueryResult<Option<Erasure>> {
    let query = erasures::table
        .filter(erasures::tenant_id.eq(tenant))
        .filter(erasures::subject_id.eq(subject))
        .filter(erasures::state.lt(diesel::dsl::sql("4")))
        .select(Row::as_select());
    Ok(query.for_update().first(conn).optional()?.map(Row::into))
}

/// Writes an erasure as it is now.
pub(crate) fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    erasure: &Erasure,
) -> QueryResult<()> {
    let row = Row::new(tenant, erasure);
    diesel::update(erasures::table.find((tenant, erasure.name.id))).set(row).execute(conn)?;
    Ok(())
}

#[derive(QueryableByName)]
#[diesel(table_name = erasures)]
struct Due {
    subject_id: SubjectId,
    id: ErasureId,
}

/// At most `limit` erasures at which the worker has to look now.
pub(crate) fn due(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: Timestamp,
    limit: i64,
) -> QueryResult<Vec<ErasureName>> {
    let binds =
        (tenant.into_sql::<SqlUuid>(), now.into_sql::<Timestamptz>(), limit.into_sql::<BigInt>());
    let found: Vec<Due> = statement(DUE, binds).load(conn)?;
    Ok(found.into_iter().map(|one| ErasureName { subject: one.subject_id, id: one.id }).collect())
}

/// Lets the worker look at a subject's blocked erasure now: something that blocked it may be gone.
/// True where there is one.
pub(crate) fn wake(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    now: Timestamp,
) -> QueryResult<bool> {
    let blocked = erasures::table
        .filter(erasures::tenant_id.eq(tenant))
        .filter(erasures::subject_id.eq(subject))
        .filter(erasures::state.eq(diesel::dsl::sql("2")));
    Ok(diesel::update(blocked).set(erasures::next_time.eq(now)).execute(conn)? > 0)
}

/// When the last key of all whose erasure is known was destroyed.
pub(crate) fn newest_shred(
    conn: &mut PgConnection,
    tenant: TenantId,
) -> QueryResult<Option<Timestamp>> {
    let time: Option<Option<Timestamp>> = erasures::table
        .filter(erasures::tenant_id.eq(tenant))
        .filter(erasures::shred_time.is_not_null())
        .order(erasures::shred_time.desc())
        .select(erasures::shred_time)
        .first(conn)
        .optional()?;
    Ok(time.flatten())
}

/// Reads at most `limit` erasures behind a place: of a subject, or of all.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: Option<SubjectId>,
    after: Option<&Place>,
    limit: i64,
) -> QueryResult<Vec<Erasure>> {
    const ALL: &str = latest!("erasures");
    const OF_SUBJECT: &str = latest!("erasures", "subject_id");
    let rows: Vec<Row> = match subject {
        Some(id) => latest::of(conn, OF_SUBJECT, tenant, id.uuid(), after, limit)?,
        None => latest::all(conn, ALL, tenant, after, limit)?,
    };
    Ok(rows.into_iter().map(Row::into).collect())
}
