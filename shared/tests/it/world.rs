//! A service whose changes say themselves what happened, and clients that read them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use shared::changes;
use shared::clock::Clock;
use shared::config::Common;
use shared::ids::TenantId;
use shared::testing::{Bearer, Issuer, Running, TestDatabase};
use shared::time::Timestamp;
use shared::transparency::generate;
use strongroom_proto::events::v1 as events;
use strongroom_proto::transparency::v1 as log;
use tempfile::TempDir;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::setup::{common, database, server_of};

pub(crate) type Api = InterceptedService<Channel, Bearer>;
pub(crate) type Events = events::event_service_client::EventServiceClient<Api>;
pub(crate) type Log = log::transparency_service_client::TransparencyServiceClient<Api>;

pub(crate) struct World {
    pub(crate) issuer: Issuer,
    pub(crate) tenant: TenantId,
    pub(crate) database: TestDatabase,
    /// The key of the log and the checkpoints.
    pub(crate) folder: TempDir,
    pub(crate) verifier_key: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = database().await;
        let tenant = tokio::task::block_in_place(|| database.tenant());
        let folder = tempfile::tempdir().unwrap();
        let (pem, verifier_key) = generate().unwrap();
        std::fs::write(folder.path().join("log.pem"), pem).unwrap();
        Self { issuer: Issuer::new(&[]), tenant, database, folder, verifier_key }
    }

    /// What a replica is told, beside where the database is.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let path = |name: &str| self.folder.path().join(name).to_string_lossy().into_owned();
        let mut arguments = vec!["--log-key".to_owned(), path("log.pem")];
        arguments.extend(["--checkpoint-folder".to_owned(), path("checkpoints")]);
        for fast in ["--sequence-interval", "--checkpoint-interval"] {
            arguments.extend([fast.to_owned(), "0.01".to_owned()]);
        }
        arguments.extend(self.issuer.arguments().into_iter().map(str::to_owned));
        arguments
    }

    pub(crate) fn common(&self, more: &[&str]) -> Common {
        let own = self.arguments();
        let mut all: Vec<&str> = own.iter().map(String::as_str).collect();
        all.extend(more);
        common(&self.database, &all)
    }

    /// A replica.
    pub(crate) async fn serve(&self, more: &[&str]) -> Running {
        server_of(self.common(more)).await
    }

    fn api(&self, server: &Running, tenant: TenantId) -> Api {
        let bearer = self.issuer.bearer(tenant, &["events.*", "transparency.*"]);
        InterceptedService::new(server.channel(), Bearer::new(&bearer))
    }

    pub(crate) fn events(&self, server: &Running) -> Events {
        self.events_of(server, self.tenant)
    }

    pub(crate) fn events_of(&self, server: &Running, tenant: TenantId) -> Events {
        Events::new(self.api(server, tenant))
    }

    pub(crate) fn log(&self, server: &Running) -> Log {
        Log::new(self.api(server, self.tenant))
    }

    /// Records changes, each in a commit of its own.
    pub(crate) fn record(&self, kind: &str, subjects: impl IntoIterator<Item = String>) {
        tokio::task::block_in_place(|| {
            let mut conn = self.database.runtime();
            for subject in subjects {
                let now = Clock::system().now();
                change(&mut conn, self.tenant, kind, &subject, now, || true);
            }
        });
    }

    /// Records `count` changes of things.
    pub(crate) fn things(&self, count: usize) {
        self.record("thing.made", (0..count).map(|n| format!("things/{n}")));
    }

    /// Waits until the log has this size.
    pub(crate) async fn sequenced(&self, size: i64) {
        let since = Instant::now();
        loop {
            let now = tokio::task::block_in_place(|| self.size());
            assert!(now <= size, "{now} of {size} are in the log");
            if now == size {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(60), "{now} of {size} are in the log");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn size(&self) -> i64 {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            size: i64,
        }
        let mut conn = self.database.runtime();
        conn.batch_execute(&enter("SET", self.tenant)).unwrap();
        let rows: Vec<Row> = diesel::sql_query("SELECT size FROM logs").load(&mut conn).unwrap();
        rows.first().map_or(0, |row| row.size)
    }
}

/// What the policies need to show a tenant's rows.
pub(crate) fn enter(set: &str, tenant: TenantId) -> String {
    format!("{set} strongroom.tenant = '{}'", tenant.uuid())
}

/// Records a change in a commit of its own, or rolls it back.
pub(crate) fn change(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    subject: &str,
    time: Timestamp,
    commits: impl FnOnce() -> bool,
) {
    conn.batch_execute(&format!("BEGIN; {}", enter("SET LOCAL", tenant))).unwrap();
    changes::record(conn, tenant, kind, subject, &data(subject), time).unwrap();
    let end = if commits() { "COMMIT" } else { "ROLLBACK" };
    conn.batch_execute(end).unwrap();
}

/// What the log says of a change.
pub(crate) fn data(subject: &str) -> String {
    format!("{{\"subject\":\"{subject}\"}}")
}

/// Every event, page by page.
pub(crate) async fn list_all(client: &mut Events, page_size: i32) -> Vec<events::Event> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let request =
            events::ListEventsRequest { page_size, cursor, ..events::ListEventsRequest::default() };
        let page = client.list_events(request).await.unwrap().into_inner();
        all.extend(page.events);
        cursor = page.next_cursor;
        if !page.more {
            return all;
        }
    }
}

/// That there is no gap, and that everything is there once.
pub(crate) fn assert_each_once(events: &[events::Event], subjects: &[String]) {
    for (position, event) in events.iter().enumerate() {
        assert_eq!(event.position, i64::try_from(position).unwrap());
        assert_eq!(event.id, position.to_string());
        assert_eq!(event.data, data(&event.subject));
    }
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events {
        *times.entry(&event.subject).or_default() += 1;
    }
    let expected: BTreeMap<&str, usize> = subjects.iter().map(|subject| (&**subject, 1)).collect();
    assert_eq!(times, expected);
}
