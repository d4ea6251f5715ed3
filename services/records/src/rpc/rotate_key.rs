//! `KeyService.RotateKey`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::outcome::Once;
use shared::problem::Problem;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::access::Action;
use crate::domain::rotation::{KeyScope, Rotation, RotationId};
use crate::error::Error;
use crate::rotation;
use crate::store::{accesses, rotations};

const OPERATION: &str = "rotate-key";

#[derive(Serialize)]
struct RotateKey {
    scope: &'static str,
    reseal: bool,
    #[serde(skip)]
    which: KeyScope,
    #[serde(skip)]
    request_id: Option<String>,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::RotateKeyRequest>,
) -> Result<Response<wire::Rotation>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    Ok(handle(rpc, &call, command).await?.respond(encode::rotation))
}

fn decode(request: wire::RotateKeyRequest) -> Decoded<RotateKey> {
    let which = match wire::KeyScope::try_from(request.scope) {
        Ok(wire::KeyScope::Kek) => KeyScope::Kek,
        Ok(wire::KeyScope::TenantKey) => KeyScope::TenantKey,
        Ok(wire::KeyScope::IndexKey) => KeyScope::IndexKey,
        _ => return Err(invalid("must be KEK, TENANT_KEY or INDEX_KEY")).at("scope"),
    };
    if request.reseal && which != KeyScope::TenantKey {
        return Err(invalid("is for TENANT_KEY only")).at("reseal");
    }
    Ok(RotateKey {
        scope: which.name(),
        reseal: request.reseal,
        which,
        request_id: field::request_id(request.request_id).at("request_id")?,
    })
}

async fn handle(rpc: &Rpc, call: &Call, command: RotateKey) -> Result<Created<Rotation>, Error> {
    let asked = |id| call.request(OPERATION, id, &command, &rpc.clock);
    let asked = command.request_id.clone().map(asked).transpose()?;
    let (tenant, id) = (call.tenant_id()?, RotationId::generate());
    // A refusal of the key provider waits until the request id has been looked up: a repeat gets
    // its answer without any key.
    let (which, reseal) = (command.which, command.reseal);
    let start = rotation::prepare(rpc, tenant, call.scope(), which, reseal).await;
    let start = start.map_err(Problem::from);
    let mut access = rpc.access(call, Action::ROTATE_KEY);
    access.resource = Some(id.name());
    let now = rpc.clock.now();
    let act = move |conn: &mut PgConnection| {
        let rotation = rotation::begin(conn, tenant, id, &start.clone()?, now)?;
        accesses::insert(conn, tenant, &access)?;
        Ok(rotation)
    };
    let once = rpc.once(call, "rotate_key", asked, id.name(), act).await?;
    rpc.sweep.notify_one();
    if which == KeyScope::IndexKey {
        // Here it is written with at once, and elsewhere a little later.
        rpc.vault.index_keys_now(tenant, call.scope()).await?;
    }
    match once {
        Once::Done(rotation) => Ok(Created::Now(rotation)),
        Once::Replayed(name) => {
            let id = RotationId::parse_name(&name)?;
            let read =
                move |conn: &mut PgConnection| Ok::<_, Error>(rotations::select(conn, tenant, id)?);
            let found = rpc.db.read("get_rotation", call.scope(), read).await?;
            Ok(Created::Before(found.ok_or_else(|| id.not_found())?))
        }
    }
}
