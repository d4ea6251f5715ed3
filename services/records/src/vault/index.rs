//! The keys of blind indexes, and the tokens that they make.
//!
//! Tokens are made with the newest key and looked for with all. A key stays in use for a few
//! seconds after a newer one was made: whoever takes a key away moves its tokens first, and the
//! reference of `record_index` to `index_keys` refuses a token that comes later. Its writer makes
//! it anew.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::PgConnection;
use shared::db::Scope;
use shared::ids::TenantId;

use super::Vault;
use crate::domain::extraction::IndexValue;
use crate::domain::record_type::CompiledType;
use crate::error::Error;
use crate::seal::{IndexKey, SealBroken, SealFailed, Token, Wrapped};
use crate::store::index_keys::{self, IndexKeyRow};
use crate::store::record_index::{IndexRow, IndexToken};

/// The version of a tenant's first key.
const FIRST_VERSION: i32 = 1;
/// How long keys are kept open: a newer one may take so long to be written with.
const TTL: Duration = Duration::from_secs(2);
/// The most tenants whose keys are kept open.
const CACHED_MAX: usize = 1_024;

/// The keys of a tenant's indexes, the newest first. There is at least one.
pub(crate) struct IndexKeys(Vec<IndexKey>);

/// The keys that are open, and since when.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<TenantId, (Instant, Arc<IndexKeys>)>>);

impl Cache {
    fn get(&self, tenant: TenantId) -> Option<Arc<IndexKeys>> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, keys) = open.get(&tenant)?;
        (since.elapsed() < TTL).then(|| Arc::clone(keys))
    }

    fn remove(&self, tenant: TenantId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
    }

    fn put(&self, tenant: TenantId, keys: &Arc<IndexKeys>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= CACHED_MAX {
            open.clear();
        }
        open.insert(tenant, (Instant::now(), Arc::clone(keys)));
    }
}

impl Vault {
    /// The keys of a tenant's indexes, to write with: as they were at most two seconds ago. The
    /// first call makes one.
    pub(crate) async fn index_keys(
        &self,
        tenant: TenantId,
        scope: Scope,
    ) -> Result<Arc<IndexKeys>, Error> {
        if let Some(keys) = self.index.get(tenant) {
            return Ok(keys);
        }
        match self.index_keys_now(tenant, scope).await? {
            Some(keys) => Ok(keys),
            None => self.make_index_key(tenant, scope).await,
        }
    }

    /// The keys of a tenant's indexes as they are in the store; none where nothing is indexed.
    pub(crate) async fn index_keys_now(
        &self,
        tenant: TenantId,
        scope: Scope,
    ) -> Result<Option<Arc<IndexKeys>>, Error> {
        let read = move |conn: &mut PgConnection| Ok::<_, Error>(index_keys::live(conn, tenant)?);
        let rows = self.db.read("get_index_keys", scope, read).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for (row, above) in rows {
            let above = self.open_tenant_key(&above).await?;
            let wrapped = Wrapped::from_bytes(&row.wrapped)?;
            keys.push(above.open_index_key(row.version, &wrapped)?);
        }
        if keys.is_empty() {
            return Ok(None);
        }
        let keys = Arc::new(IndexKeys(keys));
        self.index.put(tenant, &keys);
        Ok(Some(keys))
    }

    /// Forgets a tenant's keys: one of them has been taken away.
    pub(crate) fn forget_index_keys(&self, tenant: TenantId) {
        self.index.remove(tenant);
    }

    async fn make_index_key(
        &self,
        tenant: TenantId,
        scope: Scope,
    ) -> Result<Arc<IndexKeys>, Error> {
        let above = self.tenant_key(tenant, scope).await?;
        let (_, wrapped) = above.new_index_key(FIRST_VERSION)?;
        let row = IndexKeyRow {
            tenant_id: tenant,
            version: FIRST_VERSION,
            tenant_key_epoch: above.epoch(),
            wrapped: wrapped.to_bytes(),
            create_time: self.clock.now(),
            retire_time: None,
        };
        // Another call may have been faster: then its key is the one.
        let insert = move |conn: &mut PgConnection| Ok::<_, Error>(index_keys::insert(conn, &row)?);
        self.db.write("create_index_key", scope, insert).await?;
        self.index_keys_now(tenant, scope).await?.ok_or(Error::Overtaken)
    }
}

impl IndexKeys {
    /// The tokens of the values of a record, made with the newest key, each once.
    pub(crate) fn tokens(
        &self,
        kind: &CompiledType,
        values: &[IndexValue],
    ) -> Result<Vec<IndexToken>, SealFailed> {
        let newest = self.0.first().ok_or(SealFailed)?;
        Ok(tokens(newest, kind, values)?.into_iter().collect())
    }

    /// The tokens of one value under every key, with the versions of these.
    pub(crate) fn query(
        &self,
        kind: &CompiledType,
        value: &IndexValue,
    ) -> Result<Vec<(i32, Token)>, SealFailed> {
        let index = kind.index(&value.index).ok_or(SealFailed)?;
        let token = |key: &IndexKey| {
            Ok((key.version(), key.token(kind.id(), &value.index, index.bits, &value.value)?))
        };
        self.0.iter().map(token).collect()
    }

    /// Whether the key of a version is among them.
    pub(crate) fn has(&self, version: i32) -> bool {
        self.0.iter().any(|key| key.version() == version)
    }

    /// Whether the tokens of a record are those of its values, under each key that has any. What
    /// was made by other rules of its type says nothing: it stays until the index is made anew.
    pub(crate) fn verify(
        &self,
        kind: &CompiledType,
        values: &[IndexValue],
        rows: &[IndexRow],
    ) -> Result<(), SealBroken> {
        let mut found: BTreeMap<i32, BTreeSet<(&str, &[u8])>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.rules == kind.rules()) {
            if row.kind != kind.id() {
                return Err(SealBroken);
            }
            found.entry(row.key_version).or_default().insert((&row.name, &row.token));
        }
        for (version, found) in found {
            let key = self.0.iter().find(|key| key.version() == version).ok_or(SealBroken)?;
            let expected = tokens(key, kind, values).map_err(|_| SealBroken)?;
            let expected = expected.iter().map(|one| (one.name.as_str(), one.token.as_bytes()));
            if expected.collect::<BTreeSet<_>>() != found {
                return Err(SealBroken);
            }
        }
        Ok(())
    }
}

fn tokens(
    key: &IndexKey,
    kind: &CompiledType,
    values: &[IndexValue],
) -> Result<BTreeSet<IndexToken>, SealFailed> {
    let token = |value: &IndexValue| {
        let index = kind.index(&value.index).ok_or(SealFailed)?;
        Ok(IndexToken {
            name: value.index.clone(),
            key_version: key.version(),
            rules: kind.rules(),
            token: key.token(kind.id(), &value.index, index.bits, &value.value)?,
        })
    };
    values.iter().map(token).collect()
}
