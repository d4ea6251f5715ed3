//! Accounts over HTTP: who holds them, what stops them and their customers, and how they end.

use serde_json::{Value, json};

use crate::customers::customer;
use crate::http::Http;
use crate::story::name;
use crate::{Books, euros, id};

/// An account of a customer.
async fn open(http: &Http, customer: &str) -> String {
    let account = json!({"customer": customer, "product": "current", "currency": "EUR"});
    name(&http.post(format!("/v1/accounts?request_id={}", id()), account).ok().await)
}

/// A method of an account or a customer that takes the whole body.
async fn step(http: &Http, resource: &str, verb: &str, mut body: Value) -> Value {
    body["requestId"] = json!(id());
    http.post(format!("/v1/{resource}:{verb}"), body).ok().await
}

pub(crate) async fn live(http: &Http, books: &Books) {
    let account = open(http, &books.customer).await;
    let target = format!("/v1/{account}?update_mask=labels&request_id={}", id());
    let updated = http.patch(target, json!({"labels": {"tier": "gold"}})).ok().await;
    assert_eq!(updated["labels"]["tier"], "gold", "{updated}");
    let both = format!("/v1/accounts:batchGet?names={account}&names={}", books.held);
    let both = http.get(both).ok().await;
    assert_eq!(both["accounts"][1]["name"], books.held, "{both}");
    let limit = json!({
        "id": "daily-card", "effect": "EFFECT_DEBIT", "window": "WINDOW_DAY",
        "maxAmount": euros("100"),
    });
    let limited = step(http, &account, "setLimits", json!({"limits": [limit]})).await;
    assert_eq!(limited["limits"][0]["maxAmount"], euros("100.00"), "{limited}");
    hold(http, &account).await;
    let frozen = freeze(http, &account, "court-of-zurich").await;
    let read = http.get(format!("/v1/{account}")).ok().await;
    assert_eq!(read["effect"]["reasons"], json!(["FROZEN"]), "{read}");
    lift(http, &frozen).await;
    let dormant = step(http, &account, "markDormant", json!({})).await;
    assert_eq!(dormant["state"], "STATE_DORMANT");
    let active = step(http, &account, "reactivate", json!({})).await;
    assert_eq!(active["state"], "STATE_OPEN");
    let waiting = http.get("/v1/undeliveredControls?page_size=1").ok().await;
    assert_eq!(waiting, json!({}), "everything has been delivered");
}

/// Somebody else who holds an account, for a while.
async fn hold(http: &Http, account: &str) {
    let grace = customer(http, "Grace Hopper", false).await;
    let target = format!("/v1/{account}/holders?request_id={}", id());
    let joint = json!({"customer": grace, "role": "ROLE_JOINT"});
    let holder = name(&http.post(target, joint).ok().await);
    let target = format!("/v1/{holder}?update_mask=role&request_id={}", id());
    let viewer = http.patch(target, json!({"role": "ROLE_VIEWER"})).ok().await;
    assert_eq!(viewer["role"], "ROLE_VIEWER", "{viewer}");
    let listed = http.get(format!("/v1/{account}/holders")).ok().await;
    assert_eq!(listed["holders"].as_array().map(Vec::len), Some(2), "{listed}");
    let removed = http.post(format!("/v1/{holder}:remove"), json!({"requestId": id()})).ok().await;
    assert!(removed["endTime"].is_string(), "{removed}");
}

/// Freezes an account or a customer.
async fn freeze(http: &Http, target: &str, authority: &str) -> String {
    let order = json!({
        "direction": "DIRECTION_ALL", "reasonCode": "COURT_ORDER", "authority": authority,
    });
    let ordered = http.post(format!("/v1/{target}/freezes?request_id={}", id()), order).ok().await;
    assert_eq!(ordered["state"], "STATE_ACTIVE", "{ordered}");
    let listed = http.get(format!("/v1/{target}/freezes")).ok().await;
    assert_eq!(listed["freezes"], json!([ordered]), "{listed}");
    name(&ordered)
}

async fn lift(http: &Http, freeze: &str) {
    let lifted = http.post(format!("/v1/{freeze}:lift"), json!({"requestId": id()})).ok().await;
    assert_eq!(lifted["state"], "STATE_LIFTED", "{lifted}");
    assert_eq!(http.get(format!("/v1/{freeze}")).ok().await, lifted);
}

pub(crate) async fn stop_and_end(http: &Http) {
    let alan = customer(http, "Alan Turing", false).await;
    let account = open(http, &alan).await;
    let why = || json!({"reasonCode": "DOCUMENT_EXPIRED"});
    let suspended = step(http, &alan, "suspend", why()).await;
    assert_eq!(suspended["state"], "STATE_SUSPENDED");
    let reinstated = step(http, &alan, "reinstate", json!({})).await;
    assert_eq!(reinstated["state"], "STATE_ACTIVE");
    let frozen = freeze(http, &alan, "court-of-bern").await;
    lift(http, &frozen).await;

    assert_eq!(step(http, &account, "close", json!({})).await["state"], "STATE_CLOSED");
    assert_eq!(step(http, &account, "reopen", json!({})).await["state"], "STATE_OPEN");
    let mut body = why();
    body["requestId"] = json!(id());
    let early = http.post(format!("/v1/{alan}:close"), body);
    let (_, figures) = early.refused(400, "INVALID_TRANSITION").await;
    assert_eq!(figures["account"], account, "{figures}");
    step(http, &account, "close", json!({})).await;
    assert_eq!(step(http, &alan, "close", why()).await["state"], "STATE_CLOSED");
}
