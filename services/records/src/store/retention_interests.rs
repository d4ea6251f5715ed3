//! The table of retention interests.

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::latest::{self, Place, latest};
use super::legal_holds::BLOCKERS_MAX;
use super::schema::retention_interests;
use crate::domain::retention::{Blocker, RetentionInterest, RetentionInterestId};
use crate::domain::subject::SubjectId;

#[derive(Queryable, QueryableByName, Insertable, Selectable)]
#[diesel(table_name = retention_interests)]
struct Row {
    tenant_id: TenantId,
    id: RetentionInterestId,
    subject_id: SubjectId,
    source: String,
    reference: String,
    end_time: Option<Timestamp>,
    create_time: Timestamp,
    update_time: Timestamp,
}

impl From<Row> for RetentionInterest {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            subject: row.subject_id,
            source: row.source,
            reference: row.reference,
            end_time: row.end_time,
            create_time: row.create_time,
            update_time: row.update_time,
        }
    }
}

/// Sets an interest: a new one, or another end for the one that there is.
pub(crate) fn set(
    conn: &mut PgConnection,
    tenant: TenantId,
    interest: &RetentionInterest,
) -> QueryResult<RetentionInterest> {
    let row = Row {
        tenant_id: tenant,
        id: interest.id,
        subject_id: interest.subject,
        source: interest.source.clone(),
        reference: interest.reference.clone(),
        end_time: interest.end_time,
        create_time: interest.create_time,
        update_time: interest.update_time,
    };
    let set = diesel::insert_into(retention_interests::table)
        .values(row)
        .on_conflict((retention_interests::tenant_id, retention_interests::id))
        .do_update()
        .set((
            retention_interests::end_time.eq(interest.end_time),
            retention_interests::update_time.eq(interest.update_time),
        ));
    Ok(set.returning(Row::as_select()).get_result(conn)?.into())
}

/// Reads an interest.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: RetentionInterestId,
) -> QueryResult<Option<RetentionInterest>> {
    let query = retention_interests::table.find((tenant, id)).select(Row::as_select());
    Ok(query.first(conn).optional()?.map(Row::into))
}

/// The interests that forbid to end a subject's data now, those first that end last. Whoever acts
/// on the answer has the subject's row locked.
pub(crate) fn blocking(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    now: Timestamp,
) -> QueryResult<Vec<Blocker>> {
    let runs = retention_interests::end_time.is_null().or(retention_interests::end_time.gt(now));
    let found: Vec<(RetentionInterestId, Option<Timestamp>)> = retention_interests::table
        .filter(retention_interests::tenant_id.eq(tenant))
        .filter(retention_interests::subject_id.eq(subject))
        .filter(runs)
        .order((retention_interests::end_time.desc(), retention_interests::id))
        .select((retention_interests::id, retention_interests::end_time))
        .limit(BLOCKERS_MAX)
        .load(conn)?;
    let blocker = |(id, end_time): (RetentionInterestId, _)| Blocker { name: id.name(), end_time };
    Ok(found.into_iter().map(blocker).collect())
}

/// What a list lets through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) subject: Option<SubjectId>,
    pub(crate) source: Option<String>,
}

impl Filter {
    /// Whether it lets an interest through.
    pub(crate) fn keeps(&self, interest: &RetentionInterest) -> bool {
        self.subject.is_none_or(|id| id == interest.subject)
            && self.source.as_ref().is_none_or(|source| *source == interest.source)
    }
}

/// Reads at most `limit` candidates of a list behind a place.
pub(crate) fn candidates(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    after: Option<&Place>,
    limit: i64,
) -> QueryResult<Vec<RetentionInterest>> {
    const ALL: &str = latest!("retention_interests");
    const OF_SUBJECT: &str = latest!("retention_interests", "subject_id");
    let rows: Vec<Row> = match filter.subject {
        Some(id) => latest::of(conn, OF_SUBJECT, tenant, id.uuid(), after, limit)?,
        None => latest::all(conn, ALL, tenant, after, limit)?,
    };
    Ok(rows.into_iter().map(Row::into).collect())
}
