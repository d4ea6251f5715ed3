//! `ExpireKyc`.

use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::kyc::{self, Decide};
use crate::domain::{CustomerId, KycStep};

const OPERATION: &str = "expire-kyc";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ExpireKycRequest>,
) -> Result<Response<wire::Customer>, Status> {
    let call = Call::of(&request)?;
    let decide = decode(request.into_inner())?;
    Ok(kyc::decide(rpc, &call, OPERATION, decide).await?)
}

fn decode(request: wire::ExpireKycRequest) -> Decoded<Decide> {
    Ok(Decide {
        id: CustomerId::parse_name(&request.name).at("name")?,
        step: KycStep::Expire,
        reason_code: kyc::reason_code(request.reason_code)?,
        evidence: Vec::new(),
        etag: request.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
    })
}
