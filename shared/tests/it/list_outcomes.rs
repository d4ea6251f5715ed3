//! The list of what did not simply succeed.

use std::time::Duration;

use diesel::PgConnection;
use diesel::connection::SimpleConnection as _;
use shared::db::{Db, DbError, Scope};
use shared::deadline::Deadline;
use shared::ids::TenantId;
use shared::outcome::{self, Request, Settled};
use shared::problem::{Problem, Reason};
use shared::testing::{Bearer, Issuer, Running, TestDatabase, refusal};
use shared::time::Timestamp;
use strongroom_proto::outcomes::v1 as wire;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use wire::outcome::State;
use wire::outcome_service_client::OutcomeServiceClient;

use crate::outcome::{Failure, begin};
use crate::setup::{database, server};

const ANNA: &str = "accounts/00000000-0000-7000-8000-00000000000a";
const BEN: &str = "accounts/00000000-0000-7000-8000-00000000000b";
const PERMISSION: &str = "outcomes.outcomes.list";

struct World {
    issuer: Issuer,
    server: Running,
    tenant: TenantId,
    database: TestDatabase,
}

struct Client(OutcomeServiceClient<InterceptedService<Channel, Bearer>>);

impl World {
    async fn start() -> Self {
        let database = database().await;
        let tenant = tokio::task::block_in_place(|| database.tenant());
        let issuer = Issuer::new(&[]);
        let server = server(&database, &issuer.arguments()).await;
        Self { issuer, server, tenant, database }
    }

    fn client(&self, tenant: TenantId, permissions: &[&str]) -> Client {
        let bearer = Bearer::new(&self.issuer.bearer(tenant, permissions));
        let channel = InterceptedService::new(self.server.channel(), bearer);
        Client(OutcomeServiceClient::new(channel))
    }

    /// Stores outcomes of one tenant in one batch, as a lane does.
    async fn settle(&self, tenant: TenantId, outcomes: Vec<(Request, Result<String, Problem>)>) {
        let write = move |conn: &mut PgConnection| {
            let settled = outcomes.iter();
            let settled: Vec<_> = settled
                .map(|(request, result)| Settled { request, result: result.clone() })
                .collect();
            Ok::<_, DbError>(outcome::insert_all(conn, &settled)?)
        };
        self.database.db().write("settle", scope(tenant), write).await.unwrap();
    }

    /// Refuses a write that is complete in one transaction.
    async fn refuse(&self, db: &Db, request: Request, problem: Problem) {
        let (scope, decided) = (scope(request.tenant), problem.clone());
        let refuse = move |_: &mut PgConnection| Err::<(), _>(Failure::Problem(decided.clone()));
        let done = outcome::once(db, "refuse", scope, Some(request), String::new(), refuse);
        assert_eq!(done.await.unwrap_err(), problem);
    }
}

impl Client {
    async fn list(
        &mut self,
        page_size: i32,
        page_token: &str,
        filter: &str,
    ) -> Result<wire::ListOutcomesResponse, Status> {
        let (page_token, filter) = (page_token.to_owned(), filter.to_owned());
        let request = wire::ListOutcomesRequest { page_size, page_token, filter };
        self.0.list_outcomes(request).await.map(tonic::Response::into_inner)
    }

    /// The request ids of every page.
    async fn all(&mut self, size: i32, filter: &str) -> Vec<Vec<String>> {
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.list(size, &token, filter).await.unwrap();
            pages.push(page.outcomes.into_iter().map(|outcome| outcome.request_id).collect());
            token = page.next_page_token;
            if token.is_empty() {
                return pages;
            }
        }
    }
}

fn scope(tenant: TenantId) -> Scope {
    Scope::tenant(tenant, Deadline::after(Duration::from_secs(30)))
}

