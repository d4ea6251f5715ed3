//! Closing an account on which something is left: it goes to another account in the same step.

use shared::problem::Reason;
use strongroom_proto::outcomes::v1 as outcomes;
use strongroom_proto::transactions::v1 as wire;
use wire::ledger_account::State;

use crate::books::assert_books;
use crate::closing::{close, closed, read};
use crate::requests::{assert_figures, field, force, hold, release, why};
use crate::setup::{Client, Ledger, block, request_id, transfer, unbounded};
use crate::verify::{UNWATCHED, verify};

fn into(account: &str, disposition: &str) -> wire::CloseLedgerAccountRequest {
    wire::CloseLedgerAccountRequest {
        disposition_account: disposition.to_owned(),
        ..close(account)
    }
}

/// The same controls for another reason.
fn because(reason: &str, mut controls: wire::Controls) -> wire::Controls {
    reason.clone_into(&mut controls.blocks[0].reason_code);
    controls
}

fn closing(version: i64) -> wire::Controls {
    because("CLOSING", block(version, wire::block::Effect::All))
}

async fn overdrawn(client: &mut Client, house: &str, amount: &str) -> String {
    let account = client.account(None).await;
    let forced = wire::CreateTransferRequest {
        force: force(&[wire::Override::Funds]),
        ..transfer(&account, house, amount)
    };
    client.transfer(&forced).await.unwrap();
    account
}

