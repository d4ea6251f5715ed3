//! The entries of an account, and many balances at once.

use std::collections::BTreeSet;

use shared::problem::Reason;
use shared::testing::refusal;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::Direction::{Credit, Debit};

use crate::setup::{Client, Ledger, entry, eur, request_id, transfer};

const UNKNOWN: &str = "accounts/00000000-0000-0000-0000-000000000000";

impl Client {
    async fn entries(
        &mut self,
        account: &str,
        page_size: i32,
        page_token: &str,
        filter: &str,
    ) -> Result<wire::ListEntriesResponse, Status> {
        let (account, page_token) = (account.to_owned(), page_token.to_owned());
        let filter = filter.to_owned();
        let request = wire::ListEntriesRequest { account, page_size, page_token, filter };
        self.balances.list_entries(request).await.map(tonic::Response::into_inner)
    }

    /// Every page of the entries, one after the other.
    async fn all_entries(
        &mut self,
        account: &str,
        size: i32,
        filter: &str,
    ) -> Vec<Vec<wire::AccountEntry>> {
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.entries(account, size, &token, filter).await.unwrap();
            pages.push(page.entries);
            token = page.next_page_token;
            if token.is_empty() {
                return pages;
            }
        }
    }

    async fn batch_balances(&mut self, accounts: &[&str]) -> Result<Vec<wire::Balance>, Status> {
        let accounts = accounts.iter().map(|&name| name.to_owned()).collect();
        let request = wire::BatchGetBalancesRequest { accounts };
        Ok(self.balances.batch_get_balances(request).await?.into_inner().balances)
    }

    /// A payment with a fee: three entries, of which two are the payer's.
    async fn payment(&mut self, payer: &str, shop: &str, n: u32) -> wire::Transaction {
        let mut entries = vec![
            entry(payer, Debit, eur("2")),
            entry(shop, Credit, eur("3")),
            entry(payer, Debit, eur("1")),
        ];
        entries[0].memo = format!("the goods of {n}");
        let transaction = wire::Transaction {
            r#type: if n.is_multiple_of(3) { "PAYMENT" } else { "SALE" }.to_owned(),
            entries,
            description: format!("Payment {n}"),
            ..Default::default()
        };
        let request = wire::CreateTransactionRequest {
            transaction: Some(transaction),
            request_id: request_id(),
            ..Default::default()
        };
        self.transactions.create_transaction(request).await.unwrap().into_inner()
    }
}

