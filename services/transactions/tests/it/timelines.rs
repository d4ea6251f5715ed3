//! Timelines: what a restore takes back is not taken for what comes after it.

use diesel::connection::SimpleConnection as _;
use strongroom_proto::transactions::v1 as wire;
use uuid::Uuid;

use crate::requests::{field, hold};
use crate::setup::{Ledger, block};

/// Controls that another service pushes from a history of its own.
fn controls(timeline: &str, version: i64, reason_code: &str) -> wire::Controls {
    let mut controls = block(version, wire::block::Effect::Debit);
    reason_code.clone_into(&mut controls.blocks[0].reason_code);
    wire::Controls { timeline: timeline.to_owned(), ..controls }
}

#[tokio::test(flavor = "multi_thread")]
async fn controls_of_a_later_timeline_stand_whatever_their_version() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let account = client.account(None).await;
    let (earlier, later) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    // Their order is that of the pushes, but for those that come too late.
    for (timeline, version, in_force) in [
        ("", 7, true),
        ("", 6, false),
        (earlier.as_str(), 5, true),
        ("", 8, false),
        (&earlier, 5, false),
        (&earlier, 9, true),
        (&later, 1, true),
        (&earlier, 10, false),
        (&later, 2, true),
        ("", 99, false),
    ] {
        let reason_code = format!("R{version}");
        let pushed = controls(timeline, version, &reason_code);
        let before = client.control(&account, controls("", 1, "R1")).await.unwrap().controls;
        let after = client.control(&account, pushed.clone()).await.unwrap().controls;
        let expected = if in_force { vec![pushed] } else { before };
        assert_eq!(after, expected, "{timeline} {version}");
    }
    let refused = client.control(&account, controls("the second", 1, "R1")).await;
    assert_eq!(field(refused).1, "controls.timeline");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_version_of_another_timeline_has_another_etag() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let held = client.hold(&hold(&account, &house, "1")).await.unwrap();
    let read = async |client: &mut crate::setup::Client| {
        let request = wire::GetLedgerAccountRequest { name: account.clone() };
        let account = client.ledger.get_ledger_account(request).await.unwrap().into_inner();
        [account.etag, client.read_hold(&held.name).await.etag]
    };
    let before = read(&mut client).await;
    assert_eq!(before[1], held.etag);
    let same = ledger.replica().await;
    assert_eq!(read(&mut ledger.client_at(&same, ledger.tenant, &["*"])).await, before);

    let id = Uuid::now_v7();
    let begin = format!("INSERT INTO timelines (id, create_time) VALUES ('{id}', now())");
    tokio::task::block_in_place(|| ledger.database.owner().batch_execute(&begin).unwrap());
    let other = ledger.replica().await;
    let after = read(&mut ledger.client_at(&other, ledger.tenant, &["*"])).await;
    let version = |etag: &String| etag.split_once('-').unwrap().1.to_owned();
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(version(before), version(after));
        assert_ne!(before, after);
    }
}
