//! The way to the service.

use strongroom_proto::transactions::v1 as wire;

use super::call::{Answer, Call, Made, Order, Reply, item};
use crate::setup::Client;

/// Asks the service. The reference does not know its timeline, so etags are without that.
pub(super) async fn ask(client: &mut Client, call: &Call) -> Answer {
    let mut answer = call_it(client, call).await;
    let made = |made: &mut Made| match made {
        Made::Hold(hold) => version(&mut hold.etag),
        Made::Capture(hold, _) => version(&mut hold.etag),
        Made::Transaction(_) => {}
    };
    match &mut answer.reply {
        Ok(Reply::Made(one)) => made(one),
        Ok(Reply::Batch(results)) => {
            results.iter_mut().filter_map(|(result, _)| result.as_mut().ok()).for_each(made);
        }
        Ok(Reply::Account(account)) => version(&mut account.etag),
        Ok(Reply::Outcome(_)) | Err(_) => {}
    }
    answer
}

fn version(etag: &mut String) {
    let (_, version) = etag.rsplit_once('-').unwrap();
    *etag = format!("\"{version}");
}

async fn call_it(client: &mut Client, call: &Call) -> Answer {
    let account = Reply::Account;
    match call.clone() {
        Call::One(order) => one(client, *order).await,
        Call::Batch(request) => {
            let answer = client.transactions.execute_batch(request).await;
            Answer::of(answer, |batch| Reply::Batch(batch.results.into_iter().map(item).collect()))
        }
        Call::Controls(request) => {
            Answer::of(client.ledger.set_ledger_controls(request).await, account)
        }
        Call::Close(request) => {
            Answer::of(client.ledger.close_ledger_account(request).await, account)
        }
        Call::Outcome(request) => {
            Answer::of(client.outcomes.get_outcome(request).await, Reply::Outcome)
        }
    }
}

async fn one(client: &mut Client, order: Order) -> Answer {
    let transaction = |transaction| Reply::Made(Made::Transaction(transaction));
    let hold = |hold| Reply::Made(Made::Hold(hold));
    let capture = |response| Reply::Made(Made::capture(response));
    let (transactions, holds) = (&mut client.transactions, &mut client.holds);
    match order {
        Order::Transaction(request) => {
            Answer::of(transactions.create_transaction(request).await, transaction)
        }
        Order::Transfer(request) => {
            Answer::of(transactions.create_transfer(request).await, transaction)
        }
        Order::Reversal(request) => {
            Answer::of(transactions.reverse_transaction(request).await, transaction)
        }
        Order::Hold(request) => Answer::of(holds.create_hold(request).await, hold),
        Order::Capture(request) => Answer::of(holds.capture_hold(request).await, capture),
        Order::Release(request) => Answer::of(holds.release_hold(request).await, hold),
        Order::Extend(request) => Answer::of(holds.extend_hold(request).await, hold),
        Order::Increase(request) => Answer::of(holds.increase_hold(request).await, hold),
    }
}

/// An account as the service has it.
pub(super) async fn account(client: &mut Client, name: &str) -> wire::LedgerAccount {
    let request = wire::GetLedgerAccountRequest { name: name.to_owned() };
    let mut account = client.ledger.get_ledger_account(request).await.unwrap().into_inner();
    version(&mut account.etag);
    account
}

/// A hold as the service has it.
pub(super) async fn hold(client: &mut Client, name: &str) -> wire::Hold {
    let request = wire::GetHoldRequest { name: name.to_owned() };
    let mut hold = client.holds.get_hold(request).await.unwrap().into_inner();
    version(&mut hold.etag);
    hold
}

/// What a balance is made of, without holds that keep nothing back.
pub(super) async fn explanation(client: &mut Client, name: &str) -> wire::BalanceExplanation {
    let request = wire::ExplainBalanceRequest { account: name.to_owned() };
    let mut found = client.balances.explain_balance(request).await.unwrap().into_inner();
    let is_zero = |hold: &wire::HeldAmount| super::money::known(hold.remaining.as_ref()) == 0;
    found.holds.retain(|hold| !is_zero(hold));
    found
}
