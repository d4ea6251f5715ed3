//! What happened, and the log that proves it, of each service.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Call, Http};

/// Services in which nothing has happened yet that is an event.
pub(crate) async fn follow_the_silent(http: &Http) {
    for service in ["accounts", "records"] {
        let get = |target: &str| http.get(target).header("strongroom-service", service);
        let listed = get("/v1/events").ok().await;
        assert!(listed["events"].is_null() && listed["nextCursor"].is_string(), "{listed}");
        assert_eq!(get("/v1/log/leaves").ok().await, json!({}));
        get("/v1/log/checkpoint").has_none(404, "RESOURCE_NOT_FOUND").await;
        get("/v1/log/inclusionProof?index=0").has_none(404, "RESOURCE_NOT_FOUND").await;
        get("/v1/log/consistencyProof?from_size=1").has_none(404, "RESOURCE_NOT_FOUND").await;
        let watch = get("/v1/events:watch").header("grpc-timeout", "500m");
        let [end] = &watch.lines().await[..] else { panic!("nothing happens") };
        assert_eq!(end["code"], 4, "the deadline passed: {end}");
    }
}

pub(crate) async fn follow_transactions(http: &Http) {
    let get = |target: &str| http.get(target).header("strongroom-service", "transactions");
    let listed = get("/v1/events?page_size=1&types=transaction.posted").ok().await;
    let event = &listed["events"][0];
    let subject = event["subject"].as_str().expect("it has a subject");
    let cursor = listed["nextCursor"].as_str().expect("there is always a cursor");
    let watch = format!("/v1/events:watch?types=transaction.posted&cursor={cursor}");
    let messages = get(&watch).header("grpc-timeout", "1S").lines().await;
    eprintln!("DEBUG {}", get("/v1/events?page_size=100").ok().await);
    let (end, messages) = messages.split_last().expect("it ends with its status");
    assert_eq!(end["code"], 4, "the deadline passed: {end}");
    assert_eq!(messages[0]["event"]["type"], "transaction.posted", "{messages:?}");
    assert!(messages.iter().all(|message| message["cursor"].is_string()), "{messages:?}");

    let checkpoint = eventually(|| get("/v1/log/checkpoint")).await;
    assert!(checkpoint["note"].as_str().is_some_and(|note| note.contains("strongroom/")));
    let proof = get(&format!("/v1/log/inclusionProof?resource={subject}")).ok().await;
    assert_eq!(proof["leaf"]["data"], event["data"], "{proof}");
    let proof = get("/v1/log/consistencyProof?from_size=1&to_size=2").ok().await;
    assert_eq!(proof["hashes"].as_array().map(Vec::len), Some(1), "{proof}");
    let leaves = get("/v1/log/leaves?start_index=1&page_size=1").ok().await;
    assert_eq!(leaves["leaves"][0]["index"], "1", "{leaves}");
}

async fn eventually<'a>(call: impl Fn() -> Call<'a>) -> Value {
    for _ in 0..300 {
        if let Some(answer) = call().attempt().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("there is no answer");
}
