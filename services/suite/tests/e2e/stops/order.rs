//! Controls that arrive late, twice, or from a past that was restored away.

use strongroom_proto::accounts::v1::freeze::Direction;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::act::freeze_account;
use super::desk::Desk;
use crate::wire::request_id;
use crate::world::{run, world};

/// Freezes at once, of which every second is lifted at once.
const FREEZES: usize = 12;

async fn deliver(desk: &Desk, name: &str, controls: wire::Controls) -> wire::LedgerAccount {
    let request = wire::SetLedgerControlsRequest {
        name: name.to_owned(),
        controls: Some(controls),
        validate_only: false,
        request_id: request_id(),
    };
    desk.ledger.clone().set_ledger_controls(request).await.unwrap().into_inner()
}

#[test]
fn what_comes_late_or_twice_changes_nothing() {
    run(async {
        let world = world().await;
        let desk = Desk::of(&world.newcomer().await, world.at).await;
        let account = desk.account(&desk.customer().await, "1.00").await;
        let open = desk.controls(&account).await;
        let (freeze, lift) = freeze_account(&account, Direction::Debit);
        desk.act(&freeze).await;
        let frozen = desk.find(&account).await.unwrap();
        let controls = desk.controls(&account).await;
        assert!(controls.version > open.version && controls.timeline == open.timeline);

        let older = Uuid::from_u128(Uuid::parse_str(&open.timeline).unwrap().as_u128() - (1 << 80));
        let ahead = wire::Controls { version: controls.version + 100, ..open.clone() };
        for late in [
            open,
            // The same version with something else in it.
            wire::Controls { blocks: Vec::new(), ..controls.clone() },
            controls,
            wire::Controls { timeline: older.to_string(), ..ahead.clone() },
            wire::Controls { timeline: String::new(), ..ahead },
        ] {
            let told = deliver(&desk, &account, late).await;
            assert_eq!((told.etag, told.controls), (frozen.etag.clone(), frozen.controls.clone()));
            desk.assert_blocked(&account, &desk.house).await;
        }
        // And what is new does.
        desk.act(&lift).await;
        desk.pay(&account, &desk.house, "0.01").await.unwrap();
        assert!(desk.agrees(&account).await);
    });
}

#[test]
fn changes_that_overtake_each_other_end_as_accounts_has_them() {
    run(async {
        let world = world().await;
        let desk = Desk::of(&world.newcomer().await, world.at).await;
        let account = desk.account(&desk.customer().await, "1.00").await;
        let mut callers = JoinSet::new();
        let mut kept = Vec::new();
        for index in 0..FREEZES {
            let (freeze, lift) = freeze_account(&account, Direction::Debit);
            let is_lifted = index.is_multiple_of(2);
            let desk = desk.clone();
            let lift = if is_lifted {
                Some(lift)
            } else {
                kept.extend([lift]);
                None
            };
            callers.spawn(async move {
                desk.act(&freeze).await;
                if let Some(lift) = lift {
                    desk.act(&lift).await;
                }
            });
        }
        callers.join_all().await;
        assert!(desk.agrees(&account).await);
        // Each that is left forbids it alone.
        for lift in kept {
            desk.assert_blocked(&account, &desk.house).await;
            desk.act(&lift).await;
        }
        desk.pay(&account, &desk.house, "0.01").await.unwrap();
        assert!(desk.agrees(&account).await && desk.undelivered().await.is_empty());
    });
}
