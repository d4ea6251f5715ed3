//! Health (`grpc.health.v1`): "" is readiness, and follows the database and the shutdown; "live"
//! is liveness, and does not: a restart of the service heals no database.

use std::time::Duration;

use diesel::RunQueryDsl as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;

use crate::db::{Db, DbError, Scope};
use crate::deadline::Deadline;

const INTERVAL: Duration = Duration::from_secs(2);

/// The health service, and the task that keeps it true until the server aborts it.
pub(super) fn watch(
    db: Db,
    shutdown: CancellationToken,
) -> (HealthServer<impl Health>, JoinHandle<()>) {
    let (reporter, service) = tonic_health::server::health_reporter();
    (service, tokio::spawn(report(reporter, db, shutdown)))
}

async fn report(reporter: HealthReporter, db: Db, shutdown: CancellationToken) {
    reporter.set_service_status("live", ServingStatus::Serving).await;
    while !shutdown.is_cancelled() {
        let scope = Scope::tenantless(Deadline::after(INTERVAL));
        let answer = db
            .read("health", scope, |conn| {
                Ok::<_, DbError>(diesel::sql_query("SELECT 1").execute(conn)?)
            })
            .await;
        let status = match answer {
            Ok(_) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        };
        reporter.set_service_status("", status).await;
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
    reporter.set_service_status("", ServingStatus::NotServing).await;
}
