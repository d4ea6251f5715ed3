//! The consents that may decide about reads.

use std::collections::BTreeMap;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::time::Timestamp;

use crate::domain::consent::{ANY, Consent, ConsentId};
use crate::domain::subject::SubjectId;
use crate::store::schema::consents;

/// The most consents of one subject for one reader that are looked at.
const CONSENTS_MAX: i64 = 1_000;

#[derive(Debug, QueryableByName)]
#[diesel(table_name = consents)]
struct ConsentRow {
    id: ConsentId,
    subject_id: SubjectId,
    grantee: String,
    purposes: Vec<String>,
    kinds: Vec<String>,
    decision: i16,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    revoke_time: Option<Timestamp>,
    create_time: Timestamp,
    revision: i64,
}

impl From<ConsentRow> for Consent {
    fn from(row: ConsentRow) -> Self {
        Self {
            id: row.id,
            subject: row.subject_id,
            grantee: row.grantee,
            purposes: row.purposes,
            kinds: row.kinds,
            // What is not known to be permitted is not.
            permits: row.decision == 1,
            start_time: row.start_time,
            end_time: row.end_time,
            revoke_time: row.revoke_time,
            create_time: row.create_time,
            revision: row.revision,
        }
    }
}

/// The consents of subjects that are in force at a time and that may fit these readers, by subject.
pub(crate) fn consents(
    conn: &mut PgConnection,
    tenant: TenantId,
    readers: &[(SubjectId, &str)],
    now: Timestamp,
) -> Result<BTreeMap<SubjectId, Vec<Consent>>, DbError> {
    let mut found: BTreeMap<SubjectId, Vec<Consent>> = BTreeMap::new();
    if readers.is_empty() {
        return Ok(found);
    }
    let rows: Vec<ConsentRow> = statement(CONSENTS, of_readers(tenant, readers, now)).load(conn)?;
    for row in rows {
        found.entry(row.subject_id).or_default().push(row.into());
    }
    let max = usize::try_from(CONSENTS_MAX).unwrap_or(usize::MAX);
    if found.values().any(|consents| consents.len() >= max) {
        // One that was left out may be the one that denies.
        return Err(DbError::Fault(format!("a subject has more than {max} consents")));
    }
    Ok(found)
}

pub(in crate::store) fn of_readers(
    tenant: TenantId,
    readers: &[(SubjectId, &str)],
    now: Timestamp,
) -> impl QueryFragment<Pg> + use<> {
    let subjects: Vec<SubjectId> = readers.iter().map(|(subject, _)| *subject).collect();
    let principals: Vec<String> = readers.iter().map(|(_, who)| (*who).to_owned()).collect();
    (
        tenant.into_sql::<SqlUuid>(),
        subjects.into_sql::<Array<SqlUuid>>(),
        principals.into_sql::<Array<Text>>(),
        now.into_sql::<Timestamptz>(),
        ANY.into_sql::<Text>(),
        CONSENTS_MAX.into_sql::<BigInt>(),
    )
}

pub(in crate::store) const CONSENTS: &str = "\
    SELECT c.* FROM unnest($2, $3) AS n (subject_id, principal), LATERAL ( \
        SELECT id, subject_id, grantee, purposes, kinds, decision, start_time, end_time, \
            revoke_time, create_time, revision \
        FROM consents WHERE tenant_id = $1 AND subject_id = n.subject_id \
            AND revoke_time IS NULL AND start_time <= $4 AND (end_time IS NULL OR $4 < end_time) \
            AND (grantee = $5 OR grantee = n.principal) \
        LIMIT $6) c";
