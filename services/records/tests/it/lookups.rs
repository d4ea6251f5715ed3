//! Records are found by the exact value of a field, and nobody learns it from the index.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::field_index::Normalisation as By;

use crate::callers::records::{field, index, json_type, update};
use crate::world::{Caller, World, create, id_of, reason};

fn lookup(index: &str, value: &str) -> wire::LookupRecordsRequest {
    wire::LookupRecordsRequest {
        r#type: "kyc-file".to_owned(),
        index: index.to_owned(),
        value: value.to_owned(),
        purpose: "KYC".to_owned(),
    }
}

async fn declare(caller: &Caller) {
    let fields = vec![
        field("/email", index("email", 0, By::Email)),
        field("/phones/*", index("phone", 0, By::Phone)),
        field("/tax", index("tax", 0, By::Alphanumeric)),
        field("/city", index("city", 8, By::CaseFold)),
    ];
    caller.declare("kyc-file", json_type("", fields)).await;
}

async fn found(caller: &Caller, index: &str, value: &str) -> Vec<String> {
    let answer = caller.lookup_records(lookup(index, value)).await.unwrap().into_inner();
    assert!(answer.records.iter().all(|record| record.content.is_empty()));
    assert!(!answer.more);
    answer.records.into_iter().map(|record| record.name).collect()
}

