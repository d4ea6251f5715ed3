//! The layers of the server, outermost first, each an `async fn` that a reader can follow.
//! `grpc::server` puts them together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use opentelemetry::metrics::Histogram;
use opentelemetry::{KeyValue, global};
use strongroom_proto::Method;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};
use tracing::Instrument as _;

use super::body::observe;
use super::call::{Call, with_trace_id};
use crate::config;
use crate::deadline::Deadline;
use crate::principal::{Scope, missing};
use crate::problem::{Problem, Reason};
use crate::telemetry;
use crate::tenants::Tenants;
use crate::token::Authenticator;

/// Shaved off the caller's deadline, so that this server's answer comes before the caller's own
/// timer, and before tonic's, which would say CANCELLED.
const DEADLINE_MARGIN: Duration = Duration::from_millis(4);
/// With less than this the two timers, which tick in milliseconds, fire at once: then the answer is
/// given before anything starts.
const DEADLINE_MIN: Duration = Duration::from_millis(2);
/// Open to everybody: health says nothing secret, and reflection is switched off by configuration.
/// Whole paths, because each is a series of the metrics, and anybody may ask for any path.
const OPEN: [&str; 4] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// What the layers share.
#[derive(Debug)]
pub struct Stack {
    authenticator: Authenticator,
    tenants: Tenants,
    calls: Semaphore,
    default_deadline: Duration,
    max_deadline: Duration,
    max_upload: Duration,
    duration: Histogram<f64>,
    shutdown: CancellationToken,
}

impl Stack {
    /// The layers of a server with these limits.
    pub fn new(
        config: &config::Server,
        authenticator: Authenticator,
        tenants: Tenants,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            authenticator,
            tenants,
            calls: Semaphore::new(config.max_calls),
            default_deadline: config.default_deadline,
            max_deadline: config.max_deadline,
            max_upload: config.max_upload,
            duration: global::meter("strongroom")
                .f64_histogram("rpc.server.call.duration")
                .with_unit("s")
                .with_description("Duration of inbound calls")
                .with_boundaries(telemetry::SECONDS.to_vec())
                .build(),
            shutdown,
        }
    }
}

/// The answer to a panic: the caller learns nothing but that it was no fault of its own.
#[expect(clippy::needless_pass_by_value, reason = "the signature that CatchPanicLayer asks for")]
pub(super) fn panicked(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = text, "a handler panicked");
    refuse(Problem::internal())
}

/// Opens the span of the call below the caller's own, and measures it to the last trailer.
pub(super) async fn trace(
    State(stack): State<Arc<Stack>>,
    request: Request,
    next: Next,
) -> Response {
    let (path, since) = (request.uri().path().to_owned(), Instant::now());
    // What no contract declares is one series, or anybody could make as many as they like.
    let known = strongroom_proto::method(&path).is_some() || is_open(&path);
    let method = if known { path.trim_start_matches('/').to_owned() } else { "_OTHER".to_owned() };
    let span = tracing::info_span!(
        "rpc",
        otel.name = method,
        otel.kind = "server",
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = tracing::field::Empty,
        trace_id = tracing::field::Empty,
    );
    let trace_id = telemetry::adopt(&span, request.headers());
    span.record("trace_id", &trace_id);
    let response = with_trace_id(trace_id, next.run(request).instrument(span.clone())).await;
    let histogram = stack.duration.clone();
    observe(response, stack.shutdown.clone(), move |code| {
        span.record("rpc.response.status_code", telemetry::code_name(code));
        let labels = [
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method),
            KeyValue::new("rpc.response.status_code", telemetry::code_name(code)),
        ];
        histogram.record(since.elapsed().as_secs_f64(), &labels);
        let elapsed_ms = since.elapsed().as_millis();
        span.in_scope(|| {
            tracing::debug!(code = telemetry::code_name(code), elapsed_ms, "answered");
        });
    })
}

/// Gives tonic's own refusals (no such method, a message that does not decode) a reason as well.
pub(super) async fn explain(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let headers = response.headers();
    if headers.contains_key("grpc-status-details-bin") {
        return response;
    }
    let Some(status) = Status::from_header_map(headers) else {
        return response;
    };
    let message = status.message();
    let problem = match status.code() {
        Code::Unimplemented if message.is_empty() => {
            Problem::new(Reason::MethodUnknown, "There is no such method.")
        }
        Code::OutOfRange => {
            Problem::new(Reason::MessageTooLarge, "The request is larger than the service reads.")
        }
        Code::Internal if message.starts_with("failed to decode Protobuf message") => {
            Problem::new(Reason::FieldInvalid, "must be a message of the contract").in_field("")
        }
        Code::Internal if message.starts_with("Missing request message") => {
            Problem::new(Reason::FieldInvalid, "must be given").in_field("")
        }
        _ => return response,
    };
    refuse(problem)
}

