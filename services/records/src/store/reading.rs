//! What decides about reads, read for many of them at once: a look-up by key for each thing that
//! counts, whatever the planner believes of the tables.

use std::collections::BTreeMap;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::key_chains::KeyChain;
use super::record_index::IndexRow;
use super::records::{RecordRow, Sealed};
use super::schema::consents;
use super::subjects::from_column;
use crate::domain::break_glass::LeaseId;
use crate::domain::consent::{ANY, Consent, ConsentId};
use crate::domain::content_type::ContentType;
use crate::domain::record::{Record, RecordId};
use crate::domain::subject::{SubjectId, SubjectState};

/// Bodies of more content than this are not read with the rest: a batch holds as many bodies as it
/// has targets.
const BODY_MAX: i64 = 16 * 1024;
/// The most consents of one subject for one reader that are looked at.
const CONSENTS_MAX: i64 = 1_000;

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The record.
    pub(crate) id: RecordId,
    /// The version; the last where it is 0.
    pub(crate) version: i64,
    /// Who reads.
    pub(crate) principal: &'a str,
    /// Whether the reader wants content.
    pub(crate) wants_content: bool,
}

/// A record that somebody wants to read.
#[derive(Debug)]
pub(crate) struct Found {
    /// The record, as of the version that is wanted.
    pub(crate) record: Record,
    /// The state of its subject.
    pub(crate) subject_state: SubjectState,
    /// Whether its type asks for a consent.
    pub(crate) requires_consent: bool,
    /// Whether its subject has any consents.
    pub(crate) has_consents: bool,
    /// The reader's open lease.
    pub(crate) lease: Option<LeaseId>,
    /// The sealed content, where content is wanted. A large body is left out: see `has_body`.
    pub(crate) sealed: Option<Sealed>,
    /// The key chain, where content is wanted; none once it is destroyed.
    pub(crate) chain: Option<KeyChain>,
    /// What stands for its content in indexes, where content of the last version is wanted.
    pub(crate) index: Vec<IndexRow>,
}

/// A record or a version that is not there; the subject where the record is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Missing(pub(crate) Option<SubjectId>);

#[derive(Debug, QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(embed)]
    record: RecordRow,
    #[diesel(sql_type = SmallInt)]
    subject_state: i16,
    #[diesel(sql_type = Bool)]
    requires_consent: bool,
    #[diesel(sql_type = Bool)]
    has_consents: bool,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    lease: Option<LeaseId>,
    #[diesel(sql_type = Nullable<Array<Text>>)]
    label_keys: Option<Vec<String>>,
    #[diesel(sql_type = Nullable<Array<Text>>)]
    label_values: Option<Vec<String>>,
    #[diesel(embed)]
    version: VersionColumns,
    #[diesel(embed)]
    chain: ChainColumns,
    #[diesel(embed)]
    index: IndexColumns,
}

#[derive(Debug, QueryableByName)]
struct VersionColumns {
    #[diesel(sql_type = Nullable<BigInt>)]
    read_version: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    content_type: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    size_bytes: Option<i64>,
    #[diesel(sql_type = Nullable<Binary>)]
    body: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    data_key_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Integer>)]
    subject_key_generation: Option<i32>,
    #[diesel(sql_type = Nullable<Binary>)]
    data_key: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    commitment_salt: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    commitment: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Integer>)]
    segments: Option<i32>,
}

impl VersionColumns {
    fn sealed(self) -> Option<Sealed> {
        Some(Sealed {
            body: self.body,
            data_key_id: self.data_key_id?,
            subject_key_generation: self.subject_key_generation?,
            data_key: self.data_key,
            commitment_salt: self.commitment_salt,
            commitment: self.commitment?,
            segments: self.segments,
        })
    }
}

#[derive(Debug, QueryableByName)]
struct ChainColumns {
    #[diesel(sql_type = Nullable<Integer>)]
    epoch: Option<i32>,
    #[diesel(sql_type = Nullable<Binary>)]
    tenant_key: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Integer>)]
    generation: Option<i32>,
    #[diesel(sql_type = Nullable<Binary>)]
    subject_key: Option<Vec<u8>>,
}

