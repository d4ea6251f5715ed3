//! Every RPC once, in the order in which a house opens its books.

use serde_json::{Value, json};

use crate::http::Http;
use crate::{Books, euros, id};

/// A resource's name as part of a path.
pub(crate) fn name(resource: &Value) -> String {
    resource["name"].as_str().expect("it has a name").to_owned()
}

/// Standard creates: the resource is the body, and all else is in the query (AIP-133).
pub(crate) async fn open_accounts(http: &Http) -> Books {
    let (customer_request, customer_id) = (id(), id());
    let created = format!("/v1/customers?request_id={customer_request}&customer_id={customer_id}");
    let ada = json!({"kind": "KIND_PERSON", "profile": {"fullName": "Ada Lovelace"}});
    let customer = http.post(&created, ada.clone()).ok().await;
    assert_eq!(customer["name"], format!("customers/{customer_id}"));
    assert_eq!(customer["state"], "STATE_ACTIVE");
    let (again, headers) = http.post(&created, ada).ok_with_headers().await;
    assert_eq!(again["name"], customer["name"]);
    assert_eq!(headers["strongroom-replayed"], "true");

    let customer = name(&customer);
    let read = http.get(format!("/v1/{customer}?view=RECORD_VIEW_FULL&purpose=KYC")).ok().await;
    assert_eq!(read["profile"]["fullName"], "Ada Lovelace");

    let account = json!({"customer": customer, "product": "current", "currency": "EUR"});
    let held = http.post(format!("/v1/accounts?request_id={}", id()), account).ok().await;
    let account = json!({
        "product": "cash", "currency": "EUR", "class": "ACCOUNT_CLASS_ASSET",
        "overdraft": {"unbounded": true},
    });
    // Both spellings of a parameter are proto3 JSON.
    let cash = http.post(format!("/v1/accounts?requestId={}", id()), account).ok().await;
    assert_eq!(http.get(format!("/v1/{}", name(&held))).ok().await, held);

    let filter = format!("customer+%3D+%22{customer}%22+AND+currency+%3D+%22EUR%22");
    let listed = http.get(format!("/v1/accounts?filter={filter}&page_size=10")).ok().await;
    assert_eq!(listed["accounts"].as_array().map(Vec::len), Some(1), "{listed}");
    let page = http.get("/v1/accounts?pageSize=1").ok().await;
    let token = page["nextPageToken"].as_str().expect("there is another page");
    let last = http.get(format!("/v1/accounts?pageSize=1&pageToken={token}")).ok().await;
    assert_eq!(last["nextPageToken"], Value::Null, "default values are left out");

    Books { customer, customer_request, held: name(&held), cash: name(&cash) }
}

pub(crate) async fn move_money(http: &Http, books: &Books) {
    let entry = |account: &str, direction: &str| {
        let amount = euros("100");
        json!({"account": account, "direction": direction, "amount": amount})
    };
    let deposit = json!({
        "type": "TOPUP",
        "entries": [entry(&books.cash, "DIRECTION_DEBIT"), entry(&books.held, "DIRECTION_CREDIT")],
    });
    let target = format!("/v1/transactions?request_id={}", id());
    let dry = http.post(format!("{target}&validate_only=true"), deposit.clone()).ok().await;
    assert_eq!(dry["entries"][1]["balance"]["entrySeq"], "1", "{dry}");
    let posted = http.post(target, deposit).ok().await;
    assert_eq!(http.get(format!("/v1/{}", name(&posted))).ok().await, posted);

    let transfer = json!({
        "from": books.held, "to": books.cash, "amount": euros("39.5"), "requestId": id(),
    });
    let spent = http.post("/v1/transactions:transfer", transfer).ok().await;
    assert_eq!(spent["entries"][0]["balance"]["available"], euros("60.50"));

    let balance = http.get(format!("/v1/{}/balance", books.held)).ok().await;
    assert_eq!(balance["posted"], euros("60.50"));
    assert_eq!(balance["entrySeq"], "2", "64-bit integers are strings");
}

