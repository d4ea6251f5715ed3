//! Content on its way in.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::{Fault, Proxy, channel, refusal};
use strongroom_proto::records::v1 as wire;
use tonic::Code;
use tonic::codegen::Bytes;
use wire::upload_record_request::Frame;

use crate::callers::records::json_type;
use crate::streams::{
    KIB, MIB, SEGMENT, Streamer, all, content, frames, hash, header, message, next_version,
    objects, replica,
};
use crate::world::{Answer, World, id_of, is_replayed};

fn refused(answer: Answer<wire::Record>) -> (Reason, String) {
    let (reason, field, _) = refusal(&answer.unwrap_err());
    (reason, field)
}

#[tokio::test(flavor = "multi_thread")]
async fn content_of_any_size_comes_back() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    for (size, segments) in [
        (1, 0),
        (MIB, 0),
        (MIB + 1, 1),
        (SEGMENT - 1, 1),
        (SEGMENT, 1),
        (SEGMENT + 1, 2),
        (2 * SEGMENT, 2),
        (2 * SEGMENT + 16 * KIB, 3),
    ] {
        let before = objects(&world).len();
        let body = content(size, 1);
        let answer = streamer.upload(header(&subject, "application/pdf"), &body).await.unwrap();
        let record = answer.into_inner();
        assert_eq!(usize::try_from(record.size_bytes).unwrap(), size);
        assert_eq!((record.version, record.subject.as_str()), (1, subject.as_str()));
        assert_eq!(objects(&world).len() - before, segments, "{size}");
        assert!(streamer.content(&record.name).await == body, "{size}");
        if segments == 0 {
            assert!(streamer.caller.content(&record.name).await.unwrap() == body, "{size}");
        }
    }
    let uploads: Vec<_> = world.accesses().into_iter().filter(|e| e.record.is_some()).collect();
    let uploads = uploads.iter().filter(|entry| entry.action == "records.records.upload");
    assert_eq!(uploads.count(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_is_anywhere_in_clear() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let body = b"a secret that must not leak ".repeat(SEGMENT / 20);
    let record = streamer.upload(header(&subject, "text/plain"), &body).await.unwrap();
    let files = objects(&world);
    assert_eq!(files.len(), 2);
    for file in files {
        let stored = std::fs::read(&file).unwrap();
        assert!(!stored.windows(8).any(|window| window == b"a secret"));
        assert!(!file.to_str().unwrap().contains(id_of(&subject)));
    }
    assert!(streamer.content(&record.get_ref().name).await == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_goes_on_where_it_was() {
    let world = World::new().await;
    let proxy = Proxy::to(world.running.address).await;
    let far = Streamer::over(&world, channel(proxy.address));
    let near = Streamer::new(&world);
    let subject = near.caller.subject().await;
    let (header, body) = (header(&subject, "application/pdf"), content(3 * SEGMENT - 5, 2));
    let (_sender, answer) = far.begin(&header, &body[..2 * SEGMENT + 9], 2 * SEGMENT).await;
    proxy.set(Fault::Cut);
    assert!(answer.await.unwrap().is_err());

    let upload = near.get_upload(&header).await.unwrap().into_inner();
    assert_eq!(upload.state(), wire::upload::State::Open);
    assert_eq!((world.count("records"), objects(&world).len()), (0, 2));
    let offset = i64::try_from(2 * SEGMENT).unwrap();
    let rest = wire::UploadHeader { record: None, offset, ..header.clone() };
    let record = near.go_on(rest.clone(), &body).await.unwrap().into_inner();
    assert_eq!(upload.record, record.name);
    assert!(near.content(&record.name).await == body);
    assert_eq!(objects(&world).len(), 3);

    let upload = near.get_upload(&header).await.unwrap().into_inner();
    assert_eq!(upload.state(), wire::upload::State::Done);
    assert_eq!(upload.received_bytes, record.size_bytes);
    let again = near.upload(rest, &body).await.unwrap();
    assert!(is_replayed(&again) && *again.get_ref() == record);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ends_in_the_middle_loses_nothing_that_is_kept() {
    let mut world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let (header, body) = (header(&subject, "application/pdf"), content(2 * SEGMENT, 3));
    let (_sender, answer) = streamer.begin(&header, &body[..=SEGMENT], SEGMENT).await;
    let kek = world.folder.path().join("kek.json");
    world.restart(&kek).await;
    assert!(answer.await.unwrap().is_err());

    // From the beginning again, as whoever forgot how far it was.
    let streamer = Streamer::new(&world);
    let record = streamer.go_on(header, &body).await.unwrap().into_inner();
    assert!(streamer.content(&record.name).await == body);
    assert_eq!((world.count("records"), objects(&world).len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_nobody_noted_is_taken_over_if_it_is_the_same() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let body = content(2 * SEGMENT, 4);
    for is_same in [true, false] {
        let header = header(&subject, "application/pdf");
        let begun = streamer.begin(&header, &body[..=SEGMENT], SEGMENT).await;
        drop(begun);
        // A crash between the object and its note: nobody gives the lease back.
        world.owner_sql(
            "UPDATE uploads SET segments = 0, received_bytes = 0 WHERE data_key IS NOT NULL",
        );
        let mut body = body.clone();
        if !is_same {
            body[7] ^= 1;
        }
        let answer = streamer.go_on(header.clone(), &body).await;
        if is_same {
            assert!(streamer.content(&answer.unwrap().get_ref().name).await == body);
            continue;
        }
        assert_eq!(refused(answer), (Reason::FieldInvalid, "content".to_owned()));
        assert_eq!(streamer.kept(&header).await, Err(Reason::ResourceNotFound));
        // Nothing of it is in the way of the next try.
        streamer.upload(header, &body).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_hash_leaves_nothing() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    for size in [9, SEGMENT + 9] {
        let (header, body) = (header(&subject, "application/pdf"), content(size, 5));
        let mut sent = all(header.clone(), &body);
        *sent.last_mut().unwrap() = hash(b"other");
        let before = (world.count("records"), world.count("outcomes"));
        let answer = streamer.send(sent).await;
        assert_eq!(refused(answer), (Reason::FieldInvalid, "sha256".to_owned()));
        assert_eq!(streamer.kept(&header).await, Err(Reason::ResourceNotFound));
        assert_eq!((world.count("records"), world.count("outcomes")), before);
        // The request id is free, and nothing is in its way.
        streamer.upload(header, &body).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_come_in_order_and_in_size() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let first = || Frame::Header(header(&subject, "application/pdf"));
    let some = |length| Frame::Content(Bytes::from(vec![7; length]));
    let at = |offset| {
        let header = wire::UploadHeader { offset, ..header(&subject, "application/pdf") };
        Frame::Header(header)
    };
    for (frames, field) in [
        (vec![], "header"),
        (vec![some(1), hash(&[7])], "header"),
        (vec![hash(b"")], "header"),
        (vec![first(), hash(b"")], "content"),
        (vec![first(), first()], "header"),
        (vec![first(), some(0)], "content"),
        (vec![first(), some(256 * KIB + 1)], "content"),
        (vec![first(), some(1)], "sha256"),
        (vec![first()], "sha256"),
        (vec![first(), some(1), Frame::Sha256(Bytes::from_static(b"short"))], "sha256"),
        (vec![first(), some(1), hash(&[7]), some(1)], "sha256"),
        (vec![at(1), some(1)], "header.offset"),
        (vec![at(-1), some(1)], "header.offset"),
    ] {
        let answer = streamer.send(frames).await;
        assert_eq!(refused(answer), (Reason::FieldInvalid, field.to_owned()));
    }
    assert_eq!(world.count("records"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_says_what_it_is_and_nothing_else() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let change = |change: fn(&mut wire::UploadHeader)| {
        let mut header = header(&subject, "application/pdf");
        change(&mut header);
        header
    };
    for (header, reason, field) in [
        (change(|h| h.request_id.clear()), Reason::RequestIdRequired, "header.request_id"),
        (change(|h| h.request_id = "r".to_owned()), Reason::FieldInvalid, "header.request_id"),
        (change(|h| h.record = None), Reason::FieldInvalid, "header.record"),
        (change(|h| h.record_id = "1".to_owned()), Reason::FieldInvalid, "header.record_id"),
        (
            change(|h| h.record.as_mut().unwrap().content = Bytes::from_static(b"x")),
            Reason::FieldInvalid,
            "header.record.content",
        ),
        (
            change(|h| h.record.as_mut().unwrap().content_type = "pdf".to_owned()),
            Reason::FieldInvalid,
            "header.record.content_type",
        ),
        (
            change(|h| h.record.as_mut().unwrap().name = "records/1".to_owned()),
            Reason::FieldInvalid,
            "header.record.name",
        ),
    ] {
        assert_eq!(refused(streamer.upload(header, b"x").await), (reason, field.to_owned()));
    }
    let nobody = format!("subjects/{}", uuid::Uuid::now_v7());
    let unknown = streamer.upload(header(&nobody, "application/pdf"), b"x").await;
    assert_eq!(refused(unknown).0, Reason::ResourceNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_for_one_request_and_one_stream() {
    let world = World::new().await;
    let (streamer, other) = (Streamer::new(&world), Streamer::new(&world));
    let subject = streamer.caller.subject().await;
    let (header, body) = (header(&subject, "application/pdf"), content(SEGMENT + 1, 6));
    let (sender, answer) = streamer.begin(&header, &body, SEGMENT).await;
    let second = other.upload(header.clone(), &body).await;
    assert_eq!(refused(second).0, Reason::RequestInProgress);
    let mut changed = header.clone();
    changed.record.as_mut().unwrap().r#type = "other".to_owned();
    assert_eq!(refused(other.upload(changed.clone(), &body).await).0, Reason::RequestIdReused);

    // Whoever takes the lease over has it alone.
    world.owner_sql("UPDATE uploads SET lease_time = now() - interval '1 second'");
    let (second, second_answer) = other.open();
    second.send(message(Frame::Header(header.clone()))).await.unwrap();
    for frame in frames(&body) {
        second.send(message(frame)).await.unwrap();
    }
    second.send(message(hash(&body))).await.unwrap();
    drop(second);
    let record = second_answer.await.unwrap().unwrap().into_inner();
    sender.send(message(hash(&body))).await.ok();
    drop(sender);
    let lost = refused(answer.await.unwrap()).0;
    assert_eq!(lost, Reason::RequestInProgress);

    assert!(streamer.content(&record.name).await == body);
    // A repeat is answered before its content comes.
    let (sender, answer) = other.open();
    sender.send(message(Frame::Header(header))).await.unwrap();
    let again = answer.await.unwrap().unwrap();
    assert!(is_replayed(&again) && *again.get_ref() == record);
    assert_eq!(refused(other.upload(changed, &body).await).0, Reason::RequestIdReused);
    assert_eq!(world.count("record_versions"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_version_of_a_record_can_be_uploaded() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let first = streamer.caller.record(&subject, "text/plain", b"first").await;
    let (second, third) = (content(SEGMENT + 1, 7), content(MIB, 8));
    let header = next_version(&first.name, &first.etag);
    let answer = streamer.upload(header.clone(), &second).await.unwrap().into_inner();
    assert_eq!((answer.version, answer.content_type.as_str()), (2, "application/pdf"));
    assert_eq!(answer.r#type, first.r#type);

    // The old etag, and an upload that another one overtakes.
    let stale = streamer.upload(next_version(&first.name, &first.etag), &third).await;
    assert_eq!(refused(stale).0, Reason::EtagMismatch);
    let slow = next_version(&first.name, "");
    let (sender, slow_answer) = streamer.open();
    sender.send(message(Frame::Header(slow.clone()))).await.unwrap();
    while streamer.kept(&slow).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let fast = streamer.upload(next_version(&first.name, &answer.etag), &third).await.unwrap();
    for frame in frames(&second).chain([hash(&second)]) {
        sender.send(message(frame)).await.unwrap();
    }
    drop(sender);
    assert_eq!(refused(slow_answer.await.unwrap()).0, Reason::Contention);
    assert_eq!(fast.get_ref().version, 3);
    assert_eq!(streamer.upload(slow, &second).await.unwrap().get_ref().version, 4);

    let again = streamer.upload(header, &second).await.unwrap();
    assert!(is_replayed(&again) && again.get_ref().version == 2);
    for (version, body) in [(1, b"first".to_vec()), (2, second.clone()), (3, third), (4, second)] {
        let read = streamer.download(&first.name, version, (0, 0)).await.complete();
        assert!(read == body, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let flags = ["--body-max", "5000000", "--streams-max", "1", "--stream-idle", "0.5"];
    let replica = replica(&world, &flags).await;
    let narrow = Streamer::over(&world, replica.channel());
    let large = header(&subject, "application/pdf");
    let answer = narrow.upload(large.clone(), &content(5_000_001, 9)).await;
    assert_eq!(refused(answer), (Reason::FieldInvalid, "content".to_owned()));
    assert_eq!(narrow.kept(&large).await, Err(Reason::ResourceNotFound));

    let record = narrow.upload(header(&subject, "application/pdf"), b"x").await.unwrap();
    let slow = header(&subject, "application/pdf");
    let (sender, answer) = narrow.begin(&slow, b"x", 0).await;
    let second = narrow.upload(header(&subject, "application/pdf"), b"x").await;
    assert_eq!(refused(second).0, Reason::Overloaded);
    let download = narrow.download(&record.get_ref().name, 0, (0, 0)).await;
    assert_eq!(download.reason(), Reason::Overloaded);
    assert_eq!(refused(answer.await.unwrap()).0, Reason::Deadline);
    drop(sender);
    narrow.go_on(slow, b"x").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sealed_of_whom_nothing_may_be() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let (subject, erased) = (streamer.caller.subject().await, streamer.caller.subject().await);
    let (late, body) = (header(&subject, "application/pdf"), content(SEGMENT + 1, 10));
    let (sender, answer) = streamer.begin(&late, &body, SEGMENT).await;
    world.owner_sql(&format!("UPDATE subjects SET state = 2 WHERE id = '{}'", id_of(&subject)));
    world.owner_sql(&format!("UPDATE subjects SET state = 3 WHERE id = '{}'", id_of(&erased)));
    sender.send(message(hash(&body))).await.unwrap();
    drop(sender);
    assert_eq!(refused(answer.await.unwrap()).0, Reason::SubjectRestricted);
    assert_eq!(streamer.kept(&late).await, Err(Reason::ResourceNotFound));
    let never = header(&erased, "application/pdf");
    for _ in 0..2 {
        let answer = streamer.upload(never.clone(), b"x").await;
        assert_eq!(refused(answer).0, Reason::SubjectErased);
    }
    // The request ids have their answers for good.
    world.owner_sql("UPDATE subjects SET state = 1");
    assert_eq!(refused(streamer.upload(late, &body).await).0, Reason::SubjectRestricted);
    assert_eq!(refused(streamer.upload(never, b"x").await).0, Reason::SubjectErased);
    assert_eq!(world.count("records"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_told_and_forgiven() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let (header, body) = (header(&subject, "application/pdf"), content(SEGMENT + 1, 11));
    let bodies = crate::streams::folder(&world).join("bodies");
    std::fs::write(&bodies, "in the way").unwrap();
    let status = streamer.upload(header.clone(), &body).await.unwrap_err();
    assert_eq!(
        (refusal(&status).0, status.code()),
        (Reason::StorageUnavailable, Code::Unavailable)
    );
    std::fs::remove_file(&bodies).unwrap();
    let record = streamer.go_on(header, &body).await.unwrap();
    assert!(streamer.content(&record.get_ref().name).await == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_checked_as_far_as_it_is_looked_into() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let schema = r#"{"type": "object", "properties": {"pages": {"type": "integer"}}}"#;
    streamer.caller.declare("scan", json_type(schema, Vec::new())).await;
    let json = || header(&subject, "application/json");
    let status = streamer.upload(json(), br#"{"pages": "seventeen"}"#).await.unwrap_err();
    assert_eq!(refusal(&status).1, "record.content/pages");
    assert!(!format!("{status:?}").contains("seventeen"));
    let lie = streamer.upload(json(), b"%PDF").await;
    assert_eq!(refused(lie), (Reason::FieldInvalid, "record.content".to_owned()));
    for size in [MIB, SEGMENT + 1] {
        let pdf = streamer.upload(header(&subject, "application/pdf"), &content(size, 12)).await;
        assert_eq!(refused(pdf), (Reason::FieldInvalid, "record.content_type".to_owned()));
    }
    let large = format!("{{\"pages\": {}7}}", " ".repeat(MIB));
    let large = streamer.upload(json(), large.as_bytes()).await;
    assert_eq!(refused(large), (Reason::FieldInvalid, "record.content".to_owned()));
    assert_eq!((world.count("records"), world.count("uploads")), (0, 0));

    let fits = streamer.upload(json(), br#"{"pages": 17}"#).await.unwrap().into_inner();
    let masked = streamer.caller.read(&fits.name, wire::RecordView::Masked).await.unwrap();
    assert!(!masked.get_ref().content.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_goes_on_with_is_removed_and_what_is_done_stays() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let (left, done, body) = (
        header(&subject, "application/pdf"),
        header(&subject, "application/pdf"),
        content(SEGMENT + 1, 13),
    );
    let record = streamer.upload(done.clone(), &body).await.unwrap().into_inner();
    let (sender, answer) = streamer.begin(&left, &body, SEGMENT).await;
    drop(sender);
    assert_eq!(refused(answer.await.unwrap()).1, "sha256");
    assert_eq!(objects(&world).len(), 3);
    world.owner_sql("UPDATE uploads SET expire_time = now() - interval '1 second'");
    let replica = replica(&world, &["--sweep-interval", "0.05"]).await;
    for _ in 0..600 {
        if objects(&world).len() == 2 && world.count("object_deletes") == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(replica);
    assert_eq!((objects(&world).len(), world.count("uploads")), (2, 0));
    assert_eq!(streamer.kept(&left).await, Err(Reason::ResourceNotFound));
    assert!(streamer.content(&record.name).await == body);
    // The request is remembered for longer than its upload.
    assert!(is_replayed(&streamer.upload(done, &body).await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_has_other_uploads() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let (header, body) = (header(&subject, "application/pdf"), content(SEGMENT + 1, 14));
    let begun = streamer.begin(&header, &body, SEGMENT).await;
    let mut other = Streamer::new(&world);
    other.caller = world.caller_in(world.database.tenant(), &["*"]);
    assert_eq!(other.kept(&header).await, Err(Reason::ResourceNotFound));
    let rest = wire::UploadHeader { record: None, ..header.clone() };
    let answer = other.upload(rest, &body).await;
    assert_eq!(refused(answer), (Reason::FieldInvalid, "header.record".to_owned()));
    assert_eq!(refused(other.upload(header, &body).await).0, Reason::ResourceNotFound);
    drop(begun);
}
