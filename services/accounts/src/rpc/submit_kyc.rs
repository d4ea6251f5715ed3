//! `SubmitKyc`.

use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::kyc::{self, Decide};
use crate::domain::{CustomerId, KycStep};

const OPERATION: &str = "submit-kyc";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::SubmitKycRequest>,
) -> Result<Response<wire::Customer>, Status> {
    let call = Call::of(&request)?;
    let decide = decode(request.into_inner())?;
    Ok(kyc::decide(rpc, &call, OPERATION, decide).await?)
}

fn decode(request: wire::SubmitKycRequest) -> Decoded<Decide> {
    Ok(Decide {
        id: CustomerId::parse_name(&request.name).at("name")?,
        step: KycStep::Submit,
        reason_code: String::new(),
        evidence: kyc::evidence(&request.evidence, 1)?,
        etag: request.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
    })
}
