//! How a rotation begins: what has to be asked of the key provider comes first, then all else in
//! one transaction.

use diesel::PgConnection;
use shared::db::Scope;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::job::text;
use super::{index_key, kek, tenant_key};
use crate::domain::rotation::{KeyScope, Rotation, RotationId, runs_already};
use crate::error::Error;
use crate::rpc::Rpc;
use crate::seal::{KeyId, SealBroken};
use crate::store::events::{self, Event};
use crate::store::index_keys::{self, IndexKeyRow};
use crate::store::keys::{self, TenantKeyRow};
use crate::store::{key_moves, reindexes, reseals, rotations};

/// A rotation that can begin.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// Under the key-encryption key that is the active one by now.
    Kek(KeyId),
    /// With the key of the next epoch.
    TenantKey { row: TenantKeyRow, reseal: bool },
    /// With the next version of the key, for records of these types.
    IndexKey { row: IndexKeyRow, kinds: Vec<String> },
}

/// Makes the new key, or learns of it. Nothing is stored.
pub(crate) async fn prepare(
    rpc: &Rpc,
    tenant: TenantId,
    scope: Scope,
    which: KeyScope,
    reseal: bool,
) -> Result<Start, Error> {
    match which {
        KeyScope::Kek => {
            rpc.vault.ring().refresh().await?;
            Ok(Start::Kek(rpc.vault.ring().provider().active()))
        }
        KeyScope::TenantKey => {
            let current = rpc.vault.tenant_key(tenant, scope).await?;
            let row = rpc.vault.new_tenant_key(tenant, current.epoch() + 1).await?;
            Ok(Start::TenantKey { row, reseal })
        }
        KeyScope::IndexKey => {
            let kinds = index_key::indexed_kinds(rpc, tenant).await?;
            let above = rpc.vault.tenant_key(tenant, scope).await?;
            let read =
                move |conn: &mut PgConnection| Ok::<_, Error>(index_keys::live(conn, tenant)?);
            let live = rpc.db.read("get_index_keys", scope, read).await?;
            let version = live.first().map_or(1, |(row, _)| row.version + 1);
            let (_, wrapped) = above.new_index_key(version)?;
            let row = IndexKeyRow {
                tenant_id: tenant,
                version,
                tenant_key_epoch: above.epoch(),
                wrapped: wrapped.to_bytes(),
                create_time: rpc.clock.now(),
                retire_time: None,
            };
            Ok(Start::IndexKey { row, kinds })
        }
    }
}

/// Names the new key the current one, and writes the rotation down. After the commit nothing new
/// comes under the old key.
pub(crate) fn begin(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: RotationId,
    start: &Start,
    now: Timestamp,
) -> Result<Rotation, Error> {
    let mut rotation = match start {
        Start::Kek(active) => begin_kek(conn, tenant, active, now)?,
        Start::TenantKey { row, reseal } => begin_tenant_key(conn, tenant, row, *reseal, now)?,
        Start::IndexKey { row, kinds } => begin_index_key(conn, tenant, row, kinds, now)?,
    };
    rotation.id = id;
    if !rotations::insert(conn, tenant, &rotation)? {
        return Err(runs_already(rotation.scope).into());
    }
    let event = Event::new(tenant, "rotation.started", rotation.id.name(), now)
        .with("scope", rotation.scope.name())
        .with("reseal", rotation.reseal)
        .with("target", rotation.target);
    events::record(conn, tenant, &event)?;
    Ok(rotation)
}

fn begin_kek(
    conn: &mut PgConnection,
    tenant: TenantId,
    active: &KeyId,
    now: Timestamp,
) -> Result<Rotation, Error> {
    let rows = kek::in_use(conn, tenant)?;
    let old = rows.iter().filter(|row| kek::kek(row).as_ref() != Some(active)).count();
    let place = text(&kek::Place { kek: active.to_string(), after: 0 });
    let mut rotation = Rotation::new(KeyScope::Kek, 0, place, now);
    rotation.total = i64::try_from(old).unwrap_or(i64::MAX);
    Ok(rotation)
}

fn begin_tenant_key(
    conn: &mut PgConnection,
    tenant: TenantId,
    row: &TenantKeyRow,
    reseal: bool,
    now: Timestamp,
) -> Result<Rotation, Error> {
    if !keys::insert_tenant_key(conn, row)? {
        return Err(overtaken(conn, tenant, KeyScope::TenantKey)?);
    }
    keys::retire_tenant_keys(conn, tenant, row.epoch, now)?;
    let place = text(&tenant_key::Place::START);
    let mut rotation = Rotation::new(KeyScope::TenantKey, row.epoch, place, now);
    rotation.reseal = reseal;
    // Behind the wait for those who still used the old key.
    rotation.total = key_moves::count_keys(conn, tenant, row.epoch)?;
    if reseal {
        rotation.total += reseals::count_keys(conn, tenant, row.epoch)?;
    }
    let kek = row.keks.first().ok_or(SealBroken)?.as_str();
    let event = Event::new(tenant, "key.epochCreated", kek::epoch_name(row.epoch), now);
    events::record(conn, tenant, &event.with("kek", kek))?;
    Ok(rotation)
}

fn begin_index_key(
    conn: &mut PgConnection,
    tenant: TenantId,
    row: &IndexKeyRow,
    kinds: &[String],
    now: Timestamp,
) -> Result<Rotation, Error> {
    if !index_keys::insert(conn, row)? {
        return Err(overtaken(conn, tenant, KeyScope::IndexKey)?);
    }
    index_keys::retire(conn, tenant, row.version, now)?;
    let place = text(&index_key::Place::START);
    let mut rotation = Rotation::new(KeyScope::IndexKey, row.version, place, now);
    rotation.total = reindexes::count_records(conn, tenant, kinds)?;
    Ok(rotation)
}

/// Somebody was faster with the next key: with a rotation that still runs, or one that is through.
fn overtaken(conn: &mut PgConnection, tenant: TenantId, scope: KeyScope) -> Result<Error, Error> {
    let running = rotations::running(conn, tenant)?;
    let runs = running.iter().any(|rotation| rotation.scope == scope);
    Ok(if runs { runs_already(scope).into() } else { Error::Overtaken })
}
