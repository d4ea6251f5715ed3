//! `SuspendCustomer`.

use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::turning::{Turn, turn};
use crate::domain::{Customer, CustomerId};

const OPERATION: &str = "suspend-customer";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::SuspendCustomerRequest>,
) -> Result<Response<wire::Customer>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    Ok(turn(rpc, &call, OPERATION, command).await?)
}

fn decode(request: wire::SuspendCustomerRequest) -> Decoded<Turn> {
    Ok(Turn {
        id: CustomerId::parse_name(&request.name).at("name")?,
        reason_code: field::code(request.reason_code).at("reason_code")?,
        etag: request.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
        act: Customer::suspend,
        event: "customer.suspended",
    })
}