async fn transactions_of(client: &mut Client, account: &str) -> Vec<wire::Transaction> {
    let request = wire::ListEntriesRequest { account: account.to_owned(), ..Default::default() };
    let entries = client.balances.list_entries(request).await.unwrap().into_inner().entries;
    let mut found = Vec::new();
    for entry in entries {
        let request = wire::GetTransactionRequest { name: entry.transaction };
        found.push(client.transactions.get_transaction(request).await.unwrap().into_inner());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_take_the_rest_is_refused_and_nothing_moves() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let bound = overdrawn(&mut client, &house, "5").await;
    let poor = client.account(None).await;
    let dollars = client.account_in("USD", None).await;
    let gone = client.account(None).await;
    closed(&mut client, &close(&gone)).await.unwrap();
    let nobody = format!("accounts/{}", uuid::Uuid::now_v7());
    let held = client.hold(&hold(&account, &house, "1")).await.unwrap().name;
    for validate_only in [true, false] {
        let ask = |disposition: &str| wire::CloseLedgerAccountRequest {
            validate_only,
            ..into(&account, disposition)
        };
        for (disposition, reason) in [
            (account.as_str(), Reason::FieldInvalid),
            ("accounts/1", Reason::FieldInvalid),
            (dollars.as_str(), Reason::CurrencyMismatch),
            (gone.as_str(), Reason::InvalidTransition),
            (nobody.as_str(), Reason::ResourceNotFound),
        ] {
            let refused = closed(&mut client, &ask(disposition)).await;
            assert_eq!(field(refused), (reason, "disposition_account".to_owned()), "{disposition}");
        }
        let (reason, figures) = why(closed(&mut client, &ask(&house)).await);
        assert_eq!(reason, Reason::AccountNotEmpty);
        assert_figures(&figures, &[("posted", "10.00"), ("held", "1.00")]);
        // An overdrawn account is evened out by one that can pay.
        let uncovered = wire::CloseLedgerAccountRequest { validate_only, ..into(&bound, &poor) };
        let (reason, figures) = why(closed(&mut client, &uncovered).await);
        assert_eq!(reason, Reason::InsufficientFunds);
        assert_figures(&figures, &[("account", &poor), ("shortfall", "5.00")]);
    }
    client.release(&release(&held)).await.unwrap();
    for name in [&account, &bound] {
        assert_eq!(read(&mut client, name).await.state(), State::Open);
    }
    assert_eq!(client.posted(&account).await, "10.00");
    assert_eq!(client.posted(&bound).await, "-5.00");
    assert_books(&ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_others_stop_it_and_those_of_the_closing_do_not() {
    use wire::block::Effect;
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let target = client.account(None).await;
    let request = into(&account, &target);
    for (blocked, effect, direction) in
        [(&account, Effect::Debit, "DEBIT"), (&target, Effect::Credit, "CREDIT")]
    {
        client.control(blocked, block(1, effect)).await.unwrap();
        for validate_only in [true, false] {
            let ask = wire::CloseLedgerAccountRequest { validate_only, ..into(&account, &target) };
            let (reason, figures) = why(closed(&mut client, &ask).await);
            assert_eq!(reason, Reason::AccountBlocked);
            let expected = [
                ("account", blocked.as_str()),
                ("direction", direction),
                ("source", "accounts"),
                ("reason_code", "COURT_ORDER"),
            ];
            assert_figures(&figures, &expected);
        }
        // Beside a block of the closing it still stands.
        let mut both = block(2, effect);
        both.blocks.insert(0, closing(2).blocks.remove(0));
        client.control(blocked, both).await.unwrap();
        let again = closed(&mut client, &into(&account, &target)).await;
        assert_figures(&why(again).1, &[("reason_code", "COURT_ORDER")]);
        client.control(blocked, closing(3)).await.unwrap();
    }
    // What a court has set apart is no rest.
    let mut apart = closing(4);
    let mut amount = block(4, Effect::Debit).blocks.remove(0);
    amount.amount = Some(crate::setup::eur("4"));
    apart.blocks.push(amount);
    client.control(&account, apart).await.unwrap();
    assert_eq!(why(closed(&mut client, &request).await).0, Reason::InsufficientFunds);
    client.control(&account, closing(5)).await.unwrap();

    for (from, to) in [(&account, &house), (&house, &account), (&house, &target)] {
        assert_eq!(why(client.pay(from, to, "1").await).0, Reason::AccountBlocked);
    }
    assert_eq!(client.posted(&account).await, "10.00");
    closed(&mut client, &into(&account, &target)).await.unwrap();
    assert_eq!(client.posted(&target).await, "10.00");
    // What was decided for its id stays.
    assert_eq!(why(closed(&mut client, &request).await).0, Reason::InsufficientFunds);
    assert_books(&ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_moves_in_either_direction_and_once() {
    let ledger = Ledger::start_with(&UNWATCHED).await;
    let mut client = ledger.client();
    let (house, rich) = client.funded("10").await;
    let bound = overdrawn(&mut client, &house, "5").await;
    let empty = client.account(None).await;
    let target = client.account(None).await;
    for (account, sum) in [(&rich, "10.00"), (&bound, "5.00"), (&empty, "5.00")] {
        let request = into(account, &target);
        let preview = wire::CloseLedgerAccountRequest { validate_only: true, ..request.clone() };
        let would = closed(&mut client, &preview).await.unwrap();
        assert_eq!(read(&mut client, account).await.state(), State::Open);
        let done = closed(&mut client, &request).await.unwrap();
        let balance = done.balance.clone().unwrap();
        assert_eq!(
            (done.state(), balance.posted.unwrap().amount.as_str()),
            (State::Closed, "0.00")
        );
        let would = would.balance.unwrap();
        assert_eq!((would.entry_seq, would.version), (balance.entry_seq, balance.version));
        assert_eq!(client.posted(&target).await, sum);
        let again = client.ledger.close_ledger_account(request.clone()).await.unwrap();
        assert_eq!(again.metadata().get("strongroom-replayed").unwrap(), "true");
        assert_eq!(again.into_inner(), done);
        let other = wire::CloseLedgerAccountRequest {
            disposition_account: house.clone(),
            ..request.clone()
        };
        assert_eq!(why(closed(&mut client, &other).await).0, Reason::RequestIdReused);
        assert_eq!(closed(&mut client, &into(account, &target)).await.unwrap(), done);
        let asked = outcomes::GetOutcomeRequest {
            operation: "close-ledger-account".to_owned(),
            request_id: request.request_id,
            ..Default::default()
        };
        client.outcomes.get_outcome(asked).await.unwrap();
    }
    let [second, first] = &*transactions_of(&mut client, &target).await else { panic!() };
    for posted in [first, second] {
        assert_eq!(posted.r#type, "disposition");
        let force = posted.force.clone().unwrap();
        let overrides = vec![wire::Override::Limits.into(), wire::Override::Controls.into()];
        assert_eq!((force.overrides, force.reason.as_str()), (overrides, "CLOSING"));
    }
    let reopen = wire::ReopenLedgerAccountRequest { name: rich.clone(), ..Default::default() };
    client.ledger.reopen_ledger_account(reopen).await.unwrap();
    client.pay(&house, &rich, "3").await.unwrap();
    closed(&mut client, &into(&rich, &target)).await.unwrap();
    assert_eq!(client.posted(&target).await, "8.00");
    assert_books(&ledger);
    let (found, _) = verify(&mut client, &[], true).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
}

/// Money that comes before the close goes along, and none comes after it.
#[tokio::test(flavor = "multi_thread")]
async fn postings_race_with_a_closing_and_no_money_is_lost() {
    let ledger = Ledger::start().await;
    let replica = ledger.replica().await;
    let mut client = ledger.client();
    let mut other = ledger.client_at(&replica, ledger.tenant, &["*"]);
    let house = client.account(Some(unbounded())).await;
    let target = client.account(None).await;
    let mut sum = 0;
    for _ in 0..20 {
        let account = client.account(None).await;
        client.pay(&house, &account, "1").await.unwrap();
        sum += 1;
        let payer = |mut client: Client| {
            let (house, account) = (house.clone(), account.clone());
            tokio::spawn(async move {
                let mut paid = 0;
                while client.pay(&house, &account, "1").await.is_ok() {
                    paid += 1;
                }
                paid
            })
        };
        let payers = [payer(client.clone()), payer(other.clone())];
        let request =
            wire::CloseLedgerAccountRequest { request_id: request_id(), ..into(&account, &target) };
        let done = closed(&mut other, &request).await.unwrap();
        assert_eq!(done.state(), State::Closed);
        for payer in payers {
            sum += payer.await.unwrap();
        }
        assert_eq!(client.posted(&account).await, "0.00");
        assert_eq!(client.posted(&target).await, format!("{sum}.00"));
    }
    assert_books(&ledger);
}
