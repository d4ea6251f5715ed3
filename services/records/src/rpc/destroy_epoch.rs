//! `KeyService.DestroyEpoch`.

use std::time::Duration;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::outcome::Once;
use shared::problem::Problem;
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, list_keys};
use crate::domain::access::Action;
use crate::domain::epoch::{self, Epoch};
use crate::error::Error;
use crate::rotation;
use crate::seal::KeyId;
use crate::store::events::{self, Event};
use crate::store::keys::{self, TenantKeyRow};
use crate::store::{accesses, policies};

const OPERATION: &str = "destroy-epoch";

#[derive(Serialize)]
struct DestroyEpoch {
    epoch: i32,
    #[serde(skip)]
    request_id: Option<String>,
}

/// What the key provider says of the keys above an epoch.
#[derive(Debug, Clone)]
struct Above {
    can_destroy: bool,
    /// Every key-encryption key that has wrapped it.
    keks: Vec<KeyId>,
    /// One of them that is not destroyed.
    living: Option<KeyId>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::DestroyEpochRequest>,
) -> Result<Response<wire::Key>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let destroyed = handle(rpc, &call, command).await?;
    Ok(destroyed.respond(|row| list_keys::epoch(&row, 0)))
}

fn decode(request: wire::DestroyEpochRequest) -> Decoded<DestroyEpoch> {
    if request.epoch < 1 {
        return Err(invalid("must be 1 or more")).at("epoch");
    }
    if request.confirm_epoch != request.epoch {
        return Err(invalid("must be the epoch again")).at("confirm_epoch");
    }
    let request_id = field::request_id(request.request_id).at("request_id")?;
    Ok(DestroyEpoch { epoch: request.epoch, request_id })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    command: DestroyEpoch,
) -> Result<Created<TenantKeyRow>, Error> {
    let asked = |id| call.request(OPERATION, id, &command, &rpc.clock);
    let asked = command.request_id.clone().map(asked).transpose()?;
    let (tenant, number) = (call.tenant_id()?, command.epoch);
    // What the provider says counts once it is clear that the epoch may go at all.
    let above = above(rpc, call, number).await.map_err(Problem::from);
    let name = rotation::epoch_name(number);
    let mut access = rpc.access(call, Action::DESTROY_KEY);
    access.resource = Some(name.clone());
    let (now, resource) = (rpc.clock.now(), name.clone());
    let act = move |conn: &mut PgConnection| {
        decide(conn, tenant, number, &above, now)?;
        keys::destroy_tenant_key(conn, tenant, number, now)?;
        accesses::insert(conn, tenant, &access)?;
        events::record(conn, tenant, &Event::new(tenant, "key.epochDestroyed", name.clone(), now))?;
        Ok(())
    };
    let once = rpc.once(call, "destroy_epoch", asked, resource, act).await?;
    rpc.vault.ring().forget(tenant.uuid(), number);
    let row = read(rpc, call, number).await?.ok_or_else(|| epoch::not_found(number))?;
    Ok(match once {
        Once::Done(()) => Created::Now(row),
        Once::Replayed(_) => Created::Before(row),
    })
}

async fn read(rpc: &Rpc, call: &Call, number: i32) -> Result<Option<TenantKeyRow>, Error> {
    let tenant = call.tenant_id()?;
    let read =
        move |conn: &mut PgConnection| Ok::<_, Error>(keys::tenant_key(conn, tenant, number)?);
    rpc.db.read("get_tenant_key", call.scope(), read).await
}

async fn above(rpc: &Rpc, call: &Call, number: i32) -> Result<Above, Error> {
    let ring = rpc.vault.ring();
    let can_destroy = ring.provider().capabilities().destroy;
    let row = read(rpc, call, number).await?;
    let keks = row.map(|row| keks(&row)).unwrap_or_default();
    let mut living = None;
    for kek in keks.iter().filter(|_| can_destroy) {
        if !ring.destroyed(kek).await? {
            living = Some(kek.clone());
            break;
        }
    }
    Ok(Above { can_destroy, keks, living })
}

/// Every key-encryption key that has wrapped an epoch's key: each opens it in some backup.
fn keks(row: &TenantKeyRow) -> Vec<KeyId> {
    let known = row.keks.iter().filter_map(|id| KeyId::new(id));
    known.chain(rotation::kek(row)).collect()
}

/// Locks the epoch and decides whether it may be destroyed.
fn decide(
    conn: &mut PgConnection,
    tenant: TenantId,
    number: i32,
    above: &Result<Above, Problem>,
    now: Timestamp,
) -> Result<(), Error> {
    let row = keys::lock_tenant_key(conn, tenant, number)?;
    let row = row.ok_or_else(|| epoch::not_found(number))?;
    let is_used = keys::is_used(conn, tenant, number)?;
    let retention: Duration = policies::get(conn, tenant)?.backup_retention;
    let epoch =
        Epoch { number, retire_time: row.retire_time, destroy_time: row.destroy_time, is_used };
    epoch.may_end()?;
    let above = above.clone()?;
    // It was wrapped by another one meanwhile, of which nobody was asked.
    if keks(&row).iter().any(|kek| !above.keks.contains(kek)) {
        return Err(Error::Overtaken);
    }
    let living = above.living.as_ref().map(KeyId::as_str);
    epoch.may_be_destroyed(above.can_destroy, living, retention, now)?;
    Ok(())
}
