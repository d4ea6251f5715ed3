//! The sequencer under writers that commit out of order, several replicas, pauses and restarts.

use std::time::Duration;

use diesel::PgConnection;
use diesel::connection::SimpleConnection as _;
use shared::clock::Clock;
use shared::ids::TenantId;
use shared::task;
use shared::testing::{Fault, Proxy};
use shared::transparency::{Root, leaf_hash};
use strongroom_proto::transparency::v1 as wire;

use crate::setup::server_of;
use crate::world::{World, assert_each_once, change, enter, list_all};

const WRITERS: usize = 6;
const CHANGES: usize = 60;

fn subject(writer: usize, number: usize) -> String {
    format!("things/{writer}-{number:03}")
}

/// One change after the other, each held open for a while after it got its id; every tenth one is
/// given up, and every twentieth one takes long.
fn write(conn: &mut PgConnection, tenant: TenantId, writer: usize) {
    for number in 0..CHANGES {
        let time = Clock::system().now();
        let wait_ms = match number % 20 {
            7 => 300,
            _ => rand::random_range(0..25),
        };
        change(conn, tenant, "thing.made", &subject(writer, number), time, || {
            std::thread::sleep(Duration::from_millis(wait_ms));
            true
        });
        if number % 10 == 3 {
            change(conn, tenant, "thing.made", "things/ghost", time.next(), || false);
        }
    }
}

/// Somebody who locks the log, gives a position, and is paused for longer than it may be.
fn pause_in_the_middle(conn: &mut PgConnection, tenant: TenantId) {
    let begin = format!(
        "BEGIN; {}; SET LOCAL idle_in_transaction_session_timeout = 1000; \
         SELECT FROM logs FOR UPDATE; UPDATE changes SET position = 1000000, leaves = NULL \
         WHERE id = (SELECT id FROM changes ORDER BY id DESC LIMIT 1); \
         UPDATE logs SET size = 1000001",
        enter("SET LOCAL", tenant)
    );
    conn.batch_execute(&begin).unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(conn.batch_execute("COMMIT").is_err(), "it has lost its transaction");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled_whatever_happens_to_the_replicas() {
    let world = World::new().await;
    let tenant = world.tenant;
    let (proxy, url) = behind_proxy(&world.database.runtime_url).await;
    let mut common = world.common(&[]);
    common.database.database_url = url;
    let first = server_of(common).await;
    let second = world.serve(&[]).await;

    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let mut conn = tokio::task::block_in_place(|| world.database.runtime());
            tokio::spawn(task::blocking(move || write(&mut conn, tenant, writer)))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(400)).await;
    proxy.set(Fault::Stall);
    let mut paused = tokio::task::block_in_place(|| world.database.runtime());
    task::blocking(move || pause_in_the_middle(&mut paused, tenant)).await.unwrap();
    second.stop().await.unwrap();
    proxy.set(Fault::None);
    let third = world.serve(&[]).await;
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    proxy.set(Fault::Cut);

    let count = i64::try_from(WRITERS * CHANGES).unwrap();
    world.sequenced(count).await;
    let events = list_all(&mut world.events(&third), 100).await;
    let all: Vec<String> = (0..WRITERS)
        .flat_map(|writer| (0..CHANGES).map(move |number| subject(writer, number)))
        .collect();
    assert_each_once(&events, &all);
    for writer in 0..WRITERS {
        let own = format!("things/{writer}-");
        let own = events.iter().map(|event| &event.subject).filter(|one| one.starts_with(&own));
        assert!(own.is_sorted(), "the changes of a writer stay in their order");
    }
    let mut root = Root::default();
    for event in &events {
        root.push(leaf_hash(&event.data));
    }
    let mut log = world.log(&third);
    let request = wire::GetConsistencyProofRequest { from_size: count, to_size: Some(count) };
    let proof = log.get_consistency_proof(request).await.unwrap().into_inner();
    assert_eq!(proof.to_root_hash, root.finish());
    drop(first);
}

/// The database, but through a proxy over TCP.
async fn behind_proxy(url: &str) -> (Proxy, String) {
    let (credentials, place) = url.split_once('@').unwrap();
    let (address, _) = place.split_once('/').unwrap();
    let proxy = Proxy::to(address.parse().unwrap()).await;
    let url = format!("{credentials}@{}/postgres", proxy.address);
    (proxy, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_cannot_be_sequenced_stops_no_other() {
    let world = World::new().await;
    let other = tokio::task::block_in_place(|| world.database.tenant());
    let server = world.serve(&[]).await;
    tokio::task::block_in_place(|| {
        let mut conn = world.database.runtime();
        let (time, names) = (Clock::system().now(), vec!["x".to_owned()]);
        conn.batch_execute(&format!("BEGIN; {}", enter("SET LOCAL", other))).unwrap();
        shared::changes::insert(&mut conn, other, "nobody.knows", names, time).unwrap();
        conn.batch_execute("COMMIT").unwrap();
    });
    world.things(3);
    world.sequenced(3).await;
    assert!(list_all(&mut world.events_of(&server, other), 10).await.is_empty());
}
