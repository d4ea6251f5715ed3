//! Events as callers list and watch them.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use shared::problem::Reason;
use shared::testing::{Running, refusal};
use strongroom_proto::events::v1 as wire;
use tonic::{Code, Request, Status, Streaming};
use wire::watch_events_response::Message;

use crate::world::{Events, World, assert_each_once, enter, list_all};

async fn list(
    client: &mut Events,
    request: wire::ListEventsRequest,
) -> Result<wire::ListEventsResponse, Status> {
    client.list_events(request).await.map(tonic::Response::into_inner)
}

fn behind(cursor: &str) -> wire::ListEventsRequest {
    wire::ListEventsRequest { cursor: cursor.to_owned(), ..wire::ListEventsRequest::default() }
}

async fn watch(
    client: &mut Events,
    cursor: &str,
    types: &[&str],
) -> Result<Streaming<wire::WatchEventsResponse>, Status> {
    let types = types.iter().map(|kind| (*kind).to_owned()).collect();
    let request = wire::WatchEventsRequest { cursor: cursor.to_owned(), types };
    client.watch_events(request).await.map(tonic::Response::into_inner)
}

/// The subject of the next message, or none of a heartbeat; and the cursor behind it.
async fn next(stream: &mut Streaming<wire::WatchEventsResponse>) -> (Option<String>, String) {
    let message = stream.message().await.unwrap().unwrap();
    match message.message.unwrap() {
        Message::Event(event) => (Some(event.subject), message.cursor),
        Message::Heartbeat(_) => (None, message.cursor),
    }
}

async fn next_event(stream: &mut Streaming<wire::WatchEventsResponse>) -> (String, String) {
    loop {
        if let (Some(subject), cursor) = next(stream).await {
            return (subject, cursor);
        }
    }
}