async fn person(caller: &Caller, content: &str) -> String {
    let subject = caller.subject().await;
    caller.record(&subject, "application/json", content.as_bytes()).await.name
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_values_are_found_however_they_are_written() {
    let world = World::new().await;
    let caller = world.caller();
    declare(&caller).await;
    let jane = person(
        &caller,
        r#"{"email": "Jane.Doe@Example.com", "phones": ["+49 (151) 23-45", "0170 1"],
             "tax": "de 12-3"}"#,
    )
    .await;
    person(&caller, r#"{"email": "john@example.com", "phones": ["+49 151 2346"]}"#).await;
    for (index, value) in [
        ("email", " JANE.DOE@example.COM"),
        ("phone", "0049151 2345"),
        ("phone", "01701"),
        ("tax", "DE123"),
    ] {
        assert_eq!(found(&caller, index, value).await, std::slice::from_ref(&jane), "{index}");
    }
    for (index, value) in [("email", "jane@example.com"), ("phone", "01512345"), ("tax", "DE124")] {
        assert!(found(&caller, index, value).await.is_empty(), "{index}");
    }
    // The index holds no value, and the last version alone is in it.
    let next = wire::Record {
        name: jane.clone(),
        content: br#"{"email": "new@example.com"}"#.to_vec().into(),
        ..Default::default()
    };
    caller.update_record(update(next, &[])).await.unwrap();
    assert!(found(&caller, "email", "jane.doe@example.com").await.is_empty());
    assert_eq!(found(&caller, "email", "new@example.com").await, [jane]);
    assert_eq!(world.count("record_index"), 3);
    assert_eq!(world.count("record_index WHERE encode(token, 'escape') LIKE '%example%'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_token_finds_more_than_is_told() {
    let world = World::new().await;
    let caller = world.caller();
    declare(&caller).await;
    let paris = person(&caller, r#"{"city": "Paris"}"#).await;
    let rome = person(&caller, r#"{"city": "Rome"}"#).await;
    assert_eq!(found(&caller, "city", "PARIS").await, std::slice::from_ref(&paris));
    // Another city that has the token of Paris, as one in 256 has.
    let mut made = Vec::new();
    let twin = loop {
        let city = format!("city {}", made.len());
        made.push(person(&caller, &format!("{{\"city\": \"{city}\"}}")).await);
        let token = format!(
            "record_index a JOIN record_index b USING (token) \
             WHERE a.record_id = '{}' AND b.record_id = '{}'",
            id_of(&paris),
            id_of(&made[made.len() - 1])
        );
        if world.count(&token) == 1 {
            break city;
        }
        assert!(made.len() < 5_000);
    };
    assert_eq!(found(&caller, "city", "paris").await, std::slice::from_ref(&paris));
    assert_eq!(found(&caller, "city", &twin).await, [made.pop().unwrap()]);
    assert_eq!(found(&caller, "city", "Rome").await, [rome]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_index_row_is_found() {
    let world = World::new().await;
    let caller = world.caller();
    declare(&caller).await;
    let jane = person(&caller, r#"{"city": "Paris", "email": "jane@example.com"}"#).await;
    let john = person(&caller, r#"{"city": "Rome", "email": "john@example.com"}"#).await;
    // John's row gets the token of Jane's: whoever looks for her finds him.
    let swap = |from: &str, to: &str| {
        world.owner_sql(&format!(
            "UPDATE record_index SET token = (SELECT token FROM record_index \
                 WHERE record_id = '{}' AND name = 'email') \
             WHERE record_id = '{}' AND name = 'email'",
            id_of(from),
            id_of(to)
        ));
    };
    swap(&jane, &john);
    let status = caller.lookup_records(lookup("email", "jane@example.com")).await.unwrap_err();
    let (reason_found, field, figures) = refusal(&status);
    assert_eq!(reason_found, Reason::SealBroken);
    assert!(field.is_empty() && figures.keys().all(|key| key == "trace_id"));
    let log = world.accesses();
    assert_eq!(log.last().unwrap().reason.as_deref(), Some("SEAL_BROKEN"));
    assert_eq!(log.last().unwrap().record.as_deref(), Some(id_of(&john)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_or_another_tenants_is_not_found() {
    let world = World::new().await;
    let caller = world.caller();
    declare(&caller).await;
    let content = r#"{"email": "jane@example.com"}"#;
    let (kept, deleted, erased) = (
        person(&caller, content).await,
        person(&caller, content).await,
        person(&caller, content).await,
    );
    let stranger = world.caller_in(world.database.tenant(), &["*"]);
    let answer = stranger.lookup_records(lookup("email", "jane@example.com")).await;
    assert_eq!(reason(answer), Reason::ResourceNotFound);
    declare(&stranger).await;
    assert!(found(&stranger, "email", "jane@example.com").await.is_empty());
    let theirs = person(&stranger, content).await;
    assert_eq!(found(&stranger, "email", "jane@example.com").await, [theirs]);

    let mut all = vec![kept.clone(), deleted.clone(), erased.clone()];
    all.sort();
    assert_eq!(found(&caller, "email", "jane@example.com").await, all);
    caller
        .delete_record(wire::DeleteRecordRequest { name: deleted, ..Default::default() })
        .await
        .unwrap();
    world.owner_sql(&format!(
        "UPDATE subjects SET state = 3 FROM records r \
         WHERE r.subject_id = subjects.id AND r.id = '{}'",
        id_of(&erased)
    ));
    assert_eq!(found(&caller, "email", "jane@example.com").await, std::slice::from_ref(&kept));
    // Of whom only legal purposes may know is not told for others.
    world.owner_sql("UPDATE subjects SET state = 2 WHERE state = 1");
    assert!(found(&caller, "email", "jane@example.com").await.is_empty());
    let legal = lookup("email", "jane@example.com");
    let legal = wire::LookupRecordsRequest { purpose: "LEGAL".to_owned(), ..legal };
    let answer = caller.lookup_records(legal).await.unwrap().into_inner();
    assert_eq!(answer.records[0].name, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_look_up_is_logged_and_its_value_never() {
    let world = World::new().await;
    let caller = world.caller();
    declare(&caller).await;
    let jane = person(&caller, r#"{"email": "jane@example.com"}"#).await;
    let before = world.accesses().len();
    found(&caller, "email", "nobody@example.com").await;
    found(&caller, "email", "jane@example.com").await;
    let wrong = |change: fn(&mut wire::LookupRecordsRequest)| {
        let mut request = lookup("email", "jane@example.com");
        change(&mut request);
        request
    };
    for (request, expected, field) in [
        (wrong(|r| r.purpose.clear()), Reason::PurposeRequired, "purpose"),
        (wrong(|r| r.purpose = "CURIOSITY".to_owned()), Reason::PurposeUnknown, "purpose"),
        (wrong(|r| r.r#type = "unknown".to_owned()), Reason::ResourceNotFound, ""),
        (wrong(|r| r.index = "unknown".to_owned()), Reason::ResourceNotFound, ""),
        (wrong(|r| r.value = "jane".to_owned()), Reason::FieldInvalid, "value"),
        (wrong(|r| r.value = "x".repeat(1_025)), Reason::FieldInvalid, "value"),
        (wrong(|r| r.value.clear()), Reason::FieldInvalid, "value"),
    ] {
        let status = caller.lookup_records(request).await.unwrap_err();
        let (reason, at, _) = refusal(&status);
        assert_eq!((reason, at.as_str()), (expected, field));
        let told = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
        assert!(!told.contains("jane"), "{told}");
    }
    let log = world.accesses();
    let log: Vec<_> =
        log[before..].iter().map(|e| (e.record.as_deref(), e.reason.as_deref())).collect();
    assert_eq!(
        log,
        [
            (None, None),
            (None, None),
            (Some(id_of(&jane)), None),
            (None, Some("PURPOSE_REQUIRED")),
            (None, Some("PURPOSE_UNKNOWN")),
            (None, Some("RESOURCE_NOT_FOUND")),
            (None, Some("RESOURCE_NOT_FOUND")),
            (None, Some("FIELD_INVALID")),
        ]
    );
    let clerk = ["records.records.lookup", "records.purposes.AML"];
    let clerk = world.caller_in(world.tenant, &clerk);
    let answer = clerk.lookup_records(lookup("email", "jane@example.com")).await;
    assert_eq!(reason(answer), Reason::PurposeRequired);
    let clerk = world.caller_in(world.tenant, &["records.records.lookup", "records.purposes.KYC"]);
    assert_eq!(found(&clerk, "email", "jane@example.com").await, [jane]);
}

/// A value that does not fit an index is refused where the record is written.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_indexed_is_not_sealed() {
    let world = World::new().await;
    let caller = world.caller();
    declare(&caller).await;
    let subject = caller.subject().await;
    let content = format!("{{\"tax\": \"{}\"}}", "1".repeat(1_025));
    let request = create(&subject, "application/json", content.as_bytes());
    let (reason, field, _) = refusal(&caller.create_record(request).await.unwrap_err());
    assert_eq!((reason, field.as_str()), (Reason::FieldInvalid, "record.content/tax"));
}
