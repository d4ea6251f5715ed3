//! The tenant's keys, put under another key-encryption key.
//!
//! An epoch that has ended and wraps nothing any more is left where it is: nobody opens it again,
//! and it can be destroyed once the key-encryption key above it is.

use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use shared::ids::TenantId;

use super::job::{Job, Next, opened};
use crate::domain::rotation::Step;
use crate::error::Error;
use crate::seal::{KeyId, Wrapped};
use crate::store::keys::{self, TenantKeyRow};

/// Keys of one step.
const BATCH: usize = 20;

/// Where the rotation stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    /// The key-encryption key that was the active one when it began.
    pub(super) kek: String,
    /// The epoch behind which it goes on.
    pub(super) after: i32,
}

/// The tenant's keys that are in use, the first epoch in front.
pub(super) fn in_use(
    conn: &mut PgConnection,
    tenant: TenantId,
) -> Result<Vec<TenantKeyRow>, Error> {
    let mut rows = Vec::new();
    for row in keys::tenant_keys(conn, tenant)? {
        let is_used = row.retire_time.is_none() || keys::is_used(conn, tenant, row.epoch)?;
        if is_used && row.wrapped.is_some() {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Which key-encryption key wraps a key of the tenant; none where that cannot be read.
pub(crate) fn kek(row: &TenantKeyRow) -> Option<KeyId> {
    Some(Wrapped::from_bytes(row.wrapped.as_ref()?).ok()?.key_id().clone())
}

/// The name of an epoch's key.
pub(crate) fn epoch_name(epoch: i32) -> String {
    format!("tenantKeys/{epoch}")
}

pub(super) async fn step(job: &Job<'_>) -> Result<bool, Error> {
    let place = job.place(Place { kek: String::new(), after: 0 });
    if !is_known(job, &place.kek).await? {
        tracing::warn!(tenant = %job.tenant, kek = %place.kek, "another replica has this key");
        return Ok(false);
    }
    let (tenant, after) = (job.tenant, place.after);
    let rows = move |conn: &mut PgConnection| {
        let rows = in_use(conn, tenant)?.into_iter().filter(|row| row.epoch > after);
        Ok(rows.take(BATCH).collect::<Vec<_>>())
    };
    let rows = job.read("get_tenant_keys", rows).await?;
    let next = match rows.last() {
        Some(last) if rows.len() == BATCH => Next::At(Place { after: last.epoch, ..place }),
        _ => Next::End,
    };
    let (mut wraps, mut broken) = (Vec::new(), Vec::new());
    let active = job.rpc.vault.ring().provider().active();
    for row in rows {
        if kek(&row).as_ref() == Some(&active) {
            continue;
        }
        let wrapped = row.wrapped.as_deref().unwrap_or_default();
        let rewrapped = job.rpc.vault.ring().rewrap(tenant.uuid(), row.epoch, wrapped).await;
        match opened(rewrapped)? {
            Some(wrapped) => wraps.push((row, wrapped)),
            None => broken.push(epoch_name(row.epoch)),
        }
    }
    let write = move |conn: &mut PgConnection| {
        let mut done = 0;
        for (row, wrapped) in &wraps {
            let keks = keks(row, wrapped);
            done += i64::from(keys::rewrap_tenant_key(conn, row, &wrapped.to_bytes(), &keks)?);
        }
        Ok((Step { done, broken: broken.clone() }, next.clone()))
    };
    job.commit("rewrap_tenant_keys", write).await
}

/// Whether this replica's provider knows a key-encryption key, or has learnt of it.
async fn is_known(job: &Job<'_>, kek: &str) -> Result<bool, Error> {
    let ring = job.rpc.vault.ring();
    let known = || ring.provider().versions().iter().any(|id| id.as_str() == kek);
    if !known() {
        ring.refresh().await?;
    }
    Ok(known())
}

/// Every key-encryption key that has wrapped it: a backup may hold any of its wraps.
fn keks(row: &TenantKeyRow, wrapped: &Wrapped) -> Vec<String> {
    let mut keks = row.keks.clone();
    let both = kek(row).into_iter().chain([wrapped.key_id().clone()]);
    for kek in both.map(|id| id.to_string()) {
        if !keks.contains(&kek) {
            keks.push(kek);
        }
    }
    keks
}
