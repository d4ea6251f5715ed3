//! The server: the stack of layers in one place, the listener, and a shutdown that ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::{from_fn, from_fn_with_state};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tower_http::catch_panic::CatchPanicLayer;

use super::stack::{self, Stack};
use super::{health, incoming};
use crate::config;
use crate::db::Db;

/// How long a caller may leave a ping unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The packages that every service serves.
const COMMON: [&str; 4] = [
    "/strongroom.events.",
    "/strongroom.outcomes.",
    "/strongroom.tenants.",
    "/strongroom.transparency.",
];

/// Why a server stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptor set cannot be served.
    #[error("reflection cannot be served: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves until `shutdown`, then lets running calls end, but not for longer than the drain allows:
/// hyper waits for callers that do not answer (hyper 4170).
pub async fn serve(
    service: &str,
    listener: TcpListener,
    routes: Routes,
    stack: Stack,
    config: &config::Server,
    db: &Db,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let (health_service, health) = health::watch(db.clone(), shutdown.clone());
    let mut routes = routes.add_service(health_service);
    if config.reflection {
        routes = reflect(routes, service)?;
    }
    let connections = CancellationToken::new();
    let incoming = incoming::bounded(listener, config.max_connections, connections.clone());
    // All callers would come back at the same moment without some chance in it (tonic 2517).
    let age = config.connection_age.mul_f64(rand::random_range(0.9..=1.1));
    let server = Server::builder()
        .http2_keepalive_interval(Some(config.keepalive))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_connection_age(age)
        .max_connection_age_grace(config.drain)
        .add_routes(layered(routes, stack))
        .serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
    let result = tokio::select! {
        result = server => result.map_err(ServeError::from),
        () = cut_off(shutdown, config.drain) => {
            let drain_s = config.drain.as_secs_f64();
            tracing::warn!(drain_s, "cut off the calls that still ran");
            Ok(())
        }
    };
    connections.cancel();
    health.abort();
    result
}

async fn cut_off(shutdown: CancellationToken, drain: Duration) {
    shutdown.cancelled().await;
    tokio::time::sleep(drain).await;
}

/// The stack. A request passes it from the last line to the first.
fn layered(routes: Routes, stack: Stack) -> Routes {
    let stack = Arc::new(stack);
    let layered = routes
        .into_axum_router()
        // Who calls, and may they? Behind the deadline, since it may ask the database.
        .layer(from_fn_with_state(Arc::clone(&stack), stack::authorise))
        // No call outlives its caller's patience.
        .layer(from_fn_with_state(Arc::clone(&stack), stack::deadline))
        // No more calls at once than the service can hold.
        .layer(from_fn_with_state(Arc::clone(&stack), stack::shed))
        // Every refusal has a reason, tonic's own too.
        .layer(from_fn(stack::explain))
        // A panic is one call's failure, not the process's.
        .layer(CatchPanicLayer::custom(stack::panicked))
        // Outermost: measures and traces whatever happens below.
        .layer(from_fn_with_state(stack, stack::trace));
    Routes::from(layered).prepare()
}

/// Both versions, since older clients know only v1alpha; and only what this service serves.
fn reflect(routes: Routes, service: &str) -> Result<Routes, tonic_reflection::server::Error> {
    let own = format!("/strongroom.{service}.");
    let served: BTreeSet<&str> = strongroom_proto::METHODS
        .iter()
        .filter(|method| {
            COMMON.iter().any(|prefix| method.path.starts_with(prefix))
                || method.path.starts_with(&own)
        })
        .filter_map(|method| method.path.trim_start_matches('/').split('/').next())
        .chain(["grpc.health.v1.Health"])
        .collect();
    let builder = || {
        let all = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(strongroom_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        served.iter().fold(all, |builder, name| builder.with_service_name(*name))
    };
    Ok(routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
}
