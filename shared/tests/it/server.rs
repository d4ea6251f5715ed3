//! The server stack.

use std::time::{Duration, Instant};

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Code, Request};
use tonic_reflection::pb::{v1, v1alpha};

use crate::setup::{database, server, tell};

async fn dev(arguments: &[&str]) -> (shared::testing::TestDatabase, shared::testing::Running) {
    let database = database().await;
    let tenant = tokio::task::block_in_place(|| database.tenant()).uuid().to_string();
    let all = [&["--dev-tenant", &tenant], arguments].concat();
    let server = server(&database, &all).await;
    (database, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_is_answered_as_such() {
    let (_database, server) = dev(&["--default-deadline", "0.2"]).await;
    // The server's own, where the caller sets none.
    let status = tell(&server, "sleep", None).await.unwrap_err();
    assert_eq!((status.code(), refusal(&status).0), (Code::DeadlineExceeded, Reason::Deadline));

    // The caller's, cut to the most that the server allows: far below what tonic's client has a
    // timer of its own for. The suite sends shorter ones by a client that has none.
    let (_database, server) = dev(&["--default-deadline", "60", "--max-deadline", "0.2"]).await;
    let status = tell(&server, "sleep", Some(Duration::from_secs(30))).await.unwrap_err();
    assert_eq!((status.code(), refusal(&status).0), (Code::DeadlineExceeded, Reason::Deadline));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_hangs_is_cut_off() {
    let (_database, server) = dev(&["--drain", "0.3"]).await;
    let channel = server.channel();
    let call = tokio::spawn(async move {
        let mut client = wire::balance_service_client::BalanceServiceClient::new(channel);
        let mut request =
            Request::new(wire::GetBalanceRequest { account: "sleep".to_owned(), as_of: None });
        request.set_timeout(Duration::from_secs(60));
        client.get_balance(request).await
    });
    // The call is in the handler once another one has come through on a later connection.
    tell(&server, "", None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let since = Instant::now();
    server.stop().await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(20), "the call alone would take a minute");
    assert!(call.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_runs_at_shutdown_is_answered() {
    let (_database, server) = dev(&["--default-deadline", "0.5", "--drain", "10"]).await;
    let channel = server.channel();
    let call = tokio::spawn(async move {
        let mut client = wire::balance_service_client::BalanceServiceClient::new(channel);
        client
            .get_balance(wire::GetBalanceRequest { account: "sleep".to_owned(), as_of: None })
            .await
    });
    tell(&server, "", None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop().await.unwrap();
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(refusal(&status).0, Reason::Deadline, "it ran to its own end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_calls_failure() {
    let (_database, server) = dev(&[]).await;
    let status = tell(&server, "panic", None).await.unwrap_err();
    assert_eq!((status.code(), refusal(&status).0), (Code::Internal, Reason::Internal));
    assert!(!status.message().contains("as told"));
    tell(&server, "", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_calls_than_fit_are_refused_at_once() {
    let (_database, server) = dev(&["--max-calls", "1"]).await;
    // Whichever comes second is refused, while the other one still sleeps.
    let status = tokio::select! {
        answer = tell(&server, "sleep", None) => answer.unwrap_err(),
        answer = tell(&server, "sleep", None) => answer.unwrap_err(),
    };
    assert_eq!((status.code(), refusal(&status).0), (Code::ResourceExhausted, Reason::Overloaded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_has_a_reason() {
    let (_database, server) = dev(&[]).await;
    let status = tell(&server, &"x".repeat(5 * 1024 * 1024), None).await.unwrap_err();
    assert_eq!(refusal(&status).0, Reason::MessageTooLarge);
    tell(&server, "", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_contract_declares_is_unknown() {
    let (_database, server) = dev(&[]).await;
    for path in ["/no.such.Service/Method", "/strongroom.transactions.v1.BalanceService/Steal"] {
        let mut grpc = tonic::client::Grpc::new(server.channel());
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<wire::Balance, wire::Balance>::default();
        let request = Request::new(wire::Balance::default());
        let status = grpc.unary(request, path.parse().unwrap(), codec).await.unwrap_err();
        assert_eq!(refusal(&status).0, Reason::MethodUnknown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_every_method_of_every_contract_is_closed() {
    let database = database().await;
    let server = server(&database, &[]).await;
    assert!(strongroom_proto::METHODS.len() > 10);
    for method in strongroom_proto::METHODS {
        let mut grpc = tonic::client::Grpc::new(server.channel());
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<wire::Balance, wire::Balance>::default();
        let request = Request::new(wire::Balance::default());
        let status = grpc.unary(request, method.path.parse().unwrap(), codec).await.unwrap_err();
        assert_eq!(refusal(&status).0, Reason::TokenMissing, "{}", method.path);
    }
}

async fn reflected(server: &shared::testing::Running) -> (bool, bool) {
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(server.channel());
    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let ask = v1::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let new = client.server_reflection_info(tokio_stream::iter([ask])).await.is_ok();
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(server.channel());
    let list = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let ask = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let old = client.server_reflection_info(tokio_stream::iter([ask])).await.is_ok();
    (new, old)
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_is_served_in_both_versions_and_can_be_switched_off() {
    let (_database, on) = dev(&[]).await;
    assert_eq!(reflected(&on).await, (true, true));
    let (_database, off) = dev(&["--reflection", "false"]).await;
    assert_eq!(reflected(&off).await, (false, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_would_go_on_for_ever_ends_with_the_server() {
    let (_database, server) = dev(&["--drain", "60"]).await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(server.channel());
    let request = tonic_health::pb::HealthCheckRequest { service: "live".to_owned() };
    let mut watch = health.watch(request).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    let since = Instant::now();
    server.stop().await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(30), "the drain alone is a minute");
    assert_eq!(watch.message().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_what_the_service_serves_and_no_more() {
    let (_database, server) = dev(&[]).await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(server.channel());
    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let ask = v1::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let answers = client.server_reflection_info(tokio_stream::iter([ask])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for served in ["strongroom.transactions.v1.BalanceService", "grpc.health.v1.Health"] {
        assert!(names.contains(&served), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("accounts")), "{names:?}");
}
