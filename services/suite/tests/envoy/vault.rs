//! Sealed documents over HTTP: their types, their lives, who saw them, who governs them, and what
//! is left of an erased person.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Http;
use crate::id;
use crate::story::name;

/// {"email": "Ada@Example.com", "city": "Zug"}
const ADA: &str = "eyJlbWFpbCI6ICJBZGFARXhhbXBsZS5jb20iLCAiY2l0eSI6ICJadWcifQ==";
/// {"email": "ada@example.org", "city": "Zug"}
const ADA_MOVED: &str = "eyJlbWFpbCI6ICJhZGFAZXhhbXBsZS5vcmciLCAiY2l0eSI6ICJadWcifQ==";

/// A new person.
async fn subject(http: &Http) -> String {
    let target = format!("/v1/subjects?request_id={}", id());
    name(&http.post(target, json!({})).ok().await)
}

/// A new document about a person.
async fn record(http: &Http, subject: &str, content: &str) -> Value {
    let record = json!({
        "subject": subject, "type": "contact", "contentType": "application/json",
        "content": content, "labels": {"source": "form"},
    });
    http.post(format!("/v1/records?request_id={}", id()), record).ok().await
}

pub(crate) async fn keep_documents(http: &Http) {
    declare(http).await;
    let subject = subject(http).await;
    assert_eq!(http.get(format!("/v1/{subject}")).ok().await["state"], "STATE_ACTIVE");
    let listed = http.get("/v1/subjects?page_size=1000").ok().await;
    assert!(listed["subjects"].as_array().is_some_and(|all| all.len() >= 2), "{listed}");

    let sealed = record(http, &subject, ADA).await;
    let record = name(&sealed);
    let update = json!({"contentType": "application/json", "content": ADA_MOVED});
    let target = format!("/v1/{record}?update_mask=content&request_id={}", id());
    let updated = http.patch(target, update).ok().await;
    assert_eq!(updated["version"], "2");
    let versions = http.get(format!("/v1/{record}/versions")).ok().await;
    assert_eq!(versions["versions"].as_array().map(Vec::len), Some(2), "{versions}");

    let filter = format!("subject+%3D+%22{subject}%22+AND+labels.source+%3D+%22form%22");
    let listed = http.get(format!("/v1/records?filter={filter}")).ok().await;
    assert_eq!(listed["records"][0]["name"], record, "{listed}");
    let both = format!("/v1/records:batchGet?names={record}&view=RECORD_VIEW_FULL&purpose=KYC");
    assert_eq!(http.get(both).ok().await["records"][0]["content"], ADA_MOVED);
    let asked = json!({
        "type": "contact", "index": "email", "value": "ADA@example.org", "purpose": "KYC",
    });
    let found = http.post("/v1/records:lookup", asked).ok().await;
    assert_eq!(found["records"][0]["name"], record, "{found}");
    let frames = http.get(format!("/v1/{record}:download?purpose=KYC&version=1")).lines().await;
    assert_eq!(frames[1]["content"], ADA, "{frames:?}");

    http.get(format!("/v1/uploads/{}", id())).has_none(404, "RESOURCE_NOT_FOUND").await;
    live_and_die(http, &record).await;
    who_saw(http, &subject).await;
}

async fn declare(http: &Http) {
    let index = json!({"name": "email", "normalisation": "NORMALISATION_EMAIL"});
    let kind = json!({
        "contentType": "application/json",
        "jsonSchema": "{\"type\": \"object\", \"required\": [\"email\"]}",
        "fields": [{"path": "/email", "sensitivity": "FIELD_SENSITIVITY_PII", "index": index}],
    });
    let target = format!("/v1/recordTypes?record_type_id=contact&request_id={}", id());
    let declared = http.post(target, kind).ok().await;
    assert_eq!(declared["name"], "recordTypes/contact");
    let update = json!({"retention": {"days": 3650}});
    let target = format!("/v1/recordTypes/contact?update_mask=retention&request_id={}", id());
    assert_eq!(http.patch(target, update).ok().await["retention"]["days"], 3650);
    let read = http.get("/v1/recordTypes/contact").ok().await;
    assert_eq!(read["retention"]["days"], 3650);
    let listed = http.get("/v1/recordTypes").ok().await;
    assert_eq!(listed["recordTypes"][0], read, "{listed}");
}

async fn live_and_die(http: &Http, record: &str) {
    let deleted = http.delete(format!("/v1/{record}?request_id={}", id())).ok().await;
    assert_eq!(deleted["state"], "STATE_DELETED");
    let undelete = json!({"requestId": id()});
    let back = http.post(format!("/v1/{record}:undelete"), undelete).ok().await;
    assert_eq!(back["state"], "STATE_ACTIVE");
    http.delete(format!("/v1/{record}?request_id={}", id())).ok().await;
    let purged = http.post(format!("/v1/{record}:purge"), json!({"requestId": id()})).ok().await;
    assert_eq!(purged["state"], "STATE_PURGED");
}

