//! The table of consents.

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::latest::{self, Place, latest};
use super::schema::consents;
use crate::domain::consent::{Consent, ConsentId};
use crate::domain::subject::SubjectId;

/// The most consents of a subject that are in force at once: every read of content looks at them.
pub(crate) const IN_FORCE_MAX: i64 = 1_000;
const PERMIT: i16 = 1;
const DENY: i16 = 2;

#[derive(Queryable, QueryableByName, Insertable, Selectable)]
#[diesel(table_name = consents)]
pub(super) struct Row {
    tenant_id: TenantId,
    id: ConsentId,
    subject_id: SubjectId,
    grantee: String,
    purposes: Vec<String>,
    kinds: Vec<String>,
    decision: i16,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    revoke_time: Option<Timestamp>,
    revision: i64,
    create_time: Timestamp,
}

impl From<Row> for Consent {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            subject: row.subject_id,
            grantee: row.grantee,
            purposes: row.purposes,
            kinds: row.kinds,
            // What is not known to be permitted is not.
            permits: row.decision == PERMIT,
            start_time: row.start_time,
            end_time: row.end_time,
            revoke_time: row.revoke_time,
            create_time: row.create_time,
            revision: row.revision,
        }
    }
}

/// Inserts a consent; false where the id is taken.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    consent: &Consent,
) -> QueryResult<bool> {
    let row = Row {
        tenant_id: tenant,
        id: consent.id,
        subject_id: consent.subject,
        grantee: consent.grantee.clone(),
        purposes: consent.purposes.clone(),
        kinds: consent.kinds.clone(),
        decision: if consent.permits { PERMIT } else { DENY },
        start_time: consent.start_time,
        end_time: consent.end_time,
        revoke_time: consent.revoke_time,
        revision: consent.revision,
        create_time: consent.create_time,
    };
    let inserted = diesel::insert_into(consents::table).values(row).on_conflict_do_nothing();
    Ok(inserted.execute(conn)? == 1)
}

/// Reads a consent.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: ConsentId,
) -> QueryResult<Option<Consent>> {
    let query = consents::table.find((tenant, id)).select(Row::as_select());
    Ok(query.first(conn).optional()?.map(Row::into))
}

/// Reads a consent and keeps others from changing it until the end of the transaction.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: ConsentId,
) -> QueryResult<Option<Consent>> {
    let query = consents::table.find((tenant, id)).select(Row::as_select());
    Ok(query.for_update().first(conn).optional()?.map(Row::into))
}

/// Writes that a consent is revoked.
pub(crate) fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    consent: &Consent,
) -> QueryResult<()> {
    diesel::update(consents::table.find((tenant, consent.id)))
        .set((
            consents::revoke_time.eq(consent.revoke_time),
            consents::revision.eq(consent.revision),
        ))
        .execute(conn)?;
    Ok(())
}

/// How many consents of a subject are in force, or will be: no more than [`IN_FORCE_MAX`] are
/// counted.
pub(crate) fn in_force_count(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    now: Timestamp,
) -> QueryResult<i64> {
    let ids: Vec<ConsentId> = consents::table
        .filter(consents::tenant_id.eq(tenant))
        .filter(consents::subject_id.eq(subject))
        .filter(consents::revoke_time.is_null())
        .filter(consents::end_time.is_null().or(consents::end_time.gt(now)))
        .select(consents::id)
        .limit(IN_FORCE_MAX)
        .load(conn)?;
    Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX))
}

/// What a list lets through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) subject: Option<SubjectId>,
    pub(crate) grantee: Option<String>,
}

impl Filter {
    /// Whether it lets a consent through.
    pub(crate) fn keeps(&self, consent: &Consent) -> bool {
        self.subject.is_none_or(|id| id == consent.subject)
            && self.grantee.as_ref().is_none_or(|grantee| *grantee == consent.grantee)
    }
}

/// Reads at most `limit` candidates of a list behind a place.
pub(crate) fn candidates(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    after: Option<&Place>,
    limit: i64,
) -> QueryResult<Vec<Consent>> {
    const ALL: &str = latest!("consents");
    const OF_SUBJECT: &str = latest!("consents", "subject_id");
    let rows: Vec<Row> = match filter.subject {
        Some(id) => latest::of(conn, OF_SUBJECT, tenant, id.uuid(), after, limit)?,
        None => latest::all(conn, ALL, tenant, after, limit)?,
    };
    Ok(rows.into_iter().map(Row::into).collect())
}
