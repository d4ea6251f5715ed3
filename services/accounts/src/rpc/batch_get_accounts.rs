//! `BatchGetAccounts`.

use std::collections::BTreeMap;

use diesel::PgConnection;
use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::problem::{Problem, Reason};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, own_customer};
use crate::domain::{AccountId, Position};
use crate::error::Error;
use crate::store::{account_holders, accounts, positions};

const NAMES_MAX: usize = 100;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::BatchGetAccountsRequest>,
) -> Result<Response<wire::BatchGetAccountsResponse>, Status> {
    let call = Call::of(&request)?;
    let ids = decode(request.get_ref())?;
    let (positions, now) = (handle(rpc, &call, ids).await?, rpc.clock.now());
    let accounts = positions.iter().map(|position| encode::account(position, now)).collect();
    Ok(Response::new(wire::BatchGetAccountsResponse { accounts }))
}

fn decode(request: &wire::BatchGetAccountsRequest) -> Decoded<Vec<AccountId>> {
    let names = &request.names;
    if names.is_empty() {
        return Err(invalid("must be given")).at("names");
    }
    if names.len() > NAMES_MAX {
        let message = format!("must be at most {NAMES_MAX}, and are {}", names.len());
        let problem = Problem::new(Reason::TooManyItems, message).in_field("names");
        return Err(problem.figure("limit", NAMES_MAX).into());
    }
    let names = names.iter().enumerate();
    names.map(|(index, name)| AccountId::parse_name(name).at_index("names", index)).collect()
}

/// In the order of the ids, each as often as it is named. What the caller's customer does not hold
/// is not there for a caller who may see no more than that.
async fn handle(rpc: &Rpc, call: &Call, ids: Vec<AccountId>) -> Result<Vec<Position>, Error> {
    let own = own_customer(call)?;
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    let read = move |conn: &mut PgConnection| {
        let seen = match own {
            Some(own) => account_holders::holds(conn, tenant, own, &ids, now)?,
            None => ids.clone(),
        };
        let found = accounts::select_all(conn, tenant, &seen)?.into_values().collect();
        let found = positions::of(conn, tenant, found, now)?.into_iter();
        let found: BTreeMap<_, _> = found.map(|one| (one.account.id, one)).collect();
        let find = |id: &AccountId| found.get(id).cloned().ok_or_else(|| id.not_found());
        Ok(ids.iter().map(find).collect::<Result<Vec<_>, _>>()?)
    };
    rpc.db.read("batch_get_accounts", call.scope(), read).await
}
