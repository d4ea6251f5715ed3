//! `CurrencyService.GetCurrency`.

use shared::field::At as _;
use shared::grpc::Call;
use shared::money::Currency;
use shared::problem::Problem;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, currencies};
use crate::store;
use crate::store::currencies::Registered;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetCurrencyRequest>,
) -> Result<Response<wire::Currency>, Status> {
    let call = Call::of(&request)?;
    let code = currencies::parse_name(&request.get_ref().name).at("name")?;
    if let Some(iso) = Currency::iso(code) {
        return Ok(Response::new(currencies::encode_iso(iso)));
    }
    let not_found = || Problem::not_found("currency", currencies::name(code));
    let found = find(rpc, &call, code).await?.ok_or_else(not_found)?;
    Ok(Response::new(currencies::encode(found)))
}

/// A currency that the caller's tenant has registered.
pub(super) async fn find(
    rpc: &Rpc,
    call: &Call,
    code: &str,
) -> Result<Option<Registered>, Problem> {
    let (tenant, code) = (call.tenant_id()?, code.to_owned());
    let read = rpc.db.read("get_currency", call.scope(), move |conn| {
        store::currencies::select(conn, tenant, &code)
    });
    Ok(read.await?)
}
