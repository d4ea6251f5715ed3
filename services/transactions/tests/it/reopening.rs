//! Closed accounts that are opened again.

use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::ledger_account::State;

use crate::books::assert_books;
use crate::closing::{close, closed, read};
use crate::requests::{field, why};
use crate::setup::{Client, Ledger, block, request_id};
use crate::verify::{UNWATCHED, verify};

fn reopen(account: &str) -> wire::ReopenLedgerAccountRequest {
    wire::ReopenLedgerAccountRequest {
        name: account.to_owned(),
        request_id: request_id(),
        validate_only: false,
    }
}

async fn reopened(
    client: &mut Client,
    request: &wire::ReopenLedgerAccountRequest,
) -> Result<wire::LedgerAccount, Status> {
    let answer = client.ledger.reopen_ledger_account(request.clone()).await;
    answer.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_account_is_opened_again_as_it_was() {
    let ledger = Ledger::start_with(&UNWATCHED).await;
    let mut client = ledger.client();
    let nobody = format!("accounts/{}", uuid::Uuid::now_v7());
    assert_eq!(why(reopened(&mut client, &reopen(&nobody)).await).0, Reason::ResourceNotFound);
    assert_eq!(field(reopened(&mut client, &reopen("accounts/1")).await).1, "name");
    let (house, account) = client.funded("10").await;
    let open = read(&mut client, &account).await;
    assert_eq!(reopened(&mut client, &reopen(&account)).await.unwrap(), open);
    client.pay(&account, &house, "10").await.unwrap();
    closed(&mut client, &close(&account)).await.unwrap();
    // Whoever reopens sets the controls first.
    client.control(&account, block(1, wire::block::Effect::Debit)).await.unwrap();

    let request = reopen(&account);
    let preview = wire::ReopenLedgerAccountRequest { validate_only: true, ..request.clone() };
    assert_eq!(reopened(&mut client, &preview).await.unwrap().state(), State::Open);
    assert_eq!(read(&mut client, &account).await.state(), State::Closed);
    let done = reopened(&mut client, &request).await.unwrap();
    assert_eq!((done.state(), done.close_time, done.controls.len()), (State::Open, None, 1));
    assert_eq!(read(&mut client, &account).await, done);
    let again = client.ledger.reopen_ledger_account(request.clone()).await.unwrap();
    assert_eq!(again.metadata().get("strongroom-replayed").unwrap(), "true");
    assert_eq!(again.into_inner(), done);
    let other = wire::ReopenLedgerAccountRequest { name: house.clone(), ..request };
    assert_eq!(why(reopened(&mut client, &other).await).0, Reason::RequestIdReused);

    client.pay(&house, &account, "3").await.unwrap();
    assert_eq!(why(client.pay(&account, &house, "3").await).0, Reason::AccountBlocked);
    assert_eq!(client.posted(&account).await, "3.00");
    assert_books(&ledger);
    let (found, _) = verify(&mut client, &[], true).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
}
