//! What transactions are to earlier entries: refunds, fees, and reversals in full and in part.

use shared::problem::Reason;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;
use wire::Direction::{Credit, Debit};
use wire::link::Type;

use crate::requests::{assert_figures, field, force, reversal, why};
use crate::setup::{Client, Ledger, entry, eur, request_id, transfer, unbounded};

fn link(kind: Type, transaction: &str, entry_index: i32, amount: &str) -> wire::Link {
    wire::Link {
        r#type: kind.into(),
        transaction: transaction.to_owned(),
        entry_index,
        amount: Some(eur(amount)),
    }
}

/// A transfer that is about an entry, of as much as it takes.
fn linked(from: &str, to: &str, link: wire::Link) -> wire::CreateTransferRequest {
    let amount = link.amount.clone();
    wire::CreateTransferRequest { amount, links: vec![link], ..transfer(from, to, "1") }
}

fn part(entry_index: i32, amount: &str) -> wire::ReversalPart {
    wire::ReversalPart { entry_index, amount: Some(eur(amount)) }
}

fn parts(transaction: &str, parts: Vec<wire::ReversalPart>) -> wire::ReverseTransactionRequest {
    wire::ReverseTransactionRequest { parts, ..reversal(transaction) }
}

async fn read(client: &mut Client, name: &str) -> wire::Transaction {
    let request = wire::GetTransactionRequest { name: name.to_owned() };
    client.transactions.get_transaction(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_linked_to_an_entry_never_exceeds_it_whatever_accounts_are_used() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, payer) = client.funded("100").await;
    let shop = client.account(None).await;
    let paid = client.pay(&payer, &shop, "100").await.unwrap().name;
    let refund = linked(&shop, &payer, link(Type::RefundOf, &paid, 1, "60"));
    let posted = client.transfer(&refund).await.unwrap();
    assert_eq!(posted.links, [link(Type::RefundOf, &paid, 1, "60.00")]);
    assert_eq!(read(&mut client, &posted.name).await, posted);
    // The house pays back too, and the bank takes back: all of one sum.
    let charge = linked(&house, &payer, link(Type::ChargebackOf, &paid, 1, "30"));
    client.transfer(&charge).await.unwrap();
    let correction = linked(&house, &payer, link(Type::Corrects, &paid, 1, "10.01"));
    for _ in 0..2 {
        // A decision, so a repeat gets it too.
        let (reason, figures) = why(client.transfer(&correction).await);
        assert_eq!(reason, Reason::LinkExceedsOriginal);
        let expected = [
            ("transaction", paid.as_str()),
            ("entry", "1"),
            ("remaining", "10.00"),
            ("requested", "10.01"),
            ("currency", "EUR"),
        ];
        assert_figures(&figures, &expected);
    }
    // Fees are summed apart, and the other entry is another entry.
    let fee = linked(&shop, &house, link(Type::FeeOf, &paid, 1, "1"));
    client.transfer(&fee).await.unwrap();
    let other = linked(&house, &payer, link(Type::RefundOf, &paid, 0, "100"));
    client.transfer(&other).await.unwrap();
    // Two links of one transaction are a sum too.
    let mut twice = linked(&house, &payer, link(Type::RefundOf, &paid, 1, "5"));
    twice.links.push(link(Type::Corrects, &paid, 1, "5.01"));
    let (_, figures) = why(client.transfer(&twice).await);
    assert_figures(&figures, &[("remaining", "5.00"), ("requested", "5.01")]);
    twice.links[1] = link(Type::Corrects, &paid, 1, "5");
    twice.request_id = request_id();
    client.transfer(&twice).await.unwrap();
    let all = linked(&house, &payer, link(Type::FeeOf, &paid, 1, "99.01"));
    assert_eq!(why(client.transfer(&all).await).1["remaining"], "99.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_takes_nothing_of_an_entry() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, payer) = client.funded("100").await;
    let poor = client.account(None).await;
    let paid = client.pay(&payer, &house, "100").await.unwrap().name;
    let refused = linked(&poor, &payer, link(Type::RefundOf, &paid, 1, "100"));
    assert_eq!(why(client.transfer(&refused).await).0, Reason::InsufficientFunds);
    let mut preview = linked(&house, &payer, link(Type::RefundOf, &paid, 1, "100"));
    preview.validate_only = true;
    client.transfer(&preview).await.unwrap();
    client.transfer(&linked(&house, &payer, link(Type::RefundOf, &paid, 1, "100"))).await.unwrap();
    preview.request_id = request_id();
    assert_eq!(why(client.transfer(&preview).await).0, Reason::LinkExceedsOriginal);
}

/// Makes one field bad.
type Spoil = fn(&mut wire::Link);

#[tokio::test(flavor = "multi_thread")]
async fn bad_links() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, payer) = client.funded("100").await;
    let paid = client.pay(&payer, &house, "50").await.unwrap().name;
    let cases: [(Spoil, Reason, &str); 8] = [
        (|l| l.r#type = Type::Unspecified.into(), Reason::FieldInvalid, "links[0].type"),
        (|l| l.r#type = Type::ReversalOf.into(), Reason::FieldInvalid, "links[0].type"),
        (|l| l.transaction.push('0'), Reason::FieldInvalid, "links[0].transaction"),
        (|l| l.entry_index = -1, Reason::FieldInvalid, "links[0].entry_index"),
        (|l| l.entry_index = 2, Reason::FieldInvalid, "links[0].entry_index"),
        (|l| l.amount = None, Reason::FieldInvalid, "links[0].amount"),
        (|l| l.amount = Some(eur("0")), Reason::FieldInvalid, "links[0].amount.amount"),
        (
            |l| l.amount.as_mut().unwrap().currency = "USD".to_owned(),
            Reason::CurrencyMismatch,
            "links[0].amount.currency",
        ),
    ];
    for (spoil, reason, path) in cases {
        let mut request = linked(&house, &payer, link(Type::RefundOf, &paid, 0, "1"));
        spoil(&mut request.links[0]);
        assert_eq!(field(client.transfer(&request).await), (reason, path.to_owned()));
    }
    let mut many = linked(&house, &payer, link(Type::RefundOf, &paid, 0, "0.01"));
    many.links = vec![many.links[0].clone(); 1_001];
    let (reason, path) = field(client.transfer(&many).await);
    assert_eq!((reason, path.as_str()), (Reason::FieldInvalid, "links"));
    let nowhere = format!("transactions/{}", uuid::Uuid::now_v7());
    let request = linked(&house, &payer, link(Type::RefundOf, &nowhere, 0, "1"));
    let (reason, figures) = why(client.transfer(&request).await);
    assert_eq!((reason, figures["name"].as_str()), (Reason::ResourceNotFound, nowhere.as_str()));
    let other = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(other, &["*"]);
    let (own_house, own) = stranger.funded("10").await;
    let foreign = linked(&own, &own_house, link(Type::RefundOf, &paid, 0, "1"));
    assert_eq!(why(stranger.transfer(&foreign).await).0, Reason::ResourceNotFound);
    assert_eq!(why(stranger.reverse(&reversal(&paid)).await).0, Reason::ResourceNotFound);
    assert_eq!(client.posted(&payer).await, "50.00");
}

/// Two replicas refund one entry, from as many accounts as there are callers.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_refund_an_entry_and_no_more_than_it() {
    let ledger = Ledger::start().await;
    let replica = ledger.replica().await;
    let mut client = ledger.client();
    let (house, payer) = client.funded("100").await;
    let paid = client.pay(&payer, &house, "100").await.unwrap().name;
    let clients = [ledger.client(), ledger.client_at(&replica, ledger.tenant, &["*"])];
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..50_usize {
        let mut client = clients[n % 2].clone();
        let (from, to) = (client.account(Some(unbounded())).await, client.account(None).await);
        let request = linked(&from, &to, link(Type::RefundOf, &paid, 1, "3"));
        callers.spawn(async move { client.transfer(&request).await });
    }
    let mut passed = 0;
    for answer in callers.join_all().await {
        match answer {
            Ok(_) => passed += 1,
            refused => assert_eq!(why(refused).0, Reason::LinkExceedsOriginal),
        }
    }
    assert_eq!(passed, 33);
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..10_usize {
        let mut client = clients[n % 2].clone();
        let request = parts(&paid, vec![part(0, "1"), part(1, "1")]);
        callers.spawn(async move { client.reverse(&request).await });
    }
    let reversed = callers.join_all().await.into_iter().flatten().count();
    assert_eq!(reversed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_is_the_opposite_and_happens_once() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, payer) = client.funded("100").await;
    let shop = client.account(None).await;
    let (desk, dollars) =
        (client.account_in("USD", Some(unbounded())).await, client.account_in("USD", None).await);
    let usd = Money { currency: "USD".to_owned(), amount: "11".to_owned() };
    let request = wire::CreateTransactionRequest {
        transaction: Some(wire::Transaction {
            r#type: "EXCHANGE".to_owned(),
            entries: vec![
                entry(&payer, Debit, eur("10")),
                entry(&shop, Credit, eur("9")),
                entry(&house, Credit, eur("1")),
                entry(&desk, Debit, usd.clone()),
                entry(&dollars, Credit, usd),
            ],
            ..Default::default()
        }),
        request_id: request_id(),
        ..Default::default()
    };
    let paid = client.transactions.create_transaction(request).await.unwrap().into_inner();
    let undone = client.reverse(&reversal(&paid.name)).await.unwrap();
    assert_eq!((undone.r#type.as_str(), &undone.reverses), ("REVERSAL", &paid.name));
    for (index, (old, new)) in paid.entries.iter().zip(&undone.entries).enumerate() {
        assert_eq!((&old.account, &old.amount), (&new.account, &new.amount));
        assert_ne!(old.direction, new.direction);
        let link = &undone.links[index];
        assert_eq!(link.entry_index, i32::try_from(index).unwrap());
        assert_eq!((link.r#type(), &link.amount), (Type::ReversalOf, &old.amount));
    }
    assert_eq!(read(&mut client, &undone.name).await, undone);
    assert_eq!(client.posted(&payer).await, "100.00");
    assert_eq!(client.posted(&dollars).await, "0.00");
    // That it was reversed is why, and not that the shop has nothing any more.
    let (reason, figures) = why(client.reverse(&reversal(&paid.name)).await);
    assert_eq!(reason, Reason::ReversalExceedsOriginal);
    let expected =
        [("transaction", paid.name.as_str()), ("remaining", "0.00"), ("requested", "10.00")];
    assert_figures(&figures, &expected);
    assert_eq!(
        why(client.reverse(&parts(&paid.name, vec![part(0, "1"), part(1, "1")])).await).0,
        Reason::ReversalExceedsOriginal
    );
    let (reason, figures) = why(client.reverse(&reversal(&undone.name)).await);
    assert_eq!((reason, figures["state"].as_str()), (Reason::InvalidTransition, "REVERSAL"));
    let refund = linked(&house, &payer, link(Type::RefundOf, &paid.name, 0, "0.01"));
    assert_eq!(why(client.transfer(&refund).await).0, Reason::LinkExceedsOriginal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_in_part_leaves_the_rest_to_others() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, payer) = client.funded("100").await;
    let paid = client.pay(&payer, &house, "100").await.unwrap().name;
    let half = parts(&paid, vec![part(0, "40"), part(1, "40")]);
    let undone = client.reverse(&half).await.unwrap();
    assert_eq!(undone.entries[0].amount, Some(eur("40.00")));
    assert_eq!(why(client.reverse(&reversal(&paid)).await).0, Reason::ReversalExceedsOriginal);
    client.transfer(&linked(&house, &payer, link(Type::RefundOf, &paid, 0, "20"))).await.unwrap();
    let (reason, figures) =
        why(client.reverse(&parts(&paid, vec![part(1, "60"), part(0, "60")])).await);
    assert_eq!(reason, Reason::ReversalExceedsOriginal);
    assert_figures(&figures, &[("entry", "0"), ("remaining", "40.00"), ("requested", "60.00")]);
    client.reverse(&parts(&paid, vec![part(1, "40"), part(0, "40")])).await.unwrap();
    assert_eq!(client.posted(&payer).await, "100.00");

    let usd = |amount: &str| Money { currency: "USD".to_owned(), amount: amount.to_owned() };
    let foreign = wire::ReversalPart { entry_index: 0, amount: Some(usd("1")) };
    let cases = [
        (vec![part(0, "2"), part(1, "1")], Reason::Unbalanced, "parts"),
        (vec![part(0, "1")], Reason::Unbalanced, "parts"),
        (vec![part(0, "1"), part(2, "1")], Reason::FieldInvalid, "parts[1].entry_index"),
        (vec![part(-1, "1")], Reason::FieldInvalid, "parts[0].entry_index"),
        (vec![part(0, "1"), part(0, "1")], Reason::FieldInvalid, "parts[1].entry_index"),
        (vec![part(0, "-1"), part(1, "1")], Reason::FieldInvalid, "parts[0].amount.amount"),
        (
            vec![foreign.clone(), wire::ReversalPart { entry_index: 1, ..foreign }],
            Reason::CurrencyMismatch,
            "parts[0].amount.currency",
        ),
        (vec![part(0, "1"); 1_001], Reason::FieldInvalid, "parts"),
    ];
    for (parts_, reason, path) in cases {
        assert_eq!(field(client.reverse(&parts(&paid, parts_)).await), (reason, path.to_owned()));
    }
    let nowhere = format!("transactions/{}", uuid::Uuid::now_v7());
    assert_eq!(why(client.reverse(&reversal(&nowhere)).await).0, Reason::ResourceNotFound);
    assert_eq!(field(client.reverse(&reversal("holds/1")).await).1, "name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_is_a_posting_like_any_other() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, shop) = client.funded("50").await;
    let paid = client.pay(&house, &shop, "10").await.unwrap().name;
    client.pay(&shop, &house, "55").await.unwrap();
    let (reason, figures) = why(client.reverse(&reversal(&paid)).await);
    assert_eq!(reason, Reason::InsufficientFunds);
    assert_figures(&figures, &[("account", &shop), ("shortfall", "5.00"), ("entry", "1")]);
    let forced = wire::ReverseTransactionRequest {
        force: force(&[wire::Override::Funds]),
        r#type: "CLAWBACK".to_owned(),
        ..reversal(&paid)
    };
    let undone = client.reverse(&forced).await.unwrap();
    assert_eq!((undone.r#type.as_str(), undone.force), ("CLAWBACK", forced.force));
    assert_eq!(client.posted(&shop).await, "-5.00");
}