async fn who_saw(http: &Http, subject: &str) {
    let accesses = http.get(format!("/v1/{subject}/accesses")).ok().await;
    assert!(accesses["accesses"].as_array().is_some_and(|all| all.len() >= 5), "{accesses}");
    let filter = format!("subject+%3D+%22{subject}%22");
    let entries = http.get(format!("/v1/accessEntries?filter={filter}&page_size=1")).ok().await;
    assert_eq!(entries["accessEntries"].as_array().map(Vec::len), Some(1), "{entries}");
    let watch = http.get("/v1/accessEntries:watch").header("grpc-timeout", "1S").lines().await;
    assert!(watch[0]["accessEntry"]["action"].is_string(), "{watch:?}");
    let lines = http.get(format!("/v1/{subject}:export?purpose=SUBJECT_REQUEST")).lines().await;
    assert!(lines[0]["ndjson"].is_string(), "{lines:?}");
}

pub(crate) async fn govern(http: &Http) {
    let policy = http.get("/v1/policy").ok().await;
    let update = json!({"breakGlassBlocks": true, "backupRetention": policy["backupRetention"]});
    let policy = http.patch(format!("/v1/policy?request_id={}", id()), update).ok().await;
    assert_eq!(policy["breakGlassBlocks"], true);

    let subject = subject(http).await;
    record(http, &subject, ADA).await;
    let consent = json!({
        "subject": subject, "grantee": "*", "purposes": ["TREAT"], "decision": "DECISION_PERMIT",
    });
    let consent = http.post(format!("/v1/consents?request_id={}", id()), consent).ok().await;
    let listed = http.get("/v1/consents").ok().await;
    assert_eq!(listed["consents"][0]["name"], consent["name"], "{listed}");
    let revoke = format!("/v1/{}:revoke", name(&consent));
    let revoked = http.post(revoke, json!({"requestId": id()})).ok().await;
    assert!(revoked["revokeTime"].is_string(), "{revoked}");

    let interest = json!({"subject": subject, "source": "accounts", "reference": "a"});
    http.post(format!("/v1/retentionInterests:set?request_id={}", id()), interest).ok().await;
    let listed = http.get("/v1/retentionInterests").ok().await;
    assert_eq!(listed["retentionInterests"][0]["source"], "accounts", "{listed}");
    break_glass(http, &subject).await;
    hold_and_erase(http, &subject).await;
}

async fn break_glass(http: &Http, subject: &str) {
    let lease = json!({"subject": subject, "reasonCode": "emergency", "reason": "Unconscious."});
    let target = format!("/v1/breakGlassLeases?request_id={}", id());
    let lease = http.post(target, lease).ok().await;
    let listed = http.get("/v1/breakGlassLeases").ok().await;
    assert_eq!(listed["leases"][0]["name"], lease["name"], "{listed}");
    let lease = name(&lease);
    http.post(format!("/v1/{lease}:close"), json!({"requestId": id()})).ok().await;
    let review = json!({"verdict": "VERDICT_JUSTIFIED", "requestId": id()});
    // Nobody reviews what is their own; that it is refused is an answer as well.
    http.post(format!("/v1/{lease}:review"), review).has_none(400, "APPROVAL_REQUIRED").await;
}

async fn hold_and_erase(http: &Http, subject: &str) {
    let hold = json!({"target": subject, "authority": "court", "caseReference": "HG 1"});
    let hold = http.post(format!("/v1/legalHolds?request_id={}", id()), hold).ok().await;
    let listed = http.get("/v1/legalHolds").ok().await;
    assert_eq!(listed["legalHolds"][0]["name"], hold["name"], "{listed}");
    let release = format!("/v1/{}:release", name(&hold));
    let released = http.post(release, json!({"requestId": id()})).ok().await;
    assert_eq!(released["state"], "STATE_RELEASE_REQUESTED");

    let erase = json!({"legalBasis": "LEGAL_BASIS_SUBJECT_REQUEST", "requestId": id()});
    let erasure = http.post(format!("/v1/{subject}:erase"), erase).ok().await;
    assert_eq!(erasure["state"], "STATE_BLOCKED", "{erasure}");
    let erasure = name(&erasure);
    let approve = http.post(format!("/v1/{erasure}:approve"), json!({"requestId": id()}));
    approve.has_none(400, "APPROVAL_REQUIRED").await;
    let cancelled = http.post(format!("/v1/{erasure}:cancel"), json!({"requestId": id()}));
    assert_eq!(cancelled.ok().await["state"], "STATE_CANCELLED");
    assert_eq!(http.get(format!("/v1/{erasure}")).ok().await["state"], "STATE_CANCELLED");
    let listed = http.get("/v1/subjects/-/erasures").ok().await;
    assert_eq!(listed["erasures"][0]["name"], erasure, "{listed}");
}

pub(crate) async fn rotate_keys(http: &Http) {
    let rotate = json!({"scope": "KEY_SCOPE_TENANT_KEY", "requestId": id()});
    let rotation = name(&http.post("/v1/keys:rotate", rotate).ok().await);
    for _ in 0..300 {
        if http.get(format!("/v1/{rotation}")).ok().await["state"] == "STATE_DONE" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let listed = http.get("/v1/rotations").ok().await;
    assert_eq!(listed["rotations"][0]["state"], "STATE_DONE", "{listed}");
    let keys = http.get("/v1/keys?scope=KEY_SCOPE_TENANT_KEY").ok().await;
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2), "{keys}");
    // The keys of development lie in a file, which nobody vouches for.
    let destroy = json!({"epoch": 1, "confirmEpoch": 1, "requestId": id()});
    http.post("/v1/keys:destroyEpoch", destroy).has_none(400, "INVALID_TRANSITION").await;
}