fn time(entry: &wire::AccountEntry) -> Timestamp {
    Timestamp::decode(entry.record_time.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_list_is_refused() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("2").await;
    client.pay(&account, &house, "1").await.unwrap();
    let fields = "must compare type, direction or record_time";
    for (filter, position, sentence) in [
        ("direction = DEBIT AND account = x", 23, fields),
        ("direction = LEFT", 1, "must have a usable direction"),
        ("direction = UNSPECIFIED", 1, "must have a usable direction"),
        ("type = \"\"", 1, "must have a usable type"),
        ("record_time > \"2026-11-01T00:00:00Z\"", 1, "must compare times with >= or <"),
        ("(type = PAY", 12, "must be a filter as in AIP-160"),
    ] {
        let refused = client.entries(&account, 0, "", filter).await.unwrap_err();
        let (reason, field, figures) = refusal(&refused);
        assert_eq!((reason, &*field), (Reason::FilterInvalid, "filter"), "{filter}");
        assert_eq!(figures["position"], position.to_string(), "{filter}: {}", refused.message());
        assert!(refused.message().contains(sentence), "{filter}: {}", refused.message());
    }
    let token = client.entries(&account, 1, "", "").await.unwrap().next_page_token;
    let foreign = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(foreign, &["*"]);
    for (answer, reason, field) in [
        (client.entries("accounts/1", 0, "", "").await, Reason::FieldInvalid, "account"),
        (client.entries(&account, -1, "", "").await, Reason::FieldInvalid, "page_size"),
        (client.entries(UNKNOWN, 0, "", "").await, Reason::ResourceNotFound, ""),
        (stranger.entries(&account, 0, "", "").await, Reason::ResourceNotFound, ""),
        (client.entries(&house, 1, &token, "").await, Reason::PageTokenInvalid, "page_token"),
        (
            client.entries(&account, 1, &token, "type = X").await,
            Reason::PageTokenInvalid,
            "page_token",
        ),
        (
            client.entries(&account, 1, &token[1..], "").await,
            Reason::PageTokenInvalid,
            "page_token",
        ),
        (stranger.entries(&account, 1, &token, "").await, Reason::PageTokenInvalid, "page_token"),
    ] {
        let (found, path, _) = refusal(&answer.unwrap_err());
        assert_eq!((found, path.as_str()), (reason, field));
    }
    assert_eq!(client.entries(&account, 9, &token, "").await.unwrap().entries.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_what_the_transactions_have() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (_, payer) = client.funded("1000").await;
    let shop = client.account(None).await;
    let mut expected = Vec::new();
    for n in 0..12 {
        let posted = client.payment(&payer, &shop, n).await;
        for (index, entry) in (0..).zip(&posted.entries).filter(|(_, e)| e.account == payer) {
            let balance = entry.balance.clone().unwrap();
            expected.push(wire::AccountEntry {
                transaction: posted.name.clone(),
                r#type: posted.r#type.clone(),
                description: posted.description.clone(),
                entry_index: index,
                direction: entry.direction,
                amount: entry.amount.clone(),
                memo: entry.memo.clone(),
                posted: balance.posted,
                available: balance.available,
                entry_seq: balance.entry_seq,
                version: balance.version,
                effective_time: posted.effective_time,
                record_time: posted.record_time,
                booking_date: posted.booking_date.clone(),
            });
        }
    }
    let mut found = client.all_entries(&payer, 0, "").await.concat();
    let first = found.pop().unwrap();
    assert_eq!((first.entry_seq, first.direction()), (1, Credit));
    assert_eq!(first.posted, Some(eur("1000.00")));
    found.reverse();
    assert_eq!(found, expected);
    assert_eq!(found[0].memo, "the goods of 0");

    found.insert(0, first);
    found.reverse();
    for size in [1, 2, 7, 25, 1_000] {
        assert_eq!(client.all_entries(&payer, size, "").await.concat(), found, "pages of {size}");
    }
    for (filter, count) in [
        ("type = PAYMENT", 8),
        ("direction = CREDIT", 1),
        ("direction = DIRECTION_DEBIT AND type = SALE", 16),
        ("direction = CREDIT AND type = SALE", 0),
    ] {
        assert_eq!(client.all_entries(&payer, 3, filter).await.concat().len(), count, "{filter}");
    }
    for one in &found {
        let (own, next) = (time(one), time(one).next());
        for (from, before) in [(own, next), (next, next), (own, own)] {
            let filter = format!("record_time >= \"{from}\" AND record_time < \"{before}\"");
            let inside = |other: &&wire::AccountEntry| time(other) >= from && time(other) < before;
            let expected: Vec<_> = found.iter().filter(inside).cloned().collect();
            assert_eq!(client.all_entries(&payer, 1, &filter).await.concat(), expected);
        }
        let filter = format!("record_time < \"{own}\" AND direction = DEBIT");
        let earlier = |other: &&wire::AccountEntry| time(other) < own && other.direction() == Debit;
        let expected: Vec<_> = found.iter().filter(earlier).cloned().collect();
        assert_eq!(client.all_entries(&payer, 4, &filter).await.concat(), expected);
    }
    let new = client.account(None).await;
    let filter = "record_time < \"2099-01-01T00:00:00Z\"";
    assert!(client.all_entries(&new, 4, filter).await.concat().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_has_every_entry_once_while_others_post() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("1000").await;
    for n in 0..10 {
        client.payment(&account, &house, n).await;
    }
    let token = client.entries(&account, 1, "", "").await.unwrap().next_page_token;
    let rest = client.entries(&account, 1_000, &token, "").await.unwrap();
    let (mut found, mut token) = (Vec::new(), token);
    while !token.is_empty() {
        client.payment(&account, &house, 1).await;
        let page = client.entries(&account, 1, &token, "").await.unwrap();
        found.extend(page.entries);
        token = page.next_page_token;
    }
    assert_eq!(found, rest.entries);
    assert_eq!(found.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_after_entries_are_for_those_who_may_read_them() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (_, account) = client.funded("100").await;
    let mut clerk = ledger.client_of(ledger.tenant, &["transactions.entries.list"]);
    let seen = clerk.entries(&account, 0, "", "").await.unwrap().entries;
    assert_eq!((&seen[0].posted, &seen[0].available), (&None, &None));
    assert_eq!(seen[0].amount, Some(eur("100.00")));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_balances_are_of_one_moment() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (first, second) = client.funded("1000").await;
    let both = [first.as_str(), second.as_str(), first.as_str()];
    let found = client.batch_balances(&both).await.unwrap();
    assert_eq!(
        found,
        [client.balance(&first).await, client.balance(&second).await, found[0].clone()]
    );

    let stop = tokio_util::sync::CancellationToken::new();
    let poster = tokio::spawn({
        let (mut client, stop) = (client.clone(), stop.clone());
        let request = transfer(&first, &second, "1");
        async move {
            while !stop.is_cancelled() {
                let request =
                    wire::CreateTransferRequest { request_id: request_id(), ..request.clone() };
                client.transactions.create_transfer(request).await.unwrap();
            }
        }
    });
    let mut seen = BTreeSet::new();
    while seen.len() < 20 {
        assert!(!poster.is_finished());
        let found = client.batch_balances(&both).await.unwrap();
        assert_eq!(found[0], found[2]);
        // What left the one has reached the other.
        assert_eq!(found[0].posted_debits, found[1].posted_credits);
        seen.insert(found[0].version);
    }
    stop.cancel();
    poster.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_that_cannot_be_given_are_refused_by_their_place() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let account = client.account(None).await;
    let foreign = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(foreign, &["*"]);
    let own = stranger.account(None).await;
    let known = account.as_str();
    assert_eq!(client.batch_balances(&vec![known; 1_000]).await.unwrap().len(), 1_000);
    for (answer, reason, field) in [
        (client.batch_balances(&[]).await, Reason::FieldInvalid, "accounts"),
        (client.batch_balances(&vec![known; 1_001]).await, Reason::FieldInvalid, "accounts"),
        (client.batch_balances(&[known, "accounts/x"]).await, Reason::FieldInvalid, "accounts[1]"),
        (
            client.batch_balances(&[known, known, UNKNOWN]).await,
            Reason::ResourceNotFound,
            "accounts[2]",
        ),
        (stranger.batch_balances(&[&own, known]).await, Reason::ResourceNotFound, "accounts[1]"),
    ] {
        let (found, path, _) = refusal(&answer.unwrap_err());
        assert_eq!((found, path.as_str()), (reason, field));
    }

    let small = Ledger::start_with(&["--max-message-bytes", "65536"]).await;
    let mut client = small.client();
    let account = client.account(None).await;
    let refused = client.batch_balances(&vec![account.as_str(); 900]).await.unwrap_err();
    let (reason, _, figures) = refusal(&refused);
    assert_eq!((reason, figures["limit"].as_str()), (Reason::MessageTooLarge, "65536"));
}