async fn filled(count: usize) -> (World, Running) {
    let world = World::new().await;
    let server = world.serve(&["--heartbeat", "0.2"]).await;
    world.things(count);
    world.sequenced(count.try_into().unwrap()).await;
    (world, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_where_its_cursor_says() {
    let (world, server) = filled(7).await;
    let mut client = world.events(&server);
    let all: Vec<String> = (0..7).map(|n| format!("things/{n}")).collect();
    for page_size in [1, 3, 7, 0, 5_000] {
        assert_each_once(&list_all(&mut client, page_size).await, &all);
    }
    let latest = wire::ListEventsRequest { latest: true, ..wire::ListEventsRequest::default() };
    let end = list(&mut client, latest).await.unwrap();
    assert!(end.events.is_empty() && !end.more);
    let nothing = list(&mut client, behind(&end.next_cursor)).await.unwrap();
    assert!(nothing.events.is_empty() && !nothing.more && !nothing.next_cursor.is_empty());
    world.record("thing.lost", ["things/6".to_owned()]);
    world.sequenced(8).await;
    let page = list(&mut client, behind(&nothing.next_cursor)).await.unwrap();
    assert_eq!((page.events[0].r#type.as_str(), page.events.len()), ("thing.lost", 1));
    let source = format!("strongroom/transactions/{}/timelines/", world.tenant.name());
    assert!(page.events[0].source.starts_with(&source), "{}", page.events[0].source);

    // A filter goes past what it leaves out.
    let types = vec!["thing.lost".to_owned()];
    let request = wire::ListEventsRequest { page_size: 1, types, ..behind("") };
    let page = list(&mut client, request).await.unwrap();
    assert_eq!((page.events[0].position, page.more), (7, false));
    let types = vec!["thing.found".to_owned()];
    let page = list(&mut client, wire::ListEventsRequest { types, ..behind("") }).await.unwrap();
    assert!(page.events.is_empty() && !page.more);
    assert!(list(&mut client, behind(&page.next_cursor)).await.unwrap().events.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_elsewhere_is_refused() {
    let (world, server) = filled(2).await;
    let other = tokio::task::block_in_place(|| world.database.tenant());
    let mut client = world.events(&server);
    let first = wire::ListEventsRequest { page_size: 1, ..behind("") };
    let cursor = list(&mut client, first.clone()).await.unwrap().next_cursor;
    let foreign = list(&mut world.events_of(&server, other), first).await.unwrap().next_cursor;
    let mut forged = cursor.clone();
    forged.replace_range(..1, if cursor.starts_with('A') { "B" } else { "A" });
    for bad in [&*foreign, &*forged, "x", &cursor[..20]] {
        let listed = list(&mut client, behind(bad)).await.map(|_| ()).unwrap_err();
        let watched = watch(&mut client, bad, &[]).await.map(|_| ()).unwrap_err();
        for status in [listed, watched] {
            let (reason, field, _) = refusal(&status);
            assert_eq!((reason, &*field), (Reason::PageTokenInvalid, "cursor"), "{bad}");
        }
    }
    let types = vec!["x".to_owned(); 33];
    for (request, expected) in [
        (wire::ListEventsRequest { page_size: -1, ..behind("") }, "page_size"),
        (wire::ListEventsRequest { types, ..behind("") }, "types"),
        (wire::ListEventsRequest { types: vec![String::new()], ..behind("") }, "types[0]"),
        (wire::ListEventsRequest { latest: true, ..behind(&cursor) }, "cursor"),
    ] {
        let (reason, field, _) = refusal(&list(&mut client, request).await.unwrap_err());
        assert_eq!((reason, &*field), (Reason::FieldInvalid, expected));
    }

    // After a restore the old cursor is of another timeline.
    server.stop().await.unwrap();
    tokio::task::block_in_place(|| {
        shared::db::restore(&world.database.owner_url, &world.database.name).unwrap();
    });
    let server = world.serve(&[]).await;
    let mut client = world.events(&server);
    let (reason, ..) = refusal(&list(&mut client, behind(&cursor)).await.unwrap_err());
    assert_eq!(reason, Reason::TimelineChanged);
    assert_eq!(list_all(&mut client, 10).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_is_not_listed() {
    let (world, server) = filled(3).await;
    let mut client = world.events(&server);
    let one = |page_size| wire::ListEventsRequest { page_size, ..behind("") };
    let cursor = list(&mut client, one(1)).await.unwrap().next_cursor;
    let later = list(&mut client, one(2)).await.unwrap().next_cursor;
    // The first two happened a hundred days ago: their ids and times say so.
    let age = format!(
        "{}; UPDATE changes SET create_time = create_time - interval '100 days', \
         id = ('00000000' || substr(id::text, 9))::uuid WHERE position < 2",
        enter("SET", world.tenant)
    );
    tokio::task::block_in_place(|| world.database.owner().batch_execute(&age)).unwrap();
    for status in [
        list(&mut client, behind(&cursor)).await.map(|_| ()).unwrap_err(),
        watch(&mut client, &cursor, &[]).await.map(|_| ()).unwrap_err(),
    ] {
        assert_eq!(refusal(&status).0, Reason::CursorExpired);
    }
    for from in ["", &later] {
        let page = list(&mut client, behind(from)).await.unwrap();
        let positions: Vec<i64> = page.events.iter().map(|event| event.position).collect();
        assert_eq!(positions, [2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_from_a_list_and_shows_life() {
    let (world, server) = filled(3).await;
    let mut client = world.events(&server);
    let page = list(&mut client, wire::ListEventsRequest { page_size: 2, ..behind("") }).await;
    let mut stream = watch(&mut client, &page.unwrap().next_cursor, &[]).await.unwrap();
    assert_eq!(next(&mut stream).await.0.as_deref(), Some("things/2"));
    let (none, cursor) = next(&mut stream).await;
    assert_eq!(none, None, "a heartbeat");
    // What another replica sequences arrives as well.
    let replica = world.serve(&[]).await;
    world.record("thing.made", (3..6).map(|n| format!("things/{n}")));
    for n in 3..6 {
        assert_eq!(next_event(&mut stream).await.0, format!("things/{n}"));
    }
    // The cursor of a heartbeat resumes there.
    let mut again = watch(&mut world.events(&replica), &cursor, &[]).await.unwrap();
    assert_eq!(next_event(&mut again).await.0, "things/3");
    // A filter goes past what it leaves out, and its heartbeat says so.
    let mut filtered = watch(&mut client, "", &["thing.found"]).await.unwrap();
    let (none, cursor) = next(&mut filtered).await;
    assert_eq!(none, None);
    assert!(list(&mut client, behind(&cursor)).await.unwrap().events.is_empty());
    // The shutdown ends a watch, though its caller would go on.
    server.stop().await.unwrap();
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "it ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_outlives_other_calls_and_ends_when_its_caller_wants() {
    let world = World::new().await;
    let arguments = ["--heartbeat", "0.1", "--default-deadline", "0.3", "--max-deadline", "0.3"];
    let server = world.serve(&[&arguments[..], &["--max-watchers", "2"]].concat()).await;
    let mut client = world.events(&server);
    let mut request = Request::new(wire::WatchEventsRequest::default());
    request.set_timeout(Duration::from_secs(1));
    let mut bounded = client.watch_events(request).await.unwrap().into_inner();
    let mut endless = watch(&mut client, "", &[]).await.unwrap();
    let (reason, ..) = refusal(&watch(&mut client, "", &[]).await.map(|_| ()).unwrap_err());
    assert_eq!(reason, Reason::Overloaded);
    let mut heartbeats = 0;
    let status = loop {
        match bounded.message().await {
            Ok(_) => heartbeats += 1,
            Err(status) => break status,
        }
    };
    assert_eq!(refusal(&status).0, Reason::Deadline);
    assert!(heartbeats > 3, "it has lived for longer than the longest deadline");
    world.things(1);
    assert_eq!(next_event(&mut endless).await.0, "things/0");
    drop((bounded, endless));
    // The places are free again once the server has learnt of it.
    for attempt in 0.. {
        match watch(&mut client, "", &[]).await {
            Ok(_) => return,
            Err(status) => assert!(attempt < 100, "{status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