impl ChainColumns {
    fn chain(self, tenant_id: TenantId, subject_id: SubjectId) -> Option<KeyChain> {
        let (epoch, tenant_key) = (self.epoch?, self.tenant_key);
        let (generation, subject_key) = (self.generation?, self.subject_key?);
        Some(KeyChain { tenant_id, epoch, tenant_key, subject_id, generation, subject_key })
    }
}

#[derive(Debug, QueryableByName)]
struct IndexColumns {
    #[diesel(sql_type = Nullable<Array<Text>>)]
    kinds: Option<Vec<String>>,
    #[diesel(sql_type = Nullable<Array<Text>>)]
    names: Option<Vec<String>>,
    #[diesel(sql_type = Nullable<Array<Integer>>)]
    key_versions: Option<Vec<i32>>,
    #[diesel(sql_type = Nullable<Array<BigInt>>)]
    rules: Option<Vec<i64>>,
    #[diesel(sql_type = Nullable<Array<Binary>>)]
    tokens: Option<Vec<Vec<u8>>>,
}

impl IndexColumns {
    fn rows(self, record_id: RecordId) -> Vec<IndexRow> {
        let keys = self.key_versions.into_iter().zip(self.rules).zip(self.tokens);
        let columns = self.kinds.into_iter().zip(self.names).zip(keys);
        let rows = columns.flat_map(|((kinds, names), ((versions, rules), tokens))| {
            kinds.into_iter().zip(names).zip(versions.into_iter().zip(rules).zip(tokens))
        });
        rows.map(|((kind, name), ((key_version, rules), token))| IndexRow {
            record_id,
            kind,
            name,
            key_version,
            rules,
            token,
        })
        .collect()
    }
}

impl Row {
    fn found(self, wants_content: bool) -> Result<Found, Missing> {
        let (tenant, subject) = (self.record.tenant_id, self.record.subject_id);
        let id = self.record.id;
        let mut version = self.version;
        let (Some(read), Some(content_type), Some(size)) =
            (version.read_version, version.content_type.take(), version.size_bytes)
        else {
            return Err(Missing(Some(subject)));
        };
        let values = self.label_values.unwrap_or_default();
        let labels = self.label_keys.unwrap_or_default().into_iter().zip(values).collect();
        let mut record = self.record.record(ContentType::stored(content_type), size, labels);
        record.version = read;
        Ok(Found {
            record,
            subject_state: from_column(self.subject_state),
            requires_consent: self.requires_consent,
            has_consents: self.has_consents,
            lease: self.lease,
            sealed: version.sealed().filter(|_| wants_content),
            chain: self.chain.chain(tenant, subject),
            index: self.index.rows(id),
        })
    }
}

