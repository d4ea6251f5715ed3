//! Calls to peers, over a network that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use shared::deadline::Deadline;
use shared::grpc::Call;
use shared::grpc::client::{Config, Peer};
use shared::principal::{Grants, Principal, Scope};
use shared::problem::Reason;
use shared::testing::{Fault, Proxy, config};
use strongroom_proto::transactions::v1 as wire;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use wire::balance_service_client::BalanceServiceClient;

use crate::setup::{database, server};

fn call(timeout: Duration) -> Call {
    let principal = Principal {
        subject: "s".to_owned(),
        workload: None,
        tenant: None,
        customer: None,
        grants: Grants::default(),
    };
    Call {
        principal: Arc::new(principal),
        grant: Scope::Tenant,
        tenant: None,
        deadline: Deadline::after(timeout),
        trace_id: String::new(),
    }
}

fn peer(address: &str) -> Peer {
    let config: Config = config(&["--peer-resolve", "0.1"]);
    Peer::new("ledger", address, &config, None, CancellationToken::new())
}

async fn ask(peer: &Peer, timeout: Duration) -> Result<wire::Balance, shared::problem::Problem> {
    let client = BalanceServiceClient::new(peer.channel());
    let message = wire::GetBalanceRequest::default();
    let rpc = |request| {
        let mut client = client.clone();
        async move { client.get_balance(request).await }
    };
    peer.call(&call(timeout), message, rpc).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_may_come_late_go_away_and_come_back() {
    let database = database().await;
    let tenant = tokio::task::block_in_place(|| database.tenant()).uuid().to_string();
    let server = server(&database, &["--dev-tenant", &tenant]).await;
    let proxy = Proxy::to(server.address).await;
    proxy.set(Fault::Cut);
    let peer = peer(&proxy.address.to_string());
    let away = ask(&peer, Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(away.reason, Reason::PeerUnavailable);
    assert!(away.retry_after.is_some());
    for _ in 0..2 {
        proxy.set(Fault::None);
        ask(&peer, Duration::from_secs(10)).await.unwrap();
        proxy.set(Fault::Cut);
        let away = ask(&peer, Duration::from_secs(2)).await.unwrap_err();
        assert_eq!(away.reason, Reason::PeerUnavailable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_hangs_costs_no_more_than_the_deadline() {
    let database = database().await;
    let tenant = tokio::task::block_in_place(|| database.tenant()).uuid().to_string();
    let server = server(&database, &["--dev-tenant", &tenant]).await;
    let proxy = Proxy::to(server.address).await;
    let peer = peer(&proxy.address.to_string());
    ask(&peer, Duration::from_secs(10)).await.unwrap();
    proxy.set(Fault::Stall);
    let since = Instant::now();
    let late = ask(&peer, Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(late.reason, Reason::Deadline);
    assert!(since.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_network_lost_is_repeated_and_what_was_refused_is_not() {
    let asked = AtomicUsize::new(0);
    let peer = peer("127.0.0.1:1");
    let lost_twice = |_: Request<()>| async {
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(Status::unavailable("lost")),
            _ => Ok(Response::new(7)),
        }
    };
    assert_eq!(peer.call(&call(Duration::from_secs(5)), (), lost_twice).await.unwrap(), 7);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    asked.store(0, Ordering::SeqCst);
    let refused = |_: Request<()>| async {
        asked.fetch_add(1, Ordering::SeqCst);
        Err::<Response<()>, _>(Status::from(shared::problem::Problem::not_found("thing", "t")))
    };
    let problem = peer.call(&call(Duration::from_secs(5)), (), refused).await.unwrap_err();
    assert_eq!((problem.reason, asked.load(Ordering::SeqCst)), (Reason::ResourceNotFound, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_are_within_a_budget_and_the_deadline_shrinks_on_the_way() {
    let asked = AtomicUsize::new(0);
    let peer = peer("127.0.0.1:1");
    let lost = |request: Request<()>| {
        let header = request.metadata().get("grpc-timeout").unwrap().to_str().unwrap();
        assert!(header.ends_with(['u', 'm', 'n']), "{header}");
        asked.fetch_add(1, Ordering::SeqCst);
        async { Err::<Response<()>, _>(Status::unavailable("lost")) }
    };
    for _ in 0..40 {
        let away = peer.call(&call(Duration::from_secs(1)), (), lost).await.unwrap_err();
        assert_eq!(away.reason, Reason::PeerUnavailable);
    }
    // 40 calls, a budget of 10 repeats to begin with, and a tenth of the calls.
    assert!(asked.load(Ordering::SeqCst) <= 40 + 10 + 4, "{asked:?}");
    let none_left = peer.call(&call(Duration::ZERO), (), lost).await.unwrap_err();
    assert_eq!(none_left.reason, Reason::Deadline);
}
