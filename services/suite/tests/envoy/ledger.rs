//! Holds, reversals, lists, currencies, periods and statements.

use serde_json::{Value, json};

use crate::http::Http;
use crate::story::name;
use crate::{Books, euros, id};

/// A card authorisation in all its ways.
pub(crate) async fn hold_money(http: &Http, books: &Books) {
    let held = json!({
        "account": books.held, "destination": books.cash, "amount": euros("20"),
        "type": "CARD", "externalIds": {"ARN": "74027816"},
        "expireTime": "2099-01-01T00:00:00Z",
    });
    let made = http.post(format!("/v1/holds?request_id={}", id()), held).ok().await;
    assert_eq!(made["state"], "STATE_OPEN");
    let of_hold = |verb: &str| format!("/v1/{}:{verb}", name(&made));
    let more = json!({"amount": euros("5"), "requestId": id()});
    assert_eq!(http.post(of_hold("increase"), more).ok().await["amount"], euros("25.00"));
    let later = json!({"expireTime": "2099-02-01T00:00:00Z", "requestId": id()});
    let extended = http.post(of_hold("extend"), later).ok().await;
    assert_eq!(extended["expireTime"], "2099-02-01T00:00:00Z");
    let part = json!({"amount": euros("10"), "keepOpen": true, "requestId": id()});
    let captured = http.post(of_hold("capture"), part).ok().await;
    assert_eq!(captured["hold"]["remaining"], euros("15.00"), "{captured}");
    let rest = http.post(of_hold("release"), json!({"requestId": id()})).ok().await;
    assert_eq!(rest["state"], "STATE_CAPTURED");
    let read = http.get(format!("/v1/{}", name(&made))).ok().await;
    assert_eq!(read["events"].as_array().map(Vec::len), Some(5), "{read}");
    let filter = format!("account+%3D+%22{}%22+AND+state+%3D+CAPTURED", books.held);
    let listed = http.get(format!("/v1/holds?filter={filter}")).ok().await;
    assert_eq!(listed["holds"][0]["name"], made["name"], "{listed}");

    let transaction = &captured["transaction"];
    let target = format!("/v1/{}:reverse", name(transaction));
    let reversed = http.post(&target, json!({"requestId": id()})).ok().await;
    assert_eq!(reversed["reverses"], transaction["name"]);
    let again = http.post(target, json!({"requestId": id()}));
    let (_, figures) = again.refused(400, "REVERSAL_EXCEEDS_ORIGINAL").await;
    assert_eq!(figures["remaining"], "0.00");

    let why = json!({"reasonCode": "ERASURE_REQUEST", "requestId": id()});
    let redacted = http.post(of_hold("redact"), why).ok().await;
    assert_eq!((redacted.get("externalIds"), &redacted["name"]), (None, &made["name"]));
    let why = json!({"reasonCode": "ERASURE_REQUEST"});
    let redacted = http.post(format!("/v1/{}:redact", name(transaction)), why).ok().await;
    assert_eq!(redacted["name"], transaction["name"]);
}

pub(crate) async fn read_the_books(http: &Http, books: &Books) {
    let filter = format!("account+%3D+%22{}%22+AND+type+%3D+REVERSAL", books.held);
    let listed = http.get(format!("/v1/transactions?filter={filter}")).ok().await;
    assert_eq!(listed["transactions"].as_array().map(Vec::len), Some(1), "{listed}");
    let entries = http.get(format!("/v1/{}/entries?page_size=1", books.held)).ok().await;
    assert_eq!(entries["entries"][0]["type"], "REVERSAL", "{entries}");
    let target = format!("/v1/balances:batchGet?accounts={}&accounts={}", books.held, books.cash);
    let balances = http.get(target).ok().await;
    assert_eq!(balances["balances"][1]["account"], books.cash, "{balances}");
    let explained = http.get(format!("/v1/{}/balance:explain", books.held)).ok().await;
    assert_eq!(explained["balance"], balances["balances"][0], "{explained}");

    let account = json!({"account": {"currency": "EUR", "class": "ACCOUNT_CLASS_LIABILITY"}});
    let registered = http.post("/v1/ledger/accounts", account).ok().await;
    let read = http.get(format!("/v1/ledger/{}", name(&registered))).ok().await;
    assert_eq!(read, registered);
    let listed = http.get("/v1/ledger/accounts?filter=currency+%3D+EUR").ok().await;
    assert!(listed["accounts"].as_array().is_some_and(|all| all.contains(&read)), "{listed}");
    let close = |account: &str| http.post(format!("/v1/ledger/{account}:close"), json!({}));
    assert_eq!(close(&name(&registered)).ok().await["state"], "STATE_CLOSED");
    let reopened = http.post(format!("/v1/ledger/{}:reopen", name(&registered)), json!({}));
    assert_eq!(reopened.ok().await["state"], "STATE_OPEN");
    close(&books.held).refused(400, "ACCOUNT_NOT_EMPTY").await;
}

