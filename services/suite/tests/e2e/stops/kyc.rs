//! An approval that ends while accounts is dead: the ledger judges its time by its own clock.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::transactions::v1 as wire;

use super::act::approve;
use super::desk::{Desk, until};
use super::process::{Processes, Service};
use crate::wire::{cents, eur, request_id};
use crate::world::{now, run};

/// Seconds until the approval ends.
const APPROVED: i64 = 5;

/// Keeps back an amount for a later payment.
async fn hold(desk: &Desk, account: &str, amount: &str) -> String {
    let hold = wire::Hold {
        account: account.to_owned(),
        destination: desk.house.clone(),
        amount: Some(eur(amount)),
        ..Default::default()
    };
    let request = wire::CreateHoldRequest {
        hold: Some(hold),
        request_id: request_id(),
        ..Default::default()
    };
    desk.holds.clone().create_hold(request).await.unwrap().into_inner().name
}

/// Approves a customer for a few seconds, and gives until when.
async fn approved(desk: &Desk, customer: &str) -> prost_types::Timestamp {
    loop {
        let seconds = i64::try_from(now()).unwrap() + APPROVED;
        let end = prost_types::Timestamp { seconds, nanos: 0 };
        match approve(customer, Some(end)).send(&desk.clients).await {
            Ok(_) => return end,
            // It came too late for that, on a slow machine.
            Err(status) => assert_eq!(refusal(&status).0, Reason::FieldInvalid, "{status:?}"),
        }
    }
}

#[test]
fn an_approval_ends_in_the_ledger_without_anybody() {
    run(Box::pin(async {
        let mut processes = Processes::start(&[]).await;
        let desk = Desk::of(&processes.ground.newcomer(), processes.ground.at).await;
        let customer = desk.customer().await;
        let account = desk.account(&customer, "5.00").await;
        let held = hold(&desk, &account, "2.00").await;
        desk.submit(&customer).await;
        let end = approved(&desk, &customer).await;
        processes.kill(Service::Accounts);

        let mut expected = 500;
        let is_over = async || match desk.pay(&account, &desk.house, "0.01").await {
            Ok(_) => false,
            Err(status) => {
                let (reason, _, figures) = refusal(&status);
                assert_eq!(reason, Reason::AccountBlocked);
                assert_eq!(figures["reason_code"], "KYC_EXPIRED");
                true
            }
        };
        until("the end of the approval", is_over).await;
        // Nothing was paid after the end, and all that was before.
        let entries = desk.entries(&account).await;
        let debits: Vec<_> = entries.iter().filter(|entry| entry.direction == 1).collect();
        assert!(debits.iter().all(|entry| entry.record_time.unwrap().seconds < end.seconds));
        expected -= i64::try_from(debits.len()).unwrap();
        assert_eq!(cents(&desk.clients, &account).await, expected);
        // What somebody was promised is kept, and money comes in.
        desk.pay(&desk.house, &account, "1.00").await.unwrap();
        let capture =
            wire::CaptureHoldRequest { name: held, request_id: request_id(), ..Default::default() };
        desk.holds.clone().capture_hold(capture).await.unwrap();
        assert_eq!(cents(&desk.clients, &account).await, expected + 100 - 200);

        processes.revive(Service::Accounts).await;
        desk.assert_blocked(&account, &desk.house).await;
        let effect = desk.get(&account).await.effect.unwrap();
        assert_eq!((effect.debits, effect.credits), (false, true));
        desk.submit(&customer).await;
        desk.assert_blocked(&account, &desk.house).await;
        desk.act(&approve(&customer, None)).await;
        desk.pay(&account, &desk.house, "0.01").await.unwrap();
        assert!(desk.agrees(&account).await);
        desk.assert_books().await;
    }));
}
