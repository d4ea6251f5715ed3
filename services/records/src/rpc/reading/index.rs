//! Whether the index says of content what the content says of itself.

use std::sync::Arc;

use diesel::PgConnection;
use shared::db::Scope;
use zeroize::Zeroizing;

use super::Granted;
use crate::error::Error;
use crate::rpc::{Rpc, offload};
use crate::seal::SealBroken;
use crate::store::record_index;

/// Compares the tokens of a record with those that its content makes, and gives the content back.
pub(super) async fn verify(
    rpc: &Rpc,
    granted: &Granted,
    content: Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let Some(kind) = granted.kind.clone().filter(|_| !granted.index.is_empty()) else {
        return Ok(content);
    };
    let scope = Scope::tenant(granted.tenant, granted.deadline);
    let mut keys = rpc.vault.index_keys(granted.tenant, scope).await?;
    if granted.index.iter().any(|row| !keys.has(row.key_version)) {
        check_versions(rpc, granted).await?;
        keys = rpc.vault.index_keys(granted.tenant, scope).await?;
    }
    let is_known = |row: &&record_index::IndexRow| keys.has(row.key_version);
    let rows: Vec<_> = granted.index.iter().filter(is_known).cloned().collect();
    let content_type = granted.record.content_type.clone();
    let compare = move || {
        // What does not fit rules that were made since is not indexed by them.
        if let Ok(values) = kind.index_values(&content_type, &content) {
            keys.verify(&kind, &values, &rows)?;
        }
        Ok(content)
    };
    let size = usize::try_from(granted.record.size).unwrap_or(usize::MAX);
    offload(size, compare).await?
}

/// A key that is not there was made a moment ago or taken away since, with all of its tokens. A
/// token of a key that is there neither before nor after is none that the service has written.
async fn check_versions(rpc: &Rpc, granted: &Granted) -> Result<(), Error> {
    let (tenant, id) = (granted.tenant, granted.record.id);
    let scope = Scope::tenant(tenant, granted.deadline);
    let before = rpc.vault.index_keys_now(tenant, scope).await?;
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(record_index::select(conn, tenant, vec![id])?)
    };
    let rows = rpc.db.read("get_record_index", scope, read).await?;
    let after = rpc.vault.index_keys_now(tenant, scope).await?;
    let keys: Vec<Arc<_>> = before.into_iter().chain(after).collect();
    let is_known = |version| keys.iter().any(|keys| keys.has(version));
    match rows.iter().all(|row| is_known(row.key_version)) {
        true => Ok(()),
        false => Err(SealBroken.into()),
    }
}
