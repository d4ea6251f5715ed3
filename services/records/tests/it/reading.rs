//! Reads: of versions, of several at once, and of what is large.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::RecordView as View;

use crate::world::{Answer, Caller, World, get, id_of, reason};

const JSON: &str = "application/json";

async fn batch(
    caller: &Caller,
    names: &[&str],
    view: View,
    purpose: &str,
) -> Answer<wire::BatchGetRecordsResponse> {
    let request = wire::BatchGetRecordsRequest {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        view: view.into(),
        purpose: purpose.to_owned(),
    };
    caller.records.clone().batch_get_records(caller.signed(request)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn several_are_read_in_their_order_each_with_its_entry() {
    let world = World::new().await;
    let caller = world.caller();
    let (one, other) = (caller.subject().await, caller.subject().await);
    let a = caller.record(&one, JSON, br#"{"a":1}"#).await.name;
    let b = caller.record(&other, "text/plain", b"b").await.name;
    let names = [b.as_str(), &a, &b];
    for (view, contents) in [
        (View::Basic, [&b""[..], b"", b""]),
        (View::Masked, [b"", br#"{"a":"***"}"#, b""]),
        (View::Full, [b"b", br#"{"a":1}"#, b"b"]),
    ] {
        let before = world.count("accesses");
        let records = batch(&caller, &names, view, "KYC").await.unwrap().into_inner().records;
        let found = records.iter().map(|record| (record.name.as_str(), &record.content[..]));
        let expected: Vec<_> = names.into_iter().zip(contents).collect();
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert!(records.iter().all(|record| record.view() == view));
        assert_eq!(world.count("accesses"), before + 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_are_read_as_a_whole_or_not_at_all() {
    let world = World::new().await;
    let caller = world.caller();
    let (one, other) = (caller.subject().await, caller.subject().await);
    let a = caller.record(&one, JSON, b"{}").await.name;
    let b = caller.record(&other, JSON, b"{}").await.name;
    world.owner_sql(&format!("UPDATE subjects SET state = 2 WHERE id = '{}'", id_of(&other)));
    let unknown = "records/0197a5c2-0000-7000-8000-000000000000";
    for (names, expected) in [
        ([a.as_str(), &b], Reason::SubjectRestricted),
        ([&b, &a], Reason::SubjectRestricted),
        ([&a, unknown], Reason::ResourceNotFound),
        ([&b, unknown], Reason::SubjectRestricted),
    ] {
        let before = world.accesses().len();
        assert_eq!(reason(batch(&caller, &names, View::Full, "KYC").await), expected);
        let log = &world.accesses()[before..];
        assert!(log.len() == 2 && log.iter().all(|entry| entry.decision == 2), "{log:?}");
    }
    // One that does not open is the answer for all, and none was given.
    world.owner_sql("UPDATE subjects SET state = 1; UPDATE record_versions SET body = '\\x00'");
    let names = [a.as_str(), &b];
    assert_eq!(reason(batch(&caller, &names, View::Full, "KYC").await), Reason::SealBroken);
    let log = world.accesses();
    let withheld = log[log.len() - 2..].iter().map(|entry| entry.reason.as_deref());
    assert!(withheld.eq([Some("SEAL_BROKEN"); 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_and_too_much_are_refused() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let large = caller.record(&subject, "text/plain", &vec![b'x'; 1 << 20]).await.name;
    let small = caller.record(&subject, "text/plain", b"x").await.name;
    let field = |answer: Answer<wire::BatchGetRecordsResponse>| {
        let (reason, field, _) = refusal(&answer.unwrap_err());
        (reason, field)
    };
    let answer = batch(&caller, &[], View::Basic, "").await;
    assert_eq!(field(answer), (Reason::FieldInvalid, "names".to_owned()));
    let answer = batch(&caller, &[&small, "records/1"], View::Basic, "").await;
    assert_eq!(field(answer), (Reason::FieldInvalid, "names[1]".to_owned()));
    let answer = batch(&caller, &[small.as_str(); 101], View::Basic, "").await;
    assert_eq!(field(answer), (Reason::TooManyItems, "names".to_owned()));
    let full = batch(&caller, &[&large, &large], View::Full, "KYC").await.unwrap().into_inner();
    assert!(full.records.iter().all(|record| record.content.len() == 1 << 20));
    let answer = batch(&caller, &[&large, &large, &small], View::Full, "KYC").await;
    assert_eq!(field(answer), (Reason::FieldInvalid, "names".to_owned()));
    // It is the content that counts, not the record.
    assert!(batch(&caller, &[large.as_str(); 3], View::Masked, "KYC").await.is_ok());
    world.owner_sql("UPDATE record_versions SET size_bytes = 1048577 WHERE size_bytes > 1");
    for view in [View::Masked, View::Full] {
        let answer = caller.get_record(get(&large, view, "KYC")).await;
        match view {
            View::Full => {
                let (reason, field, _) = refusal(&answer.unwrap_err());
                assert_eq!((reason, field.as_str()), (Reason::FieldInvalid, "view"));
            }
            _ => assert!(answer.is_ok()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_any_size_is_read_back() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    for size in [1, 4_096, 16 * 1024, 16 * 1024 + 1, 64 * 1024, 200_000, 1 << 20] {
        let content: Vec<u8> = (0..size).map(|index: u32| index.to_le_bytes()[0]).collect();
        let name = caller.record(&subject, "application/pdf", &content).await.name;
        assert!(caller.content(&name).await.unwrap() == content, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_read_by_its_number() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let name = caller.record(&subject, "text/plain", b"first").await.name;
    let read = |version| {
        caller.get_record(wire::GetRecordRequest { version, ..get(&name, View::Full, "KYC") })
    };
    let record = read(1).await.unwrap().into_inner();
    assert_eq!((record.version, &record.content[..]), (1, &b"first"[..]));
    let status = read(2).await.unwrap_err();
    let (reason, _, figures) = refusal(&status);
    assert_eq!(reason, Reason::ResourceNotFound);
    assert_eq!(figures["name"], format!("{name}/versions/2"));
    let entry = world.accesses().pop().unwrap();
    assert_eq!(entry.subject.as_deref(), Some(id_of(&subject)));
    let (reason, field, _) = refusal(&read(-1).await.unwrap_err());
    assert_eq!((reason, field.as_str()), (Reason::FieldInvalid, "version"));
}

#[tokio::test(flavor = "multi_thread")]
async fn content_of_what_is_deleted_or_purged_is_not_to_be_had() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let name = caller.record(&subject, JSON, b"{}").await.name;
    for (state, expected) in [(2, "DELETED"), (3, "PURGED")] {
        world.owner_sql(&format!("UPDATE records SET state = {state}"));
        for view in [View::Masked, View::Full] {
            let status = caller.get_record(get(&name, view, "KYC")).await.unwrap_err();
            let (reason, _, figures) = refusal(&status);
            assert_eq!(reason, Reason::InvalidTransition);
            assert_eq!(
                (figures["state"].as_str(), figures["allowed"].as_str()),
                (expected, "ACTIVE")
            );
        }
        assert!(caller.get_record(get(&name, View::Basic, "")).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purpose_has_to_be_granted() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let name = caller.record(&subject, JSON, b"{}").await.name;
    let clerk = |purposes: &str| world.caller_in(world.tenant, &["records.records.get", purposes]);
    let kyc = clerk("records.purposes.KYC");
    assert!(kyc.get_record(get(&name, View::Masked, "KYC")).await.is_ok());
    for caller in [&kyc, &clerk("records.purposes.TREAT:own")] {
        let status = caller.get_record(get(&name, View::Masked, "TREAT")).await.unwrap_err();
        let (reason, field, figures) = refusal(&status);
        assert_eq!((reason, field.as_str()), (Reason::PurposeRequired, "purpose"));
        assert_eq!(figures["purpose"], "TREAT");
        let entry = world.accesses().pop().unwrap();
        assert_eq!(entry.purpose.as_deref(), Some("TREAT"));
    }
    let any = clerk("records.purposes.*");
    assert!(any.get_record(get(&name, View::Masked, "TREAT")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_records_are_not_there_for_a_batch_either() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let theirs = caller.record(&subject, JSON, b"{}").await.name;
    let stranger = world.caller_in(world.database.tenant(), &["*"]);
    let subject = stranger.subject().await;
    let own = stranger.record(&subject, JSON, b"{}").await.name;
    for view in [View::Basic, View::Masked, View::Full] {
        let answer = batch(&stranger, &[&own, &theirs], view, "KYC").await;
        assert_eq!(reason(answer), Reason::ResourceNotFound);
    }
    // Both tenants at once may be one batch: each sees its own alone.
    let (mine, stolen, good) = tokio::join!(
        caller.get_record(get(&theirs, View::Full, "KYC")),
        stranger.get_record(get(&theirs, View::Full, "KYC")),
        stranger.get_record(get(&own, View::Full, "KYC")),
    );
    assert!(mine.is_ok() && good.is_ok());
    assert_eq!(reason(stolen), Reason::ResourceNotFound);
}
