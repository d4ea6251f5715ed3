//! `KeyService.ListKeys`.

use std::collections::{BTreeMap, BTreeSet};

use diesel::PgConnection;
use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};
use wire::KeyScope as Scope;
use wire::key::State;

use super::Rpc;
use crate::error::Error;
use crate::rotation;
use crate::seal::KeyId;
use crate::store::index_keys::{self, IndexKeyRow};
use crate::store::keys::{self, TenantKeyRow};

/// The keys that the store knows of.
struct Stored {
    epochs: Vec<TenantKeyRow>,
    epoch_uses: BTreeMap<i32, i64>,
    indexes: Vec<IndexKeyRow>,
    index_uses: BTreeMap<i32, i64>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListKeysRequest>,
) -> Result<Response<wire::ListKeysResponse>, Status> {
    let call = Call::of(&request)?;
    let scope = decode(request.into_inner())?;
    let keys = handle(rpc, &call, scope).await?;
    Ok(Response::new(wire::ListKeysResponse { keys }))
}

fn decode(request: wire::ListKeysRequest) -> Decoded<Option<Scope>> {
    match Scope::try_from(request.scope) {
        Ok(Scope::Unspecified) => Ok(None),
        Ok(scope) => Ok(Some(scope)),
        Err(_) => Err(invalid("must be KEK, TENANT_KEY, INDEX_KEY or LOG_KEY")).at("scope"),
    }
}

async fn handle(rpc: &Rpc, call: &Call, scope: Option<Scope>) -> Result<Vec<wire::Key>, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(Stored {
            epochs: keys::tenant_keys(conn, tenant)?,
            epoch_uses: keys::uses(conn, tenant)?,
            indexes: index_keys::live(conn, tenant)?.into_iter().map(|(row, _)| row).collect(),
            index_uses: index_keys::uses(conn, tenant)?,
        })
    };
    let stored = rpc.db.read("list_keys", call.scope(), read).await?;
    let wants = |one: Scope| scope.is_none_or(|scope| scope == one);
    let mut keys = Vec::new();
    if wants(Scope::Kek) {
        keys.append(&mut keks(rpc, &stored).await?);
    }
    if wants(Scope::TenantKey) {
        let uses = |row: &TenantKeyRow| stored.epoch_uses.get(&row.epoch).copied();
        keys.extend(stored.epochs.iter().map(|row| epoch(row, uses(row).unwrap_or_default())));
    }
    if wants(Scope::IndexKey) {
        // The last version comes first out of the store.
        let uses = |row: &IndexKeyRow| stored.index_uses.get(&row.version).copied();
        let rows = stored.indexes.iter().rev();
        keys.extend(rows.map(|row| index_key(row, uses(row).unwrap_or_default())));
    }
    if wants(Scope::LogKey) {
        keys.extend(
            rpc.log_key
                .iter()
                .map(|key| key_of(Scope::LogKey, log_key_name(&key.verifier_key()), State::Active)),
        );
    }
    Ok(keys)
}

/// The key-encryption keys of the provider, and those that it had when it wrapped a key of the
/// tenant.
async fn keks(rpc: &Rpc, stored: &Stored) -> Result<Vec<wire::Key>, Error> {
    let provider = rpc.vault.ring().provider();
    let (active, known) = (provider.active(), provider.versions());
    let mut uses: BTreeMap<KeyId, i64> = known.iter().map(|id| (id.clone(), 0)).collect();
    for row in &stored.epochs {
        for kek in row.keks.iter().filter_map(|id| KeyId::new(id)) {
            uses.entry(kek).or_default();
        }
        let is_used = row.retire_time.is_none() || stored.epoch_uses.contains_key(&row.epoch);
        if let Some(kek) = rotation::kek(row) {
            *uses.entry(kek).or_default() += i64::from(is_used);
        }
    }
    let mut keys = Vec::with_capacity(uses.len());
    let known: BTreeSet<KeyId> = known.into_iter().collect();
    for (id, uses) in uses {
        let is_known = known.contains(&id);
        let state = match id == active {
            true => State::Active,
            false if is_known => State::Retired,
            false if rpc.vault.ring().destroyed(&id).await? => State::Destroyed,
            false => State::Retired,
        };
        keys.push(wire::Key { uses, ..key_of(Scope::Kek, id.to_string(), state) });
    }
    Ok(keys)
}

/// The tenant's key of an epoch.
pub(super) fn epoch(row: &TenantKeyRow, uses: i64) -> wire::Key {
    let state = match (row.destroy_time, row.retire_time) {
        (Some(_), _) => State::Destroyed,
        (None, Some(_)) => State::Retired,
        (None, None) => State::Active,
    };
    wire::Key {
        create_time: Some(row.create_time.encode()),
        retire_time: row.retire_time.map(Timestamp::encode),
        destroy_time: row.destroy_time.map(Timestamp::encode),
        uses,
        ..key_of(Scope::TenantKey, row.epoch.to_string(), state)
    }
}

fn index_key(row: &IndexKeyRow, uses: i64) -> wire::Key {
    let state = if row.retire_time.is_none() { State::Active } else { State::Retired };
    wire::Key {
        create_time: Some(row.create_time.encode()),
        retire_time: row.retire_time.map(Timestamp::encode),
        uses,
        ..key_of(Scope::IndexKey, row.version.to_string(), state)
    }
}

/// The name and the fingerprint of a verifier key (C2SP signed-note), without the key.
fn log_key_name(verifier_key: &str) -> String {
    verifier_key.rsplit_once('+').map_or(verifier_key, |(name, _)| name).to_owned()
}

fn key_of(scope: Scope, id: String, state: State) -> wire::Key {
    wire::Key { scope: scope.into(), id, state: state.into(), ..wire::Key::default() }
}