/// The items of a batch stand alone, and a refusal among them is a google.rpc.Status in the answer.
pub(crate) async fn move_in_batches(http: &Http, books: &Books) {
    let item = |from: &str, to: &str, amount: &str| {
        let transfer = json!({"from": from, "to": to, "amount": euros(amount), "requestId": id()});
        json!({"transfer": transfer})
    };
    let items = json!([
        item(&books.held, &books.cash, "0.50"),
        item(&books.cash, &books.held, "0.50"),
        item(&books.held, &books.cash, "1000"),
    ]);
    let batch = json!({"mode": "BATCH_MODE_INDEPENDENT", "items": items});
    let answer = http.post("/v1/transactions:executeBatch", batch).ok().await;
    let results = &answer["results"];
    assert_eq!(results[1]["transaction"]["type"], "TRANSFER", "{answer}");
    let error = &results[2]["error"];
    assert_eq!((&error["code"], &results[2]["transaction"]), (&json!(9), &Value::Null), "{answer}");
    assert_eq!(error["details"][0]["reason"], "INSUFFICIENT_FUNDS", "{answer}");
}

pub(crate) async fn control_the_ledger(http: &Http, books: &Books) {
    let suspense = json!({
        "account": {"currency": "EUR", "class": "ACCOUNT_CLASS_LIABILITY", "glCode": "2900"},
        "requestId": id(),
    });
    let registered = http.post("/v1/ledger/accounts", suspense).ok().await;
    assert_eq!(registered["glCode"], "2900");

    let block = json!({"effect": "EFFECT_DEBIT", "reasonCode": "COURT_ORDER"});
    let controls = json!({"controls": {"source": "monitor", "version": "1", "blocks": [block]}});
    let target = format!("/v1/ledger/{}:setControls", name(&registered));
    let controlled = http.post(target, controls).ok().await;
    assert_eq!(controlled["controls"][0]["version"], "1");

    let blocked = json!({
        "from": name(&registered), "to": books.cash, "amount": euros("1"), "requestId": id(),
    });
    let refused = http.post("/v1/transactions:transfer", blocked).refused(400, "ACCOUNT_BLOCKED");
    let (status, figures) = refused.await;
    assert_eq!(status["code"], 9);
    assert_eq!(figures["source"], "monitor");
}

pub(crate) async fn seal_documents(http: &Http, books: &Books) {
    let subject_id = id();
    let target = format!("/v1/subjects?subject_id={subject_id}&request_id={}", id());
    let subject = http.post(target, json!({})).ok().await;
    assert_eq!(subject["name"], format!("subjects/{subject_id}"));

    let document = json!({
        "subject": name(&subject), "type": "kyc-file", "contentType": "application/json",
        // {"passport": "X1234567"}
        "content": "eyJwYXNzcG9ydCI6ICJYMTIzNDU2NyJ9",
        "labels": {"customer": books.customer},
    });
    let target = format!("/v1/records?request_id={}", id());
    let sealed = http.post(target, document.clone()).ok().await;
    assert_eq!(sealed["content"], Value::Null);
    assert_eq!(sealed["version"], "1");

    let target = format!("/v1/{}?view=RECORD_VIEW_FULL&purpose=KYC", name(&sealed));
    let opened = http.get(target).ok().await;
    assert_eq!(opened["content"], document["content"]);
    assert_eq!(opened["sizeBytes"], "24");
}

/// What all services serve is asked of each of them.
pub(crate) async fn ask_each_service(http: &Http, books: &Books) {
    let tenant_id = id();
    let operations = [
        ("accounts", "create-customer"),
        ("records", "create-record"),
        ("transactions", "execute-batch"),
    ];
    for (service, operation) in operations {
        let target = format!("/v1/tenants?tenant_id={tenant_id}&request_id={}", id());
        let tenant = json!({"displayName": "Second"});
        let asked = http.post(target, tenant).header("strongroom-service", service);
        assert_eq!(asked.ok().await["state"], "STATE_ACTIVE");
        let asked = http.get(format!("/v1/tenants/{tenant_id}"));
        assert_eq!(asked.header("strongroom-service", service).ok().await["displayName"], "Second");
        let target = format!("/v1/outcomes/{operation}/{}", books.customer_request);
        let outcome = http.get(target).header("strongroom-service", service).ok().await;
        let listed = http.get("/v1/outcomes?page_size=1");
        let listed = listed.header("strongroom-service", service).ok().await;
        let refused = service == "transactions";
        assert_eq!(listed.get("outcomes").is_some(), refused, "{listed}");
        let expected = match service {
            "accounts" => json!(["STATE_SUCCEEDED", books.customer]),
            _ => json!(["STATE_UNKNOWN", null]),
        };
        assert_eq!(json!([outcome["state"], outcome["resource"]]), expected, "{service}");
    }
}