fn request(tenant: TenantId, operation: &str, request_id: &str, seconds: i64) -> Request {
    Request {
        tenant,
        operation: operation.to_owned(),
        request_id: request_id.to_owned(),
        hash: vec![1],
        principal: "p".to_owned(),
        trace_id: "t".to_owned(),
        time: Timestamp::from_micros(seconds * 1_000_000),
    }
}

fn refused(reason: Reason, account: &str) -> Problem {
    Problem::new(reason, "It is refused.").figure("account", account).figure("shortfall", "1.00")
}

/// A world with these outcomes, the latest first: g, f and e at one time, d, c, b, a; and s, which
/// succeeded.
async fn filled() -> World {
    let world = World::start().await;
    let tenant = world.tenant;
    let request = |operation: &str, id: &str, seconds| request(tenant, operation, id, seconds);
    let funds = |account: &str| Err(refused(Reason::InsufficientFunds, account));
    let batch = vec![
        (request("x", "a", 1), funds(ANNA)),
        (request("x", "s", 2), Ok("things/1".to_owned())),
        (request("y", "b", 3), Err(refused(Reason::AccountBlocked, ANNA))),
        (request("x", "f", 6), funds(BEN)),
        (request("y", "e", 6), funds(ANNA)),
    ];
    world.settle(tenant, batch).await;
    let db = world.database.db();
    world.refuse(&db, request("x", "c", 4), refused(Reason::InsufficientFunds, BEN)).await;
    let fenced = request("y", "d", 5);
    let fence = move |conn: &mut PgConnection| Ok::<_, DbError>(outcome::fence(conn, &fenced)?);
    db.write("fence", scope(tenant), fence).await.unwrap();
    begin(&db, &request("x", "g", 7), "things/2").await.unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_every_refusal_once_the_latest_first() {
    let world = filled().await;
    let mut client = world.client(world.tenant, &[PERMISSION]);
    let expected = ["g", "f", "e", "d", "c", "b", "a"];
    for (size, pages) in [(1, 7), (2, 4), (4, 2), (7, 1), (0, 1), (5_000, 1)] {
        let found = client.all(size, "").await;
        assert_eq!((found.concat(), found.len()), (expected.map(str::to_owned).to_vec(), pages));
    }
    let page = client.list(1, "", &format!("account = {BEN}")).await.unwrap();
    let outcome = &page.outcomes[0];
    assert_eq!((&*outcome.operation, outcome.state()), ("x", State::Rejected));
    assert_eq!(outcome.reason(), Reason::InsufficientFunds);
    assert_eq!((&*outcome.figures["account"], &*outcome.figures["shortfall"]), (BEN, "1.00"));
    assert_eq!((&*outcome.principal, &*outcome.trace_id), ("p", "t"));
    assert_eq!(outcome.create_time.map(|time| time.seconds), Some(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_through_what_they_say() {
    let world = filled().await;
    let mut client = world.client(world.tenant, &[PERMISSION]);
    for (filter, expected) in [
        (format!("account = \"{ANNA}\""), "eba"),
        (format!("account = \"{ANNA}\" AND reason = INSUFFICIENT_FUNDS"), "ea"),
        (format!("account = {BEN} AND create_time < \"1970-01-01T00:00:06Z\""), "c"),
        (format!("account = {BEN} AND create_time >= \"1970-01-01T00:00:06Z\""), "f"),
        (format!("account = {BEN} AND operation = y"), ""),
        ("account = accounts/00000000-0000-7000-8000-00000000000c".to_owned(), ""),
        ("operation = y".to_owned(), "edb"),
        ("state = UNKNOWN".to_owned(), "d"),
        ("state = REJECTED AND operation = x".to_owned(), "fca"),
        ("state = STATE_IN_PROGRESS".to_owned(), "g"),
        ("reason = ERROR_REASON_ACCOUNT_BLOCKED".to_owned(), "b"),
        (
            "create_time >= \"1970-01-01T00:00:03Z\" AND create_time < \"1970-01-01T00:00:06Z\""
                .to_owned(),
            "dcb",
        ),
    ] {
        for size in [1, 2, 50] {
            assert_eq!(client.all(size, &filter).await.concat().concat(), expected, "{filter}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_leaves_out_is_examined_in_bounds() {
    let world = filled().await;
    let fill = format!(
        "SET strongroom.tenant = '{tenant}'; INSERT INTO outcomes (tenant_id, operation, \
         request_id, request_hash, state, reason, principal, trace_id, create_time) \
         SELECT '{tenant}', 'x', 'later-' || n, '', 4, 'KYC_REQUIRED', 'p', 't', now() \
         FROM generate_series(1, 5000) n",
        tenant = world.tenant.uuid()
    );
    tokio::task::block_in_place(|| world.database.owner().batch_execute(&fill).unwrap());
    let mut client = world.client(world.tenant, &[PERMISSION]);
    let found = client.all(2, "reason = ACCOUNT_BLOCKED").await;
    assert_eq!(found, [vec![], vec![], vec!["b".to_owned()]], "a page examines 2,000");
    assert_eq!(client.all(1_000, "").await.concat().len(), 5_007);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_sees_nothing_and_takes_no_token() {
    let world = filled().await;
    let mut client = world.client(world.tenant, &[PERMISSION]);
    let foreign = tokio::task::block_in_place(|| world.database.tenant());
    let mut stranger = world.client(foreign, &[PERMISSION]);
    for filter in ["", &format!("account = {ANNA}"), "operation = x"] {
        assert_eq!(stranger.all(10, filter).await, [[""; 0]], "{filter}");
    }
    let token = client.list(1, "", "").await.unwrap().next_page_token;
    assert_eq!(client.list(2, &token, "").await.unwrap().outcomes.len(), 2, "the size may change");
    for refused in [
        stranger.list(1, &token, "").await,
        client.list(1, &token, "operation = x").await,
        client.list(1, &format!("{token}A"), "").await,
        client.list(1, &token[1..], "").await,
        client.list(1, "\u{0}???", "").await,
    ] {
        let (reason, field, _) = refusal(&refused.unwrap_err());
        assert_eq!((reason, &*field), (Reason::PageTokenInvalid, "page_token"));
    }
    let mut other = world.client(world.tenant, &["outcomes.outcomes.get"]);
    let (reason, ..) = refusal(&other.list(1, "", "").await.unwrap_err());
    assert_eq!(reason, Reason::PermissionMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused() {
    let world = World::start().await;
    let mut client = world.client(world.tenant, &[PERMISSION]);
    let long = format!("operation = \"{}\"", "x".repeat(1_024));
    for (size, filter, expected) in [
        (-1, "", (Reason::FieldInvalid, "page_size")),
        (1, &*long, (Reason::FieldInvalid, "filter")),
        (1, &"(".repeat(1_024), (Reason::FilterInvalid, "filter")),
        (1, "operation = \"\u{0}\"", (Reason::FilterInvalid, "filter")),
        (1, "operation = x OR true", (Reason::FilterInvalid, "filter")),
        (1, "operation = \"x' OR 'x' = 'x\"", (Reason::FilterInvalid, "filter")),
        (1, "request_id = a", (Reason::FilterInvalid, "filter")),
        (1, "tenant_id = a", (Reason::FilterInvalid, "filter")),
        (1, "state = SUCCEEDED", (Reason::FilterInvalid, "filter")),
        (1, "create_time >= \"2026-11-01\"", (Reason::FilterInvalid, "filter")),
        (1, "account = \"accounts/%\"", (Reason::FilterInvalid, "filter")),
    ] {
        let status = client.list(size, "", filter).await.unwrap_err();
        let (reason, field, figures) = refusal(&status);
        assert_eq!((reason, &*field), expected, "{filter}: {status:?}");
        assert_eq!(figures.contains_key("position"), reason == Reason::FilterInvalid, "{filter}");
    }
}
