//! `strongroom.outcomes.v1.OutcomeService`.

use strongroom_proto::outcomes::v1 as wire;
use tonic::{Request, Response, Status};

use super::list_outcomes;
use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::field::{self, At as _, Decoded};
use crate::grpc::Call;
use crate::outcome::{self, Outcome, OutcomeState};
use crate::problem::{Problem, Reason};

/// What became of the writes of a service.
#[derive(Debug, Clone)]
pub struct OutcomeRpc {
    pub(super) db: Db,
    clock: Clock,
    pub(super) operations: &'static [&'static str],
    pub(super) message_bytes_max: usize,
}

impl OutcomeRpc {
    /// The outcomes in a database, with the limit of a message in bytes.
    pub fn new(
        db: Db,
        clock: Clock,
        operations: &'static [&'static str],
        message_bytes_max: usize,
    ) -> Self {
        Self { db, clock, operations, message_bytes_max }
    }

    async fn get(
        &self,
        call: &Call,
        request: wire::GetOutcomeRequest,
    ) -> Result<wire::Outcome, Problem> {
        let operation = self.operation(request.operation).at("operation")?;
        let request_id = field::required_request_id(request.request_id).at("request_id")?;
        let claim = outcome::Request {
            tenant: call.tenant_id()?,
            operation: operation.clone(),
            request_id: request_id.clone(),
            // Empty is the hash of no request, so that a late original is another one.
            hash: Vec::new(),
            principal: call.principal.subject.clone(),
            trace_id: call.trace_id.clone(),
            time: self.clock.now(),
        };
        let find = move |conn: &mut diesel::PgConnection| {
            if request.fence {
                outcome::fence(conn, &claim)?;
            }
            let (operation, id) = (&claim.operation, &claim.request_id);
            Ok::<_, DbError>(outcome::select(conn, claim.tenant, operation, id)?)
        };
        let found = match request.fence {
            true => self.db.write("fence_outcome", call.scope(), find).await?,
            false => self.db.read("get_outcome", call.scope(), find).await?,
        };
        Ok(found.map_or_else(|| unknown(operation, request_id), encode))
    }
}

impl OutcomeRpc {
    /// A fence around an operation that does not exist would protect nobody.
    fn operation(&self, operation: String) -> Decoded<String> {
        if self.operations.contains(&operation.as_str()) {
            return Ok(operation);
        }
        Err(field::invalid(format!("must be one of {}", self.operations.join(", "))))
    }
}

fn unknown(operation: String, request_id: String) -> wire::Outcome {
    let state = wire::outcome::State::Unknown.into();
    wire::Outcome { operation, request_id, state, ..wire::Outcome::default() }
}

pub(super) fn encode(outcome: Outcome) -> wire::Outcome {
    let state = match outcome.state {
        OutcomeState::Unknown => wire::outcome::State::Unknown,
        OutcomeState::InProgress => wire::outcome::State::InProgress,
        OutcomeState::Succeeded => wire::outcome::State::Succeeded,
        OutcomeState::Rejected => wire::outcome::State::Rejected,
    };
    wire::Outcome {
        operation: outcome.operation,
        request_id: outcome.request_id,
        state: state.into(),
        resource: outcome.resource,
        reason: outcome.reason.unwrap_or(Reason::Unspecified).into(),
        message: outcome.message,
        figures: outcome.figures,
        principal: outcome.principal,
        trace_id: outcome.trace_id,
        create_time: Some(outcome.create_time.encode()),
        settle_time: outcome.settle_time.map(crate::time::Timestamp::encode),
    }
}

#[tonic::async_trait]
impl wire::outcome_service_server::OutcomeService for OutcomeRpc {
    async fn get_outcome(
        &self,
        request: Request<wire::GetOutcomeRequest>,
    ) -> Result<Response<wire::Outcome>, Status> {
        let call = Call::of(&request)?;
        Ok(Response::new(self.get(&call, request.into_inner()).await?))
    }

    async fn list_outcomes(
        &self,
        request: Request<wire::ListOutcomesRequest>,
    ) -> Result<Response<wire::ListOutcomesResponse>, Status> {
        list_outcomes::call(self, request).await
    }
}
