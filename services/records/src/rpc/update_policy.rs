//! `GovernanceService.UpdatePolicy`.

use std::time::Duration;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::outcome::Once;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode, get_policy, governance};
use crate::domain::access::Action;
use crate::domain::policy::{BACKUP_RETENTION, BACKUP_RETENTION_MAX, ERASURE_DELAY_MAX, Policy};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accesses, policies};

const OPERATION: &str = "update-policy";
/// The name of the only policy.
const NAME: &str = "policy";

#[derive(Serialize)]
struct UpdatePolicy {
    erasure_delay: Duration,
    backup_retention: Duration,
    break_glass_blocks: bool,
    etag: String,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

impl UpdatePolicy {
    /// The next policy.
    fn apply(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<Policy, Error> {
        let before = policies::get(conn, tenant)?;
        encode::check_etag(&self.etag, before.revision, NAME)?;
        Ok(Policy {
            erasure_delay: self.erasure_delay,
            backup_retention: self.backup_retention,
            break_glass_blocks: self.break_glass_blocks,
            revision: before.revision + 1,
            update_time: Some(now),
        })
    }
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::UpdatePolicyRequest>,
) -> Result<Response<wire::Policy>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner())?;
    Ok(handle(rpc, &call, asked).await?.respond(|policy| get_policy::policy(&policy)))
}

fn decode(request: wire::UpdatePolicyRequest) -> Decoded<UpdatePolicy> {
    let policy = field::required(request.policy).at("policy")?;
    let delay = |duration| governance::seconds(duration, ERASURE_DELAY_MAX);
    let delay = policy.erasure_delay.map_or(Ok(Duration::ZERO), delay);
    let retention = |duration| governance::seconds(duration, BACKUP_RETENTION_MAX);
    let retention = policy.backup_retention.map_or(Ok(BACKUP_RETENTION), retention);
    Ok(UpdatePolicy {
        erasure_delay: delay.at("policy.erasure_delay")?,
        backup_retention: retention.at("policy.backup_retention")?,
        break_glass_blocks: policy.break_glass_blocks,
        etag: policy.etag,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(rpc: &Rpc, call: &Call, asked: UpdatePolicy) -> Result<Created<Policy>, Error> {
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    if asked.validate_only {
        let check = move |conn: &mut PgConnection| asked.apply(conn, tenant, now);
        return Ok(Created::Now(rpc.db.read("check_policy", call.scope(), check).await?));
    }
    let request = |id| call.request(OPERATION, id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let mut access = rpc.access(call, Action::UPDATE_POLICY);
    access.resource = Some(NAME.to_owned());
    let act = move |conn: &mut PgConnection| {
        let policy = asked.apply(conn, tenant, now)?;
        if !policies::replace(conn, tenant, &policy, now)? {
            let message = "The policy was changed at the same time.";
            return Err(Problem::new(Reason::Contention, message).into());
        }
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, "policy.updated", NAME.to_owned(), now)
            .with("erasureDelaySeconds", policy.erasure_delay.as_secs())
            .with("backupRetentionSeconds", policy.backup_retention.as_secs())
            .with("breakGlassBlocks", policy.break_glass_blocks);
        events::record(conn, tenant, &event)?;
        Ok(policy)
    };
    match rpc.once(call, "update_policy", request, NAME.to_owned(), act).await? {
        Once::Done(policy) => Ok(Created::Now(policy)),
        Once::Replayed(_) => Ok(Created::Before(get_policy::find(rpc, call).await?)),
    }
}