/// Finds what somebody wants to read, in the order of the targets. Takes no locks.
pub(crate) fn find(
    conn: &mut PgConnection,
    tenant: TenantId,
    targets: &[Target<'_>],
    now: Timestamp,
) -> QueryResult<Vec<Result<Found, Missing>>> {
    let mut found: Vec<_> = targets.iter().map(|_| Err(Missing(None))).collect();
    if targets.is_empty() {
        return Ok(found);
    }
    let rows: Vec<Row> = statement(FIND, asked(tenant, targets, now)).load(conn)?;
    for row in rows {
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        if let (Some(target), Some(slot)) = (targets.get(place), found.get_mut(place)) {
            *slot = row.found(target.wants_content);
        }
    }
    Ok(found)
}

pub(super) fn asked(
    tenant: TenantId,
    targets: &[Target<'_>],
    now: Timestamp,
) -> impl QueryFragment<Pg> + use<> {
    fn column<'a, T>(targets: &[Target<'a>], value: impl Fn(&Target<'a>) -> T) -> Vec<T> {
        targets.iter().map(value).collect()
    }
    (
        tenant.into_sql::<SqlUuid>(),
        column(targets, |target| target.id).into_sql::<Array<SqlUuid>>(),
        column(targets, |target| target.version).into_sql::<Array<BigInt>>(),
        column(targets, |target| target.principal.to_owned()).into_sql::<Array<Text>>(),
        column(targets, |target| target.wants_content).into_sql::<Array<Bool>>(),
        now.into_sql::<Timestamptz>(),
        BODY_MAX.into_sql::<BigInt>(),
    )
}

/// Without content nobody asks for keys, consents and leases.
pub(super) const FIND: &str = "\
    SELECT n.place, r.*, s.state AS subject_state, \
        coalesce(y.requires_consent, false) AS requires_consent, \
        c.subject_id IS NOT NULL AS has_consents, g.id AS lease, \
        l.keys AS label_keys, l.values AS label_values, v.*, k.generation, k.subject_key, \
        t.epoch, t.tenant_key, i.* \
    FROM unnest($2, $3, $4, $5) WITH ORDINALITY \
        AS n (id, version, principal, wants_content, place), LATERAL ( \
        SELECT tenant_id, id, subject_id, kind, event_time, version, revision, create_time, \
            update_time, state, delete_time, purge_time, expire_time \
        FROM records WHERE tenant_id = $1 AND id = n.id LIMIT 1) r, LATERAL ( \
        SELECT state FROM subjects WHERE tenant_id = $1 AND id = r.subject_id LIMIT 1) s \
    LEFT JOIN LATERAL ( \
        SELECT version AS read_version, content_type, size_bytes, \
            CASE WHEN n.wants_content AND size_bytes <= $7 THEN body END AS body, data_key_id, \
            subject_key_generation, data_key, commitment_salt, commitment, segments \
        FROM record_versions WHERE tenant_id = $1 AND record_id = r.id \
            AND version = CASE n.version WHEN 0 THEN r.version ELSE n.version END \
        LIMIT 1) v ON true \
    LEFT JOIN LATERAL ( \
        SELECT generation, tenant_key_epoch, wrapped AS subject_key FROM subject_keys \
        WHERE tenant_id = $1 AND subject_id = r.subject_id \
            AND generation = v.subject_key_generation AND n.wants_content LIMIT 1) k ON true \
    LEFT JOIN LATERAL ( \
        SELECT epoch, wrapped AS tenant_key FROM tenant_keys \
        WHERE tenant_id = $1 AND epoch = k.tenant_key_epoch LIMIT 1) t ON true \
    LEFT JOIN LATERAL ( \
        SELECT requires_consent FROM record_types \
        WHERE tenant_id = $1 AND id = r.kind AND n.wants_content LIMIT 1) y ON true \
    LEFT JOIN LATERAL ( \
        SELECT subject_id FROM consents \
        WHERE tenant_id = $1 AND subject_id = r.subject_id AND n.wants_content \
        LIMIT 1) c ON true \
    LEFT JOIN LATERAL ( \
        SELECT id FROM break_glass_leases \
        WHERE tenant_id = $1 AND subject_id = r.subject_id AND principal = n.principal \
            AND create_time <= $6 AND $6 < end_time AND n.wants_content LIMIT 1) g ON true \
    LEFT JOIN LATERAL ( \
        SELECT array_agg(key) AS keys, array_agg(value) AS values FROM record_labels \
        WHERE tenant_id = $1 AND record_id = r.id) l ON true \
    LEFT JOIN LATERAL ( \
        SELECT array_agg(kind) AS kinds, array_agg(name) AS names, \
            array_agg(key_version) AS key_versions, array_agg(rules) AS rules, \
            array_agg(token) AS tokens \
        FROM record_index WHERE tenant_id = $1 AND record_id = r.id AND n.wants_content \
            AND v.read_version = r.version) i ON true";

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

pub(super) fn of_readers(
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

pub(super) const CONSENTS: &str = "\
    SELECT c.* FROM unnest($2, $3) AS n (subject_id, principal), LATERAL ( \
        SELECT id, subject_id, grantee, purposes, kinds, decision, start_time, end_time, \
            revoke_time, create_time, revision \
        FROM consents WHERE tenant_id = $1 AND subject_id = n.subject_id \
            AND revoke_time IS NULL AND start_time <= $4 AND (end_time IS NULL OR $4 < end_time) \
            AND (grantee = $5 OR grantee = n.principal) \
        LIMIT $6) c";
