//! `BalanceService.BatchGetBalances`.

use prost::Message as _;
use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::problem::{Problem, Reason};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::AccountId;
use crate::store::ledger_accounts;

const ACCOUNTS_MAX: usize = 1_000;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::BatchGetBalancesRequest>,
) -> Result<Response<wire::BatchGetBalancesResponse>, Status> {
    let call = Call::of(&request)?;
    let ids = decode(&request.get_ref().accounts)?;
    Ok(Response::new(handle(rpc, &call, ids).await?))
}

fn decode(names: &[String]) -> Decoded<Vec<AccountId>> {
    let count = names.len();
    if count == 0 || count > ACCOUNTS_MAX {
        let sentence = format!("must be 1 to {ACCOUNTS_MAX}, and are {count}");
        return Err(invalid(sentence)).at("accounts");
    }
    let names = names.iter().enumerate();
    names.map(|(index, name)| AccountId::parse_name(name).at_index("accounts", index)).collect()
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    ids: Vec<AccountId>,
) -> Result<wire::BatchGetBalancesResponse, Problem> {
    let (tenant, now, wanted) = (call.tenant_id()?, rpc.clock.now(), ids.iter().copied().collect());
    let read = rpc.db.read("batch_get_balances", call.scope(), move |conn| {
        ledger_accounts::select_now(conn, tenant, &wanted, now)
    });
    let accounts = read.await?;
    let balance = |(index, id): (usize, AccountId)| {
        let account = accounts.get(&id).ok_or_else(|| id.not_found());
        Ok(encode::balance(account.at_index("accounts", index)?, now))
    };
    let balances = ids.into_iter().enumerate().map(balance).collect::<Decoded<_>>();
    let response = wire::BatchGetBalancesResponse { balances: balances.map_err(|one| *one)? };
    let (bytes, most) = (response.encoded_len(), rpc.message_bytes_max);
    if bytes > most {
        let sentence = "must be fewer: the answer is larger than a message may be";
        let problem = Problem::new(Reason::MessageTooLarge, sentence).in_field("accounts");
        return Err(problem.figure("bytes", bytes).figure("limit", most));
    }
    Ok(response)
}
