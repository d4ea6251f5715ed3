//! What a handler knows of the call that it answers.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::db::Scope;
use crate::deadline::Deadline;
use crate::ids::TenantId;
use crate::outcome;
use crate::principal::{Grants, Principal, Scope as GrantScope};
use crate::problem::{Problem, Reason};
use crate::tenants::TenantInfo;

tokio::task_local! {
    /// The trace of the call that the current task answers, for the errors that it makes.
    static TRACE_ID: String;
}

/// Runs a future with its trace id.
pub async fn with_trace_id<F: Future>(trace_id: String, future: F) -> F::Output {
    TRACE_ID.scope(trace_id, future).await
}

/// The trace id of the call that the current task answers.
pub fn trace_id() -> Option<String> {
    TRACE_ID.try_with(Clone::clone).ok()
}

/// Who calls, in which tenant, and until when. The server stack puts it into every request that it
/// lets through.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls.
    pub principal: Arc<Principal>,
    /// How far the grant for this method reaches.
    pub grant: GrantScope,
    /// The tenant; none for the administration of tenants.
    pub tenant: Option<Arc<TenantInfo>>,
    /// When nobody waits for the answer any more.
    pub deadline: Deadline,
    /// The trace, 32 hexadecimal digits.
    pub trace_id: String,
}

impl Call {
    /// The call of a request that came through the stack.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Problem> {
        request.extensions().get::<Self>().cloned().ok_or_else(|| {
            Problem::new(Reason::Internal, "The request did not come through the server stack.")
        })
    }

    /// The call of a background worker, in the service's own name.
    pub fn of_worker(name: &str, tenant: Arc<TenantInfo>, timeout: Duration) -> Self {
        let principal = Principal {
            subject: format!("worker:{name}"),
            workload: None,
            tenant: Some(tenant.id),
            customer: None,
            grants: Grants::default(),
        };
        Self {
            principal: Arc::new(principal),
            grant: GrantScope::Tenant,
            tenant: Some(tenant),
            deadline: Deadline::after(timeout),
            trace_id: uuid::Uuid::new_v4().simple().to_string(),
        }
    }

    /// The tenant of the call.
    pub fn tenant(&self) -> Result<&Arc<TenantInfo>, Problem> {
        self.tenant.as_ref().ok_or_else(|| {
            Problem::new(Reason::Internal, "The method is called outside any tenant.")
        })
    }

    /// The tenant's id.
    pub fn tenant_id(&self) -> Result<TenantId, Problem> {
        self.tenant().map(|tenant| tenant.id)
    }

    /// The scope of the call's units of work.
    pub fn scope(&self) -> Scope {
        Scope { tenant: self.tenant.as_ref().map(|tenant| tenant.id), deadline: self.deadline }
    }

    /// The write that this call asks for under a request id.
    pub fn request(
        &self,
        operation: &str,
        request_id: String,
        asked: &impl serde::Serialize,
        clock: &Clock,
    ) -> Result<outcome::Request, Problem> {
        let tenant = self.tenant()?;
        Ok(outcome::Request {
            tenant: tenant.id,
            operation: operation.to_owned(),
            request_id,
            hash: outcome::hash(&tenant.key, asked),
            principal: self.principal.subject.clone(),
            trace_id: self.trace_id.clone(),
            time: clock.now(),
        })
    }
}

/// Marks an answer as that of an earlier request with the same id.
pub fn replayed<T>(answer: T) -> tonic::Response<T> {
    let mut response = tonic::Response::new(answer);
    response
        .metadata_mut()
        .insert("strongroom-replayed", tonic::metadata::MetadataValue::from_static("true"));
    response
}

/// What a method that creates gives.
#[derive(Debug)]
pub enum Created<T> {
    /// It was made now.
    Now(T),
    /// An earlier call with the same request id made it.
    Before(T),
}

impl<T> Created<T> {
    /// The same about something else.
    pub fn with<W>(self, resource: W) -> Created<W> {
        match self {
            Self::Now(_) => Created::Now(resource),
            Self::Before(_) => Created::Before(resource),
        }
    }

    /// What was made.
    pub fn resource(&self) -> &T {
        match self {
            Self::Now(resource) | Self::Before(resource) => resource,
        }
    }

    /// The answer, marked where it is that of the earlier call.
    pub fn respond<W>(self, encode: impl FnOnce(T) -> W) -> tonic::Response<W> {
        match self {
            Self::Now(resource) => tonic::Response::new(encode(resource)),
            Self::Before(resource) => replayed(encode(resource)),
        }
    }
}
