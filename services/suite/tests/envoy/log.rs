//! What happened, and the log that proves it, of each service.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Call, Http};

/// The log of a service in which something has happened, such as events of this type.
pub(crate) async fn follow(http: &Http, service: &'static str, kind: &str) {
    let get = |target: &str| http.get(target).header("strongroom-service", service);
    let listed = format!("/v1/events?page_size=1&types={kind}");
    let listed = eventually(|| get(&listed), |listed| listed["more"] == true);
    let listed = listed.await;
    let event = &listed["events"][0];
    let subject = event["subject"].as_str().expect("it has a subject");
    let cursor = listed["nextCursor"].as_str().expect("there is always a cursor");
    let watch = format!("/v1/events:watch?cursor={cursor}");
    let messages = get(&watch).header("grpc-timeout", "1S").lines().await;
    let first = &messages[0]["event"]["position"];
    // The first position is left out, as default values are.
    let before = event["position"].as_str().unwrap_or("0").parse::<u64>().ok();
    assert_eq!(first, &json!(before.map(|before| (before + 1).to_string())), "{messages:?}");

    let checkpoint = eventually(|| get("/v1/log/checkpoint"), |_| true).await;
    assert!(checkpoint["note"].as_str().is_some_and(|note| note.contains("strongroom/")));
    let proof = get(&format!("/v1/log/inclusionProof?resource={subject}")).ok().await;
    assert_eq!(proof["leaf"]["data"], event["data"], "{proof}");
    let proof = get("/v1/log/consistencyProof?from_size=1&to_size=2").ok().await;
    assert_eq!(proof["hashes"].as_array().map(Vec::len), Some(1), "{proof}");
    let leaves = get("/v1/log/leaves?start_index=1&page_size=1").ok().await;
    assert_eq!(leaves["leaves"][0]["index"], "1", "{leaves}");
}

/// The answer, once there is one that is as it should be.
async fn eventually<'a>(call: impl Fn() -> Call<'a>, fits: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..300 {
        if let Some(answer) = call().attempt().await.filter(&fits) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("there is no answer");
}
