//! The services of the contract: one struct, and one file for each RPC.

mod create_record;
mod create_subject;
mod encode;
mod get_record;

use shared::clock::Clock;
use shared::db::Db;
use shared::grpc::Call;
use shared::problem::Problem;
use shared::task;
use strongroom_proto::records::v1 as wire;
use strongroom_proto::records::v1::record_service_server::{RecordService, RecordServiceServer};
use strongroom_proto::records::v1::subject_service_server::{SubjectService, SubjectServiceServer};
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::domain::access::{Access, Action};
use crate::vault::Vault;

/// Content up to this many bytes is sealed, opened and checked where the call runs; more goes to a
/// thread of its own, so that it does not hold up other calls.
const INLINE_MAX: usize = 64 * 1024;

/// What the RPCs share.
#[derive(Clone)]
pub(crate) struct Rpc {
    /// The database.
    pub(crate) db: Db,
    /// The time.
    pub(crate) clock: Clock,
    /// The keys.
    pub(crate) vault: Vault,
}

impl Rpc {
    /// The services as routes, with messages up to `limit` bytes.
    pub(crate) fn routes(self, limit: usize) -> Routes {
        let records = RecordServiceServer::new(self.clone())
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        let subjects = SubjectServiceServer::new(self)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        Routes::new(records).add_service(subjects)
    }

    /// An entry of the access log for a call that did what it asked for.
    fn access(&self, call: &Call, action: Action) -> Access {
        Access {
            id: Uuid::now_v7(),
            time: self.clock.now(),
            principal: call.principal.subject.clone(),
            workload: call.principal.workload.clone(),
            action,
            subject: None,
            record: None,
            version: None,
            view: None,
            purpose: None,
            refusal: None,
            trace_id: call.trace_id.clone(),
        }
    }
}

/// Runs work on content of some size where it does not hold up other calls.
async fn offload<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    if size <= INLINE_MAX {
        return Ok(work());
    }
    task::blocking(work).await.map_err(|error| {
        // The text of a panic may quote what was worked on.
        tracing::error!(panicked = error.is_panic(), "work on content did not end");
        Problem::internal()
    })
}

#[tonic::async_trait]
impl RecordService for Rpc {
    async fn create_record(
        &self,
        request: Request<wire::CreateRecordRequest>,
    ) -> Result<Response<wire::Record>, Status> {
        create_record::call(self, request).await
    }

    async fn get_record(
        &self,
        request: Request<wire::GetRecordRequest>,
    ) -> Result<Response<wire::Record>, Status> {
        get_record::call(self, request).await
    }
}

#[tonic::async_trait]
impl SubjectService for Rpc {
    async fn create_subject(
        &self,
        request: Request<wire::CreateSubjectRequest>,
    ) -> Result<Response<wire::Subject>, Status> {
        create_subject::call(self, request).await
    }
}
