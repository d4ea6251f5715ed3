//! Refusals over HTTP: by the services, and by Envoy itself.

use serde_json::json;
use shared::ids::TenantId;
use strongroom_proto::transactions::v1::GetBalanceRequest;
use suite::{Clients, DEFAULT_TENANT};
use uuid::Uuid;

use crate::http::Http;
use crate::{Books, Home, euros, id};

/// Codes, reasons, figures and field paths arrive as they left.
pub(crate) async fn by_the_services(http: &Http, home: &Home, books: &Books) {
    let spend = |amount: &str, request_id: &str| {
        let (from, to) = (&books.held, &books.cash);
        json!({"from": from, "to": to, "amount": euros(amount), "requestId": request_id})
    };
    let transfer = |body| http.post("/v1/transactions:transfer", body);

    let overdraft = transfer(spend("60.51", &id())).refused(400, "INSUFFICIENT_FUNDS");
    let (status, figures) = overdraft.await;
    assert_eq!((&status["code"], &figures["shortfall"]), (&json!(9), &json!("0.01")));

    let (status, _) = transfer(spend("1.001", &id())).refused(400, "PRECISION_EXCEEDED").await;
    let details = status["details"].as_array().cloned().unwrap_or_default();
    let fields = details.iter().find_map(|detail| detail.get("fieldViolations"));
    assert_eq!(fields.expect("the field is named")[0]["field"], "amount.amount");
    assert_eq!(status["code"], 3);

    let request_id = id();
    transfer(spend("1", &request_id)).ok().await;
    let reused = transfer(spend("2", &request_id)).refused(409, "REQUEST_ID_REUSED").await;
    assert_eq!(reused.0["code"], 6);

    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let nobody =
        http.get(format!("/v1/accounts/{}", Uuid::now_v7())).header("traceparent", traceparent);
    let (status, figures) = nobody.refused(404, "RESOURCE_NOT_FOUND").await;
    assert_eq!(status["code"], 5);
    assert_eq!(figures["trace_id"], "0af7651916cd43dd8448eb211c80319c");

    let held = || http.get(format!("/v1/{}", books.held));
    held().header("authorization", "Bearer forged").refused(401, "TOKEN_INVALID").await;
    let reader = home.bearer(&[DEFAULT_TENANT], &["accounts.accounts.list"]);
    let (_, figures) =
        held().header("authorization", reader).refused(403, "PERMISSION_MISSING").await;
    assert_eq!(figures["permission"], "accounts.accounts.get");
    let stranger = home.bearer(&[TenantId::from_uuid(Uuid::now_v7())], &["*"]);
    held().header("authorization", stranger).refused(404, "RESOURCE_NOT_FOUND").await;

    // The tenant of a caller with several is chosen by a header.
    let several = home.bearer(&[TenantId::generate(), DEFAULT_TENANT], &["*"]);
    held().header("authorization", several.clone()).refused(400, "FIELD_INVALID").await;
    let chosen = held().header("authorization", several);
    chosen.header("strongroom-tenant", DEFAULT_TENANT.uuid().to_string()).ok().await;

    // Within Envoy's limit, and above the services' own.
    let large = json!({"type": "a".repeat(5 << 20)});
    let (status, _) = http.post("/v1/records", large).refused(429, "MESSAGE_TOO_LARGE").await;
    assert_eq!(status["code"], 8);
}

/// What Envoy refuses looks the same.
pub(crate) async fn by_envoy(http: &Http, books: &Books) {
    let account = format!("/v1/{}", books.held);
    http.get(format!("{account}?colour=red")).refused(400, "FIELD_INVALID").await;
    http.get(format!("/v1/{}?view=EVERYTHING", books.customer)).refused(400, "FIELD_INVALID").await;
    http.post("/v1/ledger/accounts", json!(null)).body("{").refused(400, "FIELD_INVALID").await;
    // A misspelt validate_only must not post.
    let target = format!("/v1/transactions?request_id={}&validateonly=true", id());
    http.post(target, json!({"type": "TOPUP"})).refused(400, "FIELD_INVALID").await;

    for target in ["/", "/v1/nothing", "/v1/accounts/a/b", "/v2/accounts"] {
        http.get(target).refused(404, "METHOD_UNKNOWN").await;
    }
    http.post(&account, json!({})).refused(404, "METHOD_UNKNOWN").await;
    let large = json!({"type": "a".repeat(7 << 20)});
    http.post("/v1/records", large).refused(413, "MESSAGE_TOO_LARGE").await;

    // Nobody is asked by chance where every service could be.
    let outcome = || http.get(format!("/v1/outcomes/create-customer/{}", books.customer_request));
    let (status, _) = outcome().refused(400, "FIELD_INVALID").await;
    assert!(status["message"].as_str().is_some_and(|text| text.contains("strongroom-service")));
    outcome().header("strongroom-service", "gateway").refused(400, "FIELD_INVALID").await;
}

/// In development a caller on loopback needs no token, and Envoy is on loopback.
pub(crate) async fn of_callers_without_a_token(http: &Http, home: &Home, books: &Books) {
    let mut developer =
        Clients::new(home.suite.addresses, None).expect("there is no token to refuse");
    let request = GetBalanceRequest { account: books.held.clone(), as_of: None };
    developer.balances.get_balance(request).await.expect("the developer is believed");

    let balance = || http.get(format!("/v1/{}/balance", books.held)).anonymous();
    balance().refused(401, "TOKEN_MISSING").await;
    balance().header("x-forwarded-for", "127.0.0.1").refused(401, "TOKEN_MISSING").await;
    balance().header("authorization", "").refused(401, "TOKEN_INVALID").await;
}

/// The services are away: callers are told so at once, and may come back.
pub(crate) async fn without_services(http: &Http, books: &Books) {
    let (status, _) =
        http.get(format!("/v1/{}", books.held)).refused(503, "PEER_UNAVAILABLE").await;
    assert_eq!(status["code"], 14);
}
