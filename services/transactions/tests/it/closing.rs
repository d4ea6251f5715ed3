//! Accounts: who holds them, what they roll up to, and how they end.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::MockClock;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::ledger_account::State;

use crate::requests::{assert_figures, capture, field, force, hold, release, reversal, why};
use crate::setup::{Client, Ledger, block, request_id, transfer, unbounded};

pub(crate) fn close(account: &str) -> wire::CloseLedgerAccountRequest {
    wire::CloseLedgerAccountRequest {
        name: account.to_owned(),
        request_id: request_id(),
        ..Default::default()
    }
}

pub(crate) async fn closed(
    client: &mut Client,
    request: &wire::CloseLedgerAccountRequest,
) -> Result<wire::LedgerAccount, Status> {
    let answer = client.ledger.close_ledger_account(request.clone()).await;
    answer.map(tonic::Response::into_inner)
}

pub(crate) async fn read(client: &mut Client, name: &str) -> wire::LedgerAccount {
    let request = wire::GetLedgerAccountRequest { name: name.to_owned() };
    client.ledger.get_ledger_account(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_money_or_a_hold_is_not_closed() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let name = client.hold(&hold(&account, &house, "10")).await.unwrap().name;
    let request = close(&account);
    let (reason, figures) = why(closed(&mut client, &request).await);
    assert_eq!(reason, Reason::AccountNotEmpty);
    let expected = [
        ("account", account.as_str()),
        ("posted", "10.00"),
        ("held", "10.00"),
        ("currency", "EUR"),
    ];
    assert_figures(&figures, &expected);
    client.capture(&capture(&name)).await.unwrap();
    // It is empty now, but the request was decided.
    assert_eq!(why(closed(&mut client, &request).await).0, Reason::AccountNotEmpty);
    let overdrawn = wire::CreateTransferRequest {
        force: force(&[wire::Override::Funds]),
        ..transfer(&account, &house, "1")
    };
    client.transfer(&overdrawn).await.unwrap();
    assert_eq!(why(closed(&mut client, &close(&account)).await).1["posted"], "-1.00");
    client.pay(&house, &account, "1").await.unwrap();
    let mut keep = hold(&account, &house, "1");
    keep.hold.as_mut().unwrap().force = force(&[wire::Override::Funds]);
    let name = client.hold(&keep).await.unwrap().name;
    let (_, figures) = why(closed(&mut client, &close(&account)).await);
    assert_figures(&figures, &[("posted", "0.00"), ("held", "1.00")]);
    client.release(&release(&name)).await.unwrap();
    closed(&mut client, &close(&account)).await.unwrap();
    let nobody = format!("accounts/{}", uuid::Uuid::now_v7());
    assert_eq!(why(closed(&mut client, &close(&nobody)).await).0, Reason::ResourceNotFound);
    assert_eq!(field(closed(&mut client, &close("accounts/1")).await).1, "name");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_to_a_closed_account_any_more() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let other = client.account(None).await;
    let paid = client.pay(&account, &other, "10").await.unwrap().name;
    let mut to_it = hold(&other, &account, "5");
    let waiting = client.hold(&to_it).await.unwrap().name;
    let preview = wire::CloseLedgerAccountRequest { validate_only: true, ..close(&account) };
    assert_eq!(closed(&mut client, &preview).await.unwrap().state(), State::Closed);
    assert_eq!(read(&mut client, &account).await.state(), State::Open);

    let request = close(&account);
    let done = closed(&mut client, &request).await.unwrap();
    assert_eq!(done.state(), State::Closed);
    assert_eq!(done.close_time, done.balance.as_ref().unwrap().record_time);
    assert_eq!(read(&mut client, &account).await, done);
    let again = client.ledger.close_ledger_account(request).await.unwrap();
    assert_eq!(again.metadata().get("strongroom-replayed").unwrap(), "true");
    assert_eq!(again.into_inner(), done);
    // With another id it is given as it is, and so it is validated.
    assert_eq!(closed(&mut client, &close(&account)).await.unwrap(), done);
    assert_eq!(closed(&mut client, &preview).await.unwrap(), done);

    to_it.request_id = request_id();
    let forced = wire::CreateTransferRequest {
        force: force(&[wire::Override::Controls, wire::Override::Funds]),
        ..transfer(&house, &account, "1")
    };
    for (reason, figures) in [
        why(client.pay(&house, &account, "1").await),
        why(client.transfer(&forced).await),
        why(client.hold(&hold(&account, &house, "1")).await),
        why(client.hold(&to_it).await),
        why(client.capture(&capture(&waiting)).await),
        why(client.reverse(&reversal(&paid)).await),
    ] {
        assert_eq!(reason, Reason::InvalidTransition);
        assert_figures(&figures, &[("account", &account), ("state", "CLOSED")]);
    }
    client.release(&release(&waiting)).await.unwrap();
    // Controls still come from their sources.
    let with = client.control(&account, block(1, wire::block::Effect::All)).await.unwrap();
    assert_eq!((with.state(), with.controls.len()), (State::Closed, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_has_expired_does_not_keep_an_account_open() {
    let start = Timestamp::from_micros(1_795_348_800_000_000);
    let clock = MockClock::at(start);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let mut short = hold(&account, &house, "5");
    let end = Timestamp::from_micros(start.micros() + 60_000_000);
    short.hold.as_mut().unwrap().force = force(&[wire::Override::Funds]);
    short.hold.as_mut().unwrap().expire_time = Some(end.encode());
    let name = client.hold(&short).await.unwrap().name;
    let all = wire::CreateTransferRequest {
        force: force(&[wire::Override::Funds]),
        ..transfer(&account, &house, "10")
    };
    client.transfer(&all).await.unwrap();
    assert_eq!(why(closed(&mut client, &close(&account)).await).0, Reason::AccountNotEmpty);
    clock.advance(Duration::from_secs(60));
    let preview = wire::CloseLedgerAccountRequest { validate_only: true, ..close(&account) };
    closed(&mut client, &preview).await.unwrap();
    closed(&mut client, &close(&account)).await.unwrap();
    assert_eq!(client.read_hold(&name).await.events.len(), 2);
}

/// Whoever is first: money that came is not closed in, and what comes later is refused.
#[tokio::test(flavor = "multi_thread")]
async fn closing_races_with_postings_and_one_of_them_wins() {
    let ledger = Ledger::start().await;
    let replica = ledger.replica().await;
    let mut client = ledger.client();
    let mut other = ledger.client_at(&replica, ledger.tenant, &["*"]);
    let house = client.account(Some(unbounded())).await;
    for _ in 0..20 {
        let account = client.account(None).await;
        let request = close(&account);
        let (paid, ended) =
            tokio::join!(client.pay(&house, &account, "1"), closed(&mut other, &request));
        let (state, posted) = match (paid, ended) {
            (Ok(_), refused) => {
                assert_eq!(why(refused).0, Reason::AccountNotEmpty);
                (State::Open, "1.00")
            }
            (refused, Ok(_)) => {
                assert_eq!(why(refused).0, Reason::InvalidTransition);
                (State::Closed, "0.00")
            }
            (Err(paid), Err(ended)) => panic!("{paid:?} {ended:?}"),
        };
        let found = read(&mut client, &account).await;
        assert_eq!((found.state(), client.posted(&account).await.as_str()), (state, posted));
    }
}

/// Makes one field bad.
type Spoil = fn(&mut wire::LedgerAccount);

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_a_customer_and_rolls_up_to_its_like() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let parent = client.account(None).await;
    let dollars = client.account_in("USD", None).await;
    let customer = format!("customers/{}", uuid::Uuid::now_v7());
    let own = wire::LedgerAccount {
        currency: "EUR".to_owned(),
        class: wire::AccountClass::Liability.into(),
        gl_code: "2010".to_owned(),
        customer: customer.clone(),
        parent: parent.clone(),
        ..Default::default()
    };
    let mut request = wire::RegisterLedgerAccountRequest {
        account: Some(own.clone()),
        account_id: uuid::Uuid::now_v7().to_string(),
        ..Default::default()
    };
    let made = client.ledger.register_ledger_account(request.clone()).await.unwrap().into_inner();
    assert_eq!((&made.customer, &made.parent, made.state()), (&customer, &parent, State::Open));
    assert_eq!(read(&mut client, &made.name).await, made);
    let again = client.ledger.register_ledger_account(request.clone()).await.unwrap().into_inner();
    assert_eq!(again, made);
    request.account.as_mut().unwrap().customer.clear();
    assert_eq!(
        why(client.ledger.register_ledger_account(request.clone()).await).0,
        Reason::IdTaken
    );

    let cases: [(Spoil, &str); 3] = [
        (|a| a.customer = "customers/1".to_owned(), "account.customer"),
        (|a| a.parent = "1".to_owned(), "account.parent"),
        (|a| a.class = wire::AccountClass::Asset.into(), "account.parent"),
    ];
    for validate_only in [true, false] {
        let register = |account| wire::RegisterLedgerAccountRequest {
            account: Some(account),
            validate_only,
            ..Default::default()
        };
        for (spoil, path) in cases {
            let mut account = own.clone();
            spoil(&mut account);
            let refused = client.ledger.register_ledger_account(register(account)).await;
            assert_eq!(field(refused), (Reason::FieldInvalid, path.to_owned()));
        }
        let across = wire::LedgerAccount { parent: dollars.clone(), ..own.clone() };
        let refused = client.ledger.register_ledger_account(register(across)).await;
        assert_eq!(field(refused).1, "account.parent");
        let nobody = format!("accounts/{}", uuid::Uuid::now_v7());
        let orphan = wire::LedgerAccount { parent: nobody.clone(), ..own.clone() };
        let (reason, figures) = why(client.ledger.register_ledger_account(register(orphan)).await);
        assert_eq!((reason, &figures["name"]), (Reason::ResourceNotFound, &nobody));
    }
    let id = uuid::Uuid::now_v7().to_string();
    let itself = wire::RegisterLedgerAccountRequest {
        account: Some(wire::LedgerAccount { parent: format!("accounts/{id}"), ..own }),
        account_id: id,
        ..Default::default()
    };
    assert_eq!(field(client.ledger.register_ledger_account(itself).await).1, "account.parent");

    let other = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(other, &["*"]);
    let get = wire::GetLedgerAccountRequest { name: parent.clone() };
    assert_eq!(why(stranger.ledger.get_ledger_account(get).await).0, Reason::ResourceNotFound);
    assert_eq!(why(closed(&mut stranger, &close(&parent)).await).0, Reason::ResourceNotFound);
}