pub(crate) async fn count_in_points(http: &Http) {
    let points = json!({"code": "POINTS", "displayName": "Loyalty points"});
    let target = format!("/v1/currencies?request_id={}", id());
    let registered = http.post(target, points).ok().await;
    assert_eq!(registered["name"], "currencies/POINTS");
    assert_eq!(registered.get("decimals"), None::<&Value>, "default values are left out");
    assert_eq!(http.get("/v1/currencies/POINTS").ok().await, registered);
    let listed = http.get("/v1/currencies").ok().await;
    assert_eq!(listed["currencies"], json!([registered]));
}

/// Periods long before anything that is booked, and statements of what is.
pub(crate) async fn state_the_books(http: &Http, books: &Books) {
    let change = |month: &str, verb: &str, body: Value| {
        http.post(format!("/v1/periods/{month}:{verb}"), body)
    };
    let closed = change("2020-01", "close", json!({"requestId": id()})).ok().await;
    assert_eq!(closed["state"], "STATE_CLOSED", "{closed}");
    let softly = change("2020-02", "softClose", json!({})).ok().await;
    assert_eq!(softly["state"], "STATE_SOFT_CLOSED", "{softly}");
    let (_, figures) =
        change("2020-03", "close", json!({})).refused(400, "INVALID_TRANSITION").await;
    assert_eq!(figures["next"], "periods/2020-02");
    let again = json!({"reasonCode": "LATE_INVOICE"});
    assert_eq!(change("2020-02", "reopen", again).ok().await["state"], "STATE_OPEN");
    let listed = http.get("/v1/periods?pageSize=1").ok().await;
    assert_eq!(listed["periods"][0]["state"], "STATE_OPEN", "{listed}");

    let entries = http.get(format!("/v1/{}/entries?page_size=1", books.held)).ok().await;
    let day = entries["entries"][0]["bookingDate"].as_str().expect("it is booked").to_owned();
    let on = http.get(format!("/v1/{}/balance?bookingDate={day}", books.held)).ok().await;
    assert_eq!(on["posted"], entries["entries"][0]["posted"], "{on}");
    let trial = http.get(format!("/v1/trialBalance?bookingDate={day}&currency=EUR")).ok().await;
    let total = &trial["totals"][0];
    assert_eq!(
        (&total["debits"], trial["totals"].as_array().map(Vec::len)),
        (&total["credits"], Some(1))
    );

    let days = json!({"startDate": day, "endDate": day, "requestId": id()});
    let target = format!("/v1/{}/statements", books.held);
    let made = http.post(&target, days).ok().await;
    assert_eq!(made["closing"], on["posted"], "{made}");
    assert_eq!(http.get(format!("/v1/{}", name(&made))).ok().await, made);
    assert_eq!(http.get(target).ok().await["statements"], json!([made]));
    let lines = http.get(format!("/v1/{}/lines", name(&made))).ok().await;
    let count = lines["lines"].as_array().map(Vec::len).unwrap_or_default();
    assert_eq!(made["lineCount"], count.to_string(), "{lines}");
    let render = |format: &str| http.get(format!("/v1/{}:render?format={format}", name(&made)));
    let (content_type, page) = render("FORMAT_HTML").document().await;
    assert_eq!(content_type, "text/html; charset=utf-8");
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
    let (content_type, values) = render("FORMAT_CSV").document().await;
    assert!(content_type.starts_with("text/csv"), "{content_type}");
    assert_eq!(values.lines().count(), 1 + count, "{values}");
    render("FORMAT_UNSPECIFIED").refused(400, "FIELD_INVALID").await;
}

pub(crate) async fn verify_the_books(http: &Http, books: &Books) {
    let messages = http.get("/v1/books:verify?log=true").lines().await;
    let last = messages.last().expect("there is a last message");
    assert_eq!((&last["done"], &last["percent"]), (&json!(true), &json!(100)), "{last}");
    assert_eq!(last.get("mismatchCount"), None::<&Value>, "{messages:?}");
    let one = http.get(format!("/v1/books:verify?accounts={}", books.held)).lines().await;
    assert_eq!(one.last().map(|last| &last["accounts"]), Some(&json!("1")), "{one:?}");
    let listed = http.get("/v1/mismatches?filter=state+%3D+OPEN").ok().await;
    assert_eq!(listed, json!({}));
    let unknown = format!("/v1/mismatches/{}:resolve", id());
    let resolved = http.post(unknown, json!({"resolutionCode": "RESTORED"}));
    resolved.has_none(404, "RESOURCE_NOT_FOUND").await;
}
