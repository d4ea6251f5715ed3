//! Request ids across several transactions, as writes with a peer use them.

use std::time::Duration;

use diesel::PgConnection;
use shared::db::{Db, DbError, Scope, UnitError};
use shared::deadline::Deadline;
use shared::ids::TenantId;
use shared::outcome::{self, Claim, Request};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

use crate::setup::database;

const LEASE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) enum Failure {
    Problem(Problem),
    Db(DbError),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Problem(problem) => problem,
            Failure::Db(error) => error.into(),
        }
    }
}

impl UnitError for Failure {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            Self::Problem(_) => None,
        }
    }
}

fn request(tenant: TenantId, seconds: i64) -> Request {
    Request {
        tenant,
        operation: "create-thing".to_owned(),
        request_id: "r".to_owned(),
        hash: vec![1, 2, 3],
        principal: "p".to_owned(),
        trace_id: "t".to_owned(),
        time: Timestamp::from_micros(seconds * 1_000_000),
    }
}

pub(crate) async fn begin(db: &Db, request: &Request, resource: &str) -> Result<Claim, Problem> {
    let (request, resource) = (request.clone(), resource.to_owned());
    let scope = Scope::tenant(request.tenant, Deadline::after(Duration::from_secs(10)));
    let write = move |conn: &mut PgConnection| match outcome::begin::<Failure>(
        conn, &request, &resource, LEASE,
    ) {
        Ok(claim) => Ok(Ok(claim)),
        Err(Failure::Problem(problem)) => Ok(Err(problem)),
        Err(Failure::Db(error)) => Err(error),
    };
    db.write("begin", scope, write).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_stopped_half_way_is_taken_over_after_its_lease() {
    let database = database().await;
    let db = database.db();
    let tenant = tokio::task::block_in_place(|| database.tenant());
    let first = request(tenant, 0);
    assert!(matches!(begin(&db, &first, "things/1").await, Ok(Claim::New)));
    let early = begin(&db, &request(tenant, 10), "things/2").await.unwrap_err();
    assert_eq!(early.reason, Reason::RequestInProgress);
    assert!(early.retry_after.is_some());
    // The one that takes over goes on with the resource of the first.
    let late = begin(&db, &request(tenant, 31), "things/2").await;
    assert!(matches!(late, Ok(Claim::Resumed(resource)) if resource == "things/1"));
    // The lease is its own now.
    let again = begin(&db, &request(tenant, 40), "things/3").await.unwrap_err();
    assert_eq!(again.reason, Reason::RequestInProgress);

    let scope = Scope::tenant(tenant, Deadline::after(Duration::from_secs(10)));
    let done = first.clone();
    db.write("end", scope, move |conn| {
        Ok::<_, DbError>(outcome::succeed(
            conn,
            tenant,
            &done.operation,
            &done.request_id,
            done.time,
        )?)
    })
    .await
    .unwrap();
    let replayed = begin(&db, &request(tenant, 50), "things/4").await;
    assert!(matches!(replayed, Ok(Claim::Replayed(resource)) if resource == "things/1"));
    let mut other = request(tenant, 60);
    other.hash = vec![9];
    let reused = begin(&db, &other, "things/5").await.unwrap_err();
    assert_eq!(reused.reason, Reason::RequestIdReused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_given_back_need_not_be_waited_for() {
    let database = database().await;
    let db = database.db();
    let tenant = tokio::task::block_in_place(|| database.tenant());
    let first = request(tenant, 0);
    begin(&db, &first, "things/1").await.unwrap();
    let scope = Scope::tenant(tenant, Deadline::after(Duration::from_secs(10)));
    db.write("release", scope, move |conn| Ok::<_, DbError>(outcome::release(conn, &first)?))
        .await
        .unwrap();
    let again = begin(&db, &request(tenant, 1), "things/2").await;
    assert!(matches!(again, Ok(Claim::Resumed(resource)) if resource == "things/1"));
}
