//! The end of an account: what is left moves to another in the act that closes it.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1::account::State;
use strongroom_proto::accounts::v1::freeze::Direction;
use tokio::task::JoinSet;

use super::act::{close, freeze_account, open, reopen};
use super::desk::Desk;
use crate::wire::{cents, is_replay, send, transfer};
use crate::world::{run, world};

const PAYERS: usize = 12;
const ROUNDS: usize = 5;

async fn desk() -> Desk {
    let world = world().await;
    Desk::of(&world.newcomer().await, world.at).await
}

/// Pays in or out until the account is closed, and gives how many cents came in by that.
async fn pay_on(desk: Desk, account: String, pays_in: bool) -> i64 {
    let mut sum = 0;
    loop {
        let (from, to) = if pays_in { (&desk.house, &account) } else { (&account, &desk.house) };
        match desk.pay(from, to, "0.01").await {
            Ok(_) => sum += if pays_in { 1 } else { -1 },
            Err(status) => match refusal(&status).0 {
                Reason::InsufficientFunds => {}
                Reason::AccountBlocked | Reason::InvalidTransition => return sum,
                reason => panic!("{reason:?}: {status:?}"),
            },
        }
    }
}

#[test]
fn payments_that_race_a_closing_are_moved_or_refused() {
    run(Box::pin(async {
        let desk = desk().await;
        let customer = desk.customer().await;
        let pot = desk.account(&customer, "1.00").await;
        let mut expected = 100;
        for _ in 0..ROUNDS {
            let account = desk.account(&customer, "0.20").await;
            let mut payers = JoinSet::new();
            for payer in 0..PAYERS {
                let (desk, account) = (desk.clone(), account.clone());
                payers.spawn(pay_on(desk, account, payer.is_multiple_of(2)));
            }
            while desk.find(&account).await.unwrap().balance.unwrap().entry_seq < 10 {}
            desk.act(&close(&account, &pot)).await;
            assert_eq!(cents(&desk.clients, &account).await, 0);
            assert_eq!(desk.get(&account).await.state(), State::Closed);
            assert!(desk.agrees(&account).await);
            // As much as all of them know of.
            expected += 20 + payers.join_all().await.into_iter().sum::<i64>();
            assert_eq!(cents(&desk.clients, &pot).await, expected);
            assert_eq!(cents(&desk.clients, &desk.house).await, -expected);
            desk.pay(&desk.house, &account, "0.01").await.unwrap_err();
            desk.pay(&account, &desk.house, "0.01").await.unwrap_err();
        }
        desk.assert_books().await;
    }));
}

#[test]
fn a_freeze_stops_a_closing_wherever_it_is() {
    run(Box::pin(async {
        let desk = desk().await;
        let customer = desk.customer().await;
        let (account, pot) =
            (desk.account(&customer, "3.00").await, desk.account(&customer, "1.00").await);
        // On the account, and on the one that gets what is left: the ledger decides that.
        for (frozen, direction) in [(&account, Direction::Debit), (&pot, Direction::Credit)] {
            let (freeze, lift) = freeze_account(frozen, direction);
            desk.act(&freeze).await;
            let request = close(&account, &pot);
            for _ in 0..2 {
                let refused = request.send(&desk.clients).await.unwrap_err();
                let (reason, _, figures) = refusal(&refused);
                assert_eq!((reason, &figures["account"]), (Reason::AccountBlocked, frozen));
            }
            assert_eq!(desk.get(&account).await.state(), State::Open);
            assert_eq!(cents(&desk.clients, &account).await, 300);
            desk.act(&lift).await;
            // Nothing is left of the closing.
            desk.pay(&account, &pot, "0.01").await.unwrap();
            desk.pay(&pot, &account, "0.01").await.unwrap();
            assert!(desk.agrees(&account).await && desk.agrees(&pot).await);
        }
        desk.act(&close(&account, &pot)).await;
        assert_eq!(cents(&desk.clients, &pot).await, 400);
        // Opened again it is as new, and what it had stays where it went.
        desk.act(&reopen(&account)).await;
        desk.pay(&pot, &account, "0.50").await.unwrap();
        assert_eq!(cents(&desk.clients, &account).await, 50);
        assert!(desk.agrees(&account).await);
        desk.assert_books().await;
    }));
}

#[test]
fn of_a_freeze_and_a_closing_at_the_same_time_one_wins() {
    run(Box::pin(async {
        let desk = desk().await;
        let customer = desk.customer().await;
        let pot = desk.account(&customer, "1.00").await;
        for _ in 0..ROUNDS * 2 {
            let account = desk.account(&customer, "1.00").await;
            let (freeze, closing) =
                (freeze_account(&account, Direction::All).0, close(&account, &pot));
            let (frozen, closed) =
                tokio::join!(freeze.send(&desk.clients), closing.send(&desk.clients));
            let left = cents(&desk.clients, &account).await;
            match desk.get(&account).await.state() {
                State::Closed => {
                    closed.unwrap();
                    assert_eq!(left, 0);
                }
                State::Open => {
                    frozen.unwrap();
                    assert_eq!(refusal(&closed.unwrap_err()).0, Reason::AccountBlocked);
                    assert_eq!(left, 100);
                }
                state => panic!("{state:?}"),
            }
            assert!(desk.agrees(&account).await);
        }
        desk.assert_books().await;
    }));
}

#[test]
fn a_payment_repeated_after_the_closing_is_the_payment_from_before() {
    run(Box::pin(async {
        let desk = desk().await;
        let customer = desk.customer().await;
        let pot = desk.account(&customer, "1.00").await;
        let (opening, account) = open(&customer);
        desk.act(&opening).await;
        let payment = transfer(&desk.house, &account, "2.00");
        let paid = send(&desk.clients, payment.clone()).await.unwrap().into_inner();
        let closing = close(&account, &pot);
        desk.act(&closing).await;
        let repeated = send(&desk.clients, payment).await.unwrap();
        assert!(is_replay(&repeated));
        assert_eq!(repeated.into_inner().name, paid.name);
        assert_eq!(closing.send(&desk.clients).await.unwrap(), (account.clone(), true));
        assert_eq!(opening.send(&desk.clients).await.unwrap(), (account, true));
        assert_eq!(cents(&desk.clients, &pot).await, 300);
    }));
}
