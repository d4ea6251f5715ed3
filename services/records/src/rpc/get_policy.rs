//! `GovernanceService.GetPolicy`.

use std::time::Duration;

use diesel::PgConnection;
use shared::grpc::Call;
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::policy::Policy;
use crate::error::Error;
use crate::store::policies;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::GetPolicyRequest>,
) -> Result<Response<wire::Policy>, Status> {
    let call = Call::of(&request)?;
    Ok(Response::new(policy(&find(rpc, &call).await?)))
}

/// The tenant's policy.
pub(super) async fn find(rpc: &Rpc, call: &Call) -> Result<Policy, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| Ok::<_, Error>(policies::get(conn, tenant)?);
    rpc.db.read("get_policy", call.scope(), read).await
}

/// A policy as the wire has it.
pub(super) fn policy(policy: &Policy) -> wire::Policy {
    let duration = |duration: Duration| prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: 0,
    };
    let delay = Some(policy.erasure_delay).filter(|delay| !delay.is_zero());
    wire::Policy {
        erasure_delay: delay.map(duration),
        backup_retention: Some(duration(policy.backup_retention)),
        break_glass_blocks: policy.break_glass_blocks,
        update_time: policy.update_time.map(Timestamp::encode),
        etag: encode::etag(policy.revision),
    }
}
