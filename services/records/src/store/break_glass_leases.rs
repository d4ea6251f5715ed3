//! The table of break-glass leases.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::latest::{self, Place, latest};
use super::schema::break_glass_leases;
use crate::domain::break_glass::{Lease, LeaseId, Verdict};
use crate::domain::subject::SubjectId;

/// Leases whose review is late and of which nobody was told.
pub(super) const LATE: &str = "\
    SELECT id, subject_id, review_due_time FROM break_glass_leases WHERE tenant_id = $1 \
        AND verdict IS NULL AND NOT is_overdue_told AND review_due_time <= $2 \
    ORDER BY review_due_time LIMIT (SELECT $3) FOR UPDATE SKIP LOCKED";

#[derive(Queryable, QueryableByName, Insertable, Selectable)]
#[diesel(table_name = break_glass_leases)]
struct Row {
    tenant_id: TenantId,
    id: LeaseId,
    subject_id: SubjectId,
    principal: String,
    reason_code: String,
    reason: Option<String>,
    create_time: Timestamp,
    end_time: Timestamp,
    review_due_time: Timestamp,
    is_overdue_told: bool,
    verdict: Option<i16>,
    reviewer: Option<String>,
    review_time: Option<Timestamp>,
    revision: i64,
}

fn column(verdict: Verdict) -> i16 {
    match verdict {
        Verdict::Justified => 1,
        Verdict::Unjustified => 2,
    }
}

impl From<Row> for Lease {
    fn from(row: Row) -> Self {
        let verdict = |column| if column == 1 { Verdict::Justified } else { Verdict::Unjustified };
        Self {
            id: row.id,
            subject: row.subject_id,
            principal: row.principal,
            reason_code: row.reason_code,
            reason: row.reason,
            create_time: row.create_time,
            end_time: row.end_time,
            review_due_time: row.review_due_time,
            verdict: row.verdict.map(verdict),
            reviewer: row.reviewer,
            review_time: row.review_time,
            revision: row.revision,
        }
    }
}

/// Inserts a new lease.
pub(crate) fn insert(conn: &mut PgConnection, tenant: TenantId, lease: &Lease) -> QueryResult<()> {
    let row = Row {
        tenant_id: tenant,
        id: lease.id,
        subject_id: lease.subject,
        principal: lease.principal.clone(),
        reason_code: lease.reason_code.clone(),
        reason: lease.reason.clone(),
        create_time: lease.create_time,
        end_time: lease.end_time,
        review_due_time: lease.review_due_time,
        is_overdue_told: false,
        verdict: lease.verdict.map(column),
        reviewer: lease.reviewer.clone(),
        review_time: lease.review_time,
        revision: lease.revision,
    };
    diesel::insert_into(break_glass_leases::table).values(row).execute(conn)?;
    Ok(())
}

/// Reads a lease.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: LeaseId,
) -> QueryResult<Option<Lease>> {
    let query = break_glass_leases::table.find((tenant, id)).select(Row::as_select());
    Ok(query.first(conn).optional()?.map(Row::into))
}

/// Reads a lease and keeps others from changing it until the end of the transaction.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: LeaseId,
) -> QueryResult<Option<Lease>> {
    let query = break_glass_leases::table.find((tenant, id)).select(Row::as_select());
    Ok(query.for_update().first(conn).optional()?.map(Row::into))
}

/// Writes what has changed of a lease.
pub(crate) fn update(conn: &mut PgConnection, tenant: TenantId, lease: &Lease) -> QueryResult<()> {
    diesel::update(break_glass_leases::table.find((tenant, lease.id)))
        .set((
            break_glass_leases::end_time.eq(lease.end_time),
            break_glass_leases::verdict.eq(lease.verdict.map(column)),
            break_glass_leases::reviewer.eq(&lease.reviewer),
            break_glass_leases::review_time.eq(lease.review_time),
            break_glass_leases::revision.eq(lease.revision),
        ))
        .execute(conn)?;
    Ok(())
}