/// Refuses more work than the service may have at once, rather than queue it.
pub(super) async fn shed(
    State(stack): State<Arc<Stack>>,
    request: Request,
    next: Next,
) -> Response {
    if is_open(request.uri().path()) {
        return next.run(request).await;
    }
    match stack.calls.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => refuse(
            Problem::new(Reason::Overloaded, "The service has more calls than it may run at once.")
                .retry_after(Duration::from_millis(100)),
        ),
    }
}

/// Bounds the call by the caller's deadline and the service's own, and says so when it passes.
pub(super) async fn deadline(
    State(stack): State<Arc<Stack>>,
    mut request: Request,
    next: Next,
) -> Response {
    let asked = asked_timeout(request.headers());
    if asked.is_some_and(|asked| asked < DEADLINE_MIN) {
        return refuse(Problem::new(Reason::Deadline, "The deadline passed."));
    }
    // What a caller streams takes as long as its network does.
    let (default, max) = match strongroom_proto::method(request.uri().path()) {
        Some(method) if method.uploads => (stack.max_upload, stack.max_upload),
        _ => (stack.default_deadline, stack.max_deadline),
    };
    let timeout = asked
        .map_or(default, |asked| asked.min(max).saturating_sub(DEADLINE_MARGIN.min(asked / 2)));
    let deadline = Deadline::after(timeout);
    request.extensions_mut().insert(deadline);
    match tokio::time::timeout_at(deadline.instant(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => refuse(Problem::new(Reason::Deadline, "The deadline passed.")),
    }
}

/// How long the caller waits, where it says so.
pub(crate) fn asked_timeout(headers: &http::HeaderMap) -> Option<Duration> {
    timeout(headers.get("grpc-timeout")?.to_str().ok()?)
}

/// The time of a `grpc-timeout` header: at most eight digits and a unit.
fn timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok().filter(|_| (1..=8).contains(&digits.len()))?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3_600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Finds out who calls, and refuses what the method table does not grant. Default: deny.
pub(super) async fn authorise(
    State(stack): State<Arc<Stack>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if is_open(path) {
        return next.run(request).await;
    }
    let Some(method) = strongroom_proto::method(path) else {
        return refuse(Problem::new(Reason::MethodUnknown, "There is no such method."));
    };
    let (mut head, body) = request.into_parts();
    match admit(&stack, &head, method).await {
        Ok(call) => {
            head.extensions.insert(call);
            next.run(Request::from_parts(head, body)).await
        }
        Err(problem) => refuse(problem),
    }
}

async fn admit(stack: &Stack, head: &Parts, method: &Method) -> Result<Call, Problem> {
    let peer = head.extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    let on_loopback = peer.is_some_and(|peer: SocketAddr| peer.ip().is_loopback());
    let identity = stack.authenticator.authenticate(&head.headers, on_loopback)?;
    let principal = identity.principal(&head.headers, method.tenantless)?;
    let grant = principal.require(method.permission)?;
    // A grant for what is one's own opens only the methods that narrow their answer to that.
    if grant == Scope::Own && !(method.own && principal.customer.is_some()) {
        return Err(missing(method.permission));
    }
    let deadline = head.extensions.get::<Deadline>().copied();
    let deadline = deadline.unwrap_or_else(|| Deadline::after(stack.default_deadline));
    let tenant = match principal.tenant {
        Some(id) => Some(stack.tenants.get(id, deadline).await?),
        None => None,
    };
    if let Some(tenant) = &tenant {
        tenant.allow(method.read_only)?;
    }
    let trace_id = super::call::trace_id().unwrap_or_default();
    Ok(Call { principal: Arc::new(principal), grant, tenant, deadline, trace_id })
}

fn is_open(path: &str) -> bool {
    OPEN.contains(&path)
}

fn refuse(problem: Problem) -> Response {
    Status::from(problem).into_http::<Body>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_open_but_what_is_served() {
        assert!(is_open("/grpc.health.v1.Health/Check"));
        for closed in ["/grpc.health.v1.Health/Nothing", "/grpc.health.v1.x/1", "/grpc.reflection."]
        {
            assert!(!is_open(closed), "{closed}");
        }
    }

    #[test]
    fn timeouts_are_read_as_the_protocol_has_them() {
        assert_eq!(timeout("5S"), Some(Duration::from_secs(5)));
        assert_eq!(timeout("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for bad in ["", "S", "5", "123456789S", "-1S", "1.5S", "5s", "5€"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }
}
