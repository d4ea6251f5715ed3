//! The services of the contract: one struct, and one file for each RPC.

mod access_entries;
mod approve_erasure;
mod batch_get_records;
mod cancel_erasure;
mod close_break_glass;
mod content;
mod create_record;
mod create_record_type;
mod create_subject;
mod delete_record;
mod destroy_epoch;
mod download_record;
mod encode;
mod erase_subject;
pub(crate) mod erasures;
mod export_subject;
mod get_erasure;
mod get_policy;
mod get_record;
mod get_record_type;
mod get_rotation;
mod get_subject;
mod get_upload;
mod governance;
mod grant_consent;
mod lifecycle;
mod list_access_entries;
mod list_accesses;
mod list_break_glass;
mod list_consents;
mod list_erasures;
mod list_keys;
mod list_legal_holds;
mod list_record_types;
mod list_record_versions;
mod list_records;
mod list_retention_interests;
mod list_rotations;
mod list_subjects;
mod lookup_records;
mod open_break_glass;
mod place_legal_hold;
mod purge_record;
mod reading;
mod record_types;
mod release_legal_hold;
mod review_break_glass;
mod revoke_consent;
mod rotate_key;
mod services;
mod set_retention_interest;
mod streams;
mod types;
mod undelete_record;
mod update_policy;
mod update_record;
mod update_record_type;
mod upload_record;
mod watch_access_entries;

use std::sync::Arc;

use diesel::PgConnection;
use shared::changes;
use shared::clock::Clock;
use shared::commitment::Commitment;
use shared::db::Db;
use shared::grpc::Call;
use shared::lane::Lanes;
use shared::outcome::{self, Once};
use shared::problem::Problem;
use shared::rpc::EventRpc;
use shared::sequence::Nudge;
use shared::task;
use shared::tenants::Tenants;
use shared::transparency::LogKey;
use strongroom_proto::records::v1 as wire;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use wire::access_log_service_server::AccessLogServiceServer;
use wire::governance_service_server::GovernanceServiceServer;
use wire::key_service_server::KeyServiceServer;
use wire::record_service_server::RecordServiceServer;
use wire::record_type_service_server::RecordTypeServiceServer;
use wire::subject_service_server::SubjectServiceServer;

use crate::domain::access::{Access, AccessId, Action, PRINCIPAL};
use crate::engine::Engine;
use crate::error::Error;
use crate::objects::Objects;
use crate::rotation::Lag;
use crate::vault::Vault;
pub(crate) use types::Types;

pub(crate) use streams::Streams;

/// Content up to this many bytes is sealed, opened and checked where the call runs; more goes to a
/// thread of its own, so that it does not hold up other calls.
const INLINE_MAX: usize = 64 * 1024;

/// What the RPCs share.
#[derive(Clone)]
pub(crate) struct Rpc {
    /// The database.
    pub(crate) db: Db,
    /// The tenants.
    pub(crate) tenants: Tenants,
    /// The time.
    pub(crate) clock: Clock,
    /// To be told of every tenant for whom something was committed.
    pub(crate) nudge: Nudge,
    /// What happened, for those who watch it.
    pub(crate) events: EventRpc,
    /// What creates and reads for many callers at once.
    pub(crate) lanes: Lanes<Engine>,
    /// The keys.
    pub(crate) vault: Vault,
    /// How far rotations of keys are.
    pub(crate) lag: Lag,
    /// The record types.
    pub(crate) types: Types,
    /// Tells the background worker that there is something for it to do now.
    pub(crate) sweep: Arc<Notify>,
    /// Bodies that are too large for the database.
    pub(crate) objects: Objects,
    /// The limits of content that streams.
    pub(crate) streams: Streams,
    /// What signs certificates; none where the service has no key.
    pub(crate) log_key: Option<Arc<LogKey>>,
    /// Cancelled when the service shall end.
    pub(crate) shutdown: CancellationToken,
    /// The most bytes of a message.
    pub(crate) message_bytes_max: usize,
}

impl Rpc {
    /// The services as routes.
    pub(crate) fn routes(self) -> Routes {
        let limit = self.message_bytes_max;
        macro_rules! routes {
            ($($server:ident),+) => {
                Routes::default()$(.add_service(
                    $server::new(self.clone())
                        .max_decoding_message_size(limit)
                        .max_encoding_message_size(limit),
                ))+
            };
        }
        routes!(
            RecordServiceServer,
            RecordTypeServiceServer,
            SubjectServiceServer,
            GovernanceServiceServer,
            KeyServiceServer,
            AccessLogServiceServer
        )
    }

    /// Runs a write that is complete in one transaction, once for its request id, and tells the
    /// sequencer of it.
    async fn once<T, F>(
        &self,
        call: &Call,
        name: &'static str,
        request: Option<outcome::Request>,
        resource: String,
        act: F,
    ) -> Result<Once<T>, Problem>
    where
        T: Send + 'static,
        F: Fn(&mut PgConnection) -> Result<T, Error> + Send + Sync + 'static,
    {
        let done = outcome::once(&self.db, name, call.scope(), request, resource, act).await;
        // A refusal may have been frozen, which is an event too.
        self.nudge.tenant(call.tenant_id()?);
        done
    }

    /// An entry of the access log for a call that did what it asked for.
    pub(crate) fn access(&self, call: &Call, action: Action) -> Access {
        let (time, principal) = (self.clock.now(), call.principal.subject.clone());
        Access {
            id: AccessId::from_uuid(changes::id(time)),
            time,
            commitment: Commitment::new(PRINCIPAL, &principal),
            principal,
            workload: call.principal.workload.clone(),
            action,
            subject: None,
            record: None,
            version: None,
            view: None,
            purpose: None,
            refusal: None,
            resource: None,
            grounds: None,
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
