//! A row of what decides, with the columns of what may be absent.

use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text, Uuid as SqlUuid,
};
use shared::ids::TenantId;
use uuid::Uuid;

use super::{Found, Missing};
use crate::domain::break_glass::LeaseId;
use crate::domain::content_type::ContentType;
use crate::domain::subject::SubjectId;
use crate::store::key_chains::KeyChain;
use crate::store::record_index::IndexRow;
use crate::store::records::{RecordRow, Sealed};
use crate::store::subjects::from_column;

#[derive(Debug, QueryableByName)]
pub(super) struct Row {
    #[diesel(sql_type = BigInt)]
    pub(super) place: i64,
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
    fn rows(self) -> Vec<IndexRow> {
        let keys = self.key_versions.into_iter().zip(self.rules).zip(self.tokens);
        let columns = self.kinds.into_iter().zip(self.names).zip(keys);
        let rows = columns.flat_map(|((kinds, names), ((versions, rules), tokens))| {
            kinds.into_iter().zip(names).zip(versions.into_iter().zip(rules).zip(tokens))
        });
        rows.map(|((kind, name), ((key_version, rules), token))| IndexRow {
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
    /// What it says; `Missing` where there is no such version.
    pub(super) fn found(self, wants_content: bool) -> Result<Found, Missing> {
        let (tenant, subject) = (self.record.tenant_id, self.record.subject_id);
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
            index: self.index.rows(),
        })
    }
}
