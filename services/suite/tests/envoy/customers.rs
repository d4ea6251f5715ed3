//! Customers over HTTP: who they are, how they are verified, and what they are to each other.

use serde_json::{Value, json};

use crate::http::Http;
use crate::id;
use crate::story::name;

pub(crate) async fn know_customers(http: &Http) {
    let ada = customer(http, "Ada Lovelace", true).await;
    let activated = http.post(format!("/v1/{ada}:activate"), json!({"requestId": id()})).ok().await;
    assert_eq!(activated["state"], "STATE_ACTIVE");
    let crm = id();
    let update = json!({"externalIds": {"CRM": crm}});
    let target = format!("/v1/{ada}?update_mask=external_ids&request_id={}", id());
    assert_eq!(http.patch(target, update).ok().await["externalIds"]["CRM"], crm);
    let asked = json!({"externalId": {"kind": "CRM", "value": crm}});
    let found = http.post("/v1/customers:lookup", asked).ok().await;
    assert_eq!(found["customers"][0]["name"], ada, "{found}");
    let listed = http.get("/v1/customers?page_size=1").ok().await;
    assert!(listed["nextPageToken"].is_string(), "{listed}");
    let batch = http.get(format!("/v1/customers:batchGet?names={ada}")).ok().await;
    assert_eq!(batch["customers"][0]["name"], ada, "{batch}");
    verify(http, &ada).await;
    relate(http, &ada).await;
}

pub(crate) async fn customer(http: &Http, full_name: &str, wait: bool) -> String {
    let target = format!("/v1/customers?wait={wait}&request_id={}", id());
    let customer = json!({"kind": "KIND_PERSON", "profile": {"fullName": full_name}});
    name(&http.post(target, customer).ok().await)
}

async fn verify(http: &Http, customer: &str) {
    let subject = customer.replace("customers/", "subjects/");
    let passport = json!({
        "subject": subject, "type": "passport", "contentType": "text/plain",
        // X1234567
        "content": "WDEyMzQ1Njc=",
    });
    let passport = http.post(format!("/v1/records?request_id={}", id()), passport).ok().await;
    let evidence = format!("{}/versions/1", name(&passport));
    let step = |verb: &str, mut body: Value| {
        body["requestId"] = json!(id());
        http.post(format!("/v1/{customer}:{verb}"), body)
    };
    let submitted = step("submitKyc", json!({"evidence": [evidence]})).ok().await;
    assert_eq!(submitted["kyc"]["state"], "STATE_IN_REVIEW");
    let approved = step("approveKyc", json!({"level": 2, "evidence": [evidence]})).ok().await;
    assert_eq!(approved["kyc"]["state"], "STATE_APPROVED");
    let expired = step("expireKyc", json!({"reasonCode": "DOCUMENT_EXPIRED"})).ok().await;
    assert_eq!(expired["kyc"]["state"], "STATE_EXPIRED");
    step("submitKyc", json!({"evidence": [evidence]})).ok().await;
    let rejected = step("rejectKyc", json!({"reasonCode": "DOCUMENT_UNREADABLE"})).ok().await;
    assert_eq!(rejected["kyc"]["state"], "STATE_REJECTED");
    let decisions = http.get(format!("/v1/{customer}/kycDecisions")).ok().await;
    assert_eq!(decisions["kycDecisions"].as_array().map(Vec::len), Some(5), "{decisions}");
}

async fn relate(http: &Http, customer: &str) {
    let grace = self::customer(http, "Grace Hopper", false).await;
    let related = json!({"kind": "KIND_REPRESENTATIVE", "other": grace});
    let target = format!("/v1/{customer}/relationships?request_id={}", id());
    let related = name(&http.post(target, related).ok().await);
    let listed = http.get(format!("/v1/{customer}/relationships")).ok().await;
    assert_eq!(listed["relationships"][0]["name"], related, "{listed}");
    let removed = http.post(format!("/v1/{related}:remove"), json!({"requestId": id()})).ok().await;
    assert!(removed["endTime"].is_string(), "{removed}");
}
