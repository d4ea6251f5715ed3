//! `ApproveKyc`.

use std::ops::RangeInclusive;

use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::kyc::{self, Decide};
use crate::domain::{CustomerId, KycStep};

const OPERATION: &str = "approve-kyc";
const LEVELS: RangeInclusive<i16> = 1..=9;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ApproveKycRequest>,
) -> Result<Response<wire::Customer>, Status> {
    let call = Call::of(&request)?;
    let decide = decode(request.into_inner())?;
    Ok(kyc::decide(rpc, &call, OPERATION, decide).await?)
}

fn decode(request: wire::ApproveKycRequest) -> Decoded<Decide> {
    let level = i16::try_from(request.level).ok().filter(|level| LEVELS.contains(level));
    let level = level.ok_or_else(|| invalid("must be 1 to 9")).at("level")?;
    let expire_time = request.expire_time.map(Timestamp::decode).transpose().at("expire_time")?;
    // Nobody has to say why all is well.
    let reason_code = match request.reason_code.is_empty() {
        true => String::new(),
        false => kyc::reason_code(request.reason_code)?,
    };
    Ok(Decide {
        id: CustomerId::parse_name(&request.name).at("name")?,
        step: KycStep::Approve { level, expire_time },
        reason_code,
        evidence: kyc::evidence(&request.evidence, 0)?,
        etag: request.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
    })
}