/// A lease of a principal whose review is late.
pub(crate) fn late_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    principal: &str,
    now: Timestamp,
) -> QueryResult<Option<LeaseId>> {
    break_glass_leases::table
        .filter(break_glass_leases::tenant_id.eq(tenant))
        .filter(break_glass_leases::principal.eq(principal))
        .filter(break_glass_leases::verdict.is_null())
        .filter(break_glass_leases::review_due_time.le(now))
        .order(break_glass_leases::review_due_time)
        .select(break_glass_leases::id)
        .first(conn)
        .optional()
}

/// A lease whose review is late, of which somebody has to be told.
#[derive(Debug, QueryableByName)]
#[diesel(table_name = break_glass_leases)]
pub(crate) struct Late {
    /// The lease.
    pub(crate) id: LeaseId,
    /// Whose data it opened.
    pub(crate) subject_id: SubjectId,
    /// By when it had to be reviewed.
    pub(crate) review_due_time: Timestamp,
}

/// Takes at most `limit` leases whose review is late and of which nobody was told.
pub(crate) fn tell_late(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: Timestamp,
    limit: i64,
) -> QueryResult<Vec<Late>> {
    let binds =
        (tenant.into_sql::<SqlUuid>(), now.into_sql::<Timestamptz>(), limit.into_sql::<BigInt>());
    let late: Vec<Late> = statement(LATE, binds).load(conn)?;
    let ids: Vec<LeaseId> = late.iter().map(|one| one.id).collect();
    let told = break_glass_leases::table
        .filter(break_glass_leases::tenant_id.eq(tenant))
        .filter(break_glass_leases::id.eq_any(ids));
    diesel::update(told).set(break_glass_leases::is_overdue_told.eq(true)).execute(conn)?;
    Ok(late)
}

/// How many leases wait for a review that is late: no more than `limit` are counted.
pub(crate) fn late_count(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: Timestamp,
    limit: i64,
) -> QueryResult<i64> {
    let late = break_glass_leases::table
        .filter(break_glass_leases::tenant_id.eq(tenant))
        .filter(break_glass_leases::verdict.is_null())
        .filter(break_glass_leases::review_due_time.le(now))
        .select(break_glass_leases::id)
        .limit(limit);
    let ids: Vec<LeaseId> = late.load(conn)?;
    Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX))
}

/// Takes the words of people out of a subject's leases.
pub(crate) fn clear_texts(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
) -> QueryResult<()> {
    let of = break_glass_leases::table
        .filter(break_glass_leases::tenant_id.eq(tenant))
        .filter(break_glass_leases::subject_id.eq(subject));
    let none: Option<String> = None;
    diesel::update(of).set(break_glass_leases::reason.eq(none)).execute(conn)?;
    Ok(())
}

/// What a list lets through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) subject: Option<SubjectId>,
    pub(crate) principal: Option<String>,
    pub(crate) reviewed: Option<bool>,
}

impl Filter {
    /// Whether it lets a lease through.
    pub(crate) fn keeps(&self, lease: &Lease) -> bool {
        self.subject.is_none_or(|id| id == lease.subject)
            && self.principal.as_ref().is_none_or(|principal| *principal == lease.principal)
            && self.reviewed.is_none_or(|reviewed| reviewed == lease.verdict.is_some())
    }
}

/// Reads at most `limit` candidates of a list behind a place.
pub(crate) fn candidates(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    after: Option<&Place>,
    limit: i64,
) -> QueryResult<Vec<Lease>> {
    const ALL: &str = latest!("break_glass_leases");
    const OF_SUBJECT: &str = latest!("break_glass_leases", "subject_id");
    let rows: Vec<Row> = match filter.subject {
        Some(id) => latest::of(conn, OF_SUBJECT, tenant, id.uuid(), after, limit)?,
        None => latest::all(conn, ALL, tenant, after, limit)?,
    };
    Ok(rows.into_iter().map(Row::into).collect())
}
