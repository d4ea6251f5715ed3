//! Lists of transactions: pages, filters, tokens.

use std::collections::BTreeSet;

use shared::problem::Reason;
use shared::testing::refusal;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::Direction::{Credit, Debit};

use crate::setup::{Client, Ledger, entry, eur, request_id, transfer, unbounded};

type Keeps<'a> = Box<dyn Fn(&wire::Transaction) -> bool + 'a>;

impl Client {
    pub(crate) async fn list(
        &mut self,
        page_size: i32,
        page_token: &str,
        filter: &str,
    ) -> Result<wire::ListTransactionsResponse, Status> {
        let (page_token, filter) = (page_token.to_owned(), filter.to_owned());
        let request = wire::ListTransactionsRequest { page_size, page_token, filter };
        self.transactions.list_transactions(request).await.map(tonic::Response::into_inner)
    }

    /// Every page of a list, one after the other.
    async fn walk(&mut self, size: i32, filter: &str) -> Vec<Vec<wire::Transaction>> {
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.list(size, &token, filter).await.unwrap();
            pages.push(page.transactions);
            token = page.next_page_token;
            if token.is_empty() {
                return pages;
            }
        }
    }
}

fn names(transactions: &[wire::Transaction]) -> Vec<&str> {
    transactions.iter().map(|one| one.name.as_str()).collect()
}

fn time(transaction: &wire::Transaction) -> Timestamp {
    Timestamp::decode(transaction.record_time.unwrap()).unwrap()
}

/// Items that are posted all together, so that those of different accounts have one time.
async fn batch(client: &mut Client, requests: Vec<wire::CreateTransferRequest>) {
    use wire::batch_item::Operation;
    let item = |request| {
        let request = wire::CreateTransferRequest { request_id: String::new(), ..request };
        wire::BatchItem { operation: Some(Operation::Transfer(request)) }
    };
    let request = wire::ExecuteBatchRequest {
        items: requests.into_iter().map(item).collect(),
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..Default::default()
    };
    client.transactions.execute_batch(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_list_is_refused() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let fields =
        "must compare account, type, group_id, labels.{key}, external_ids.{KIND} or record";
    for (filter, position, sentence) in [
        ("type = PAY AND", 12, "must be a filter as in AIP-160"),
        ("type = \"PAY", 8, "must be a filter as in AIP-160"),
        ("type = PAY OR type = FEE", 1, "must be comparisons joined by AND"),
        ("type = PAY AND NOT group_id = g", 16, "must be comparisons joined by AND"),
        ("type = PAY AND colour = red", 16, fields),
        ("labels = x", 1, fields),
        ("external_ids = x", 1, fields),
        ("accounts.id = x", 1, fields),
        ("type = pay", 1, "must have a usable type"),
        ("type != PAY", 1, "must compare with ="),
        ("account = accounts/1", 1, "must compare account with accounts/{uuid}"),
        ("labels.a = x AND labels.a = x", 18, "must have only one labels.a"),
        ("labels.a > x", 1, "must compare with ="),
        ("external_ids.PSP : x", 1, "must compare with ="),
        ("record_time = \"2026-11-01T00:00:00Z\"", 1, "must compare times with >= or <"),
        ("record_time >= yesterday", 1, "must compare record_time with a time such as"),
        ("record_time < \"2026-11-01T00:00:00.0000001Z\"", 1, "must compare record_time with"),
    ] {
        let refused = client.list(0, "", filter).await.unwrap_err();
        let (reason, field, figures) = refusal(&refused);
        assert_eq!((reason, &*field), (Reason::FilterInvalid, "filter"), "{filter}");
        assert_eq!(figures["position"], position.to_string(), "{filter}: {}", refused.message());
        assert!(refused.message().contains(sentence), "{filter}: {}", refused.message());
    }
    let long = format!("group_id = {}", "x".repeat(1_024));
    let (reason, field, _) = refusal(&client.list(0, "", &long).await.unwrap_err());
    assert_eq!((reason, &*field), (Reason::FieldInvalid, "filter"));
    let (reason, field, _) = refusal(&client.list(-1, "", "").await.unwrap_err());
    assert_eq!((reason, &*field), (Reason::FieldInvalid, "page_size"));
    let mut nobody = ledger.client_of(ledger.tenant, &["transactions.transactions.get"]);
    let (reason, ..) = refusal(&nobody.list(0, "", "").await.unwrap_err());
    assert_eq!(reason, Reason::PermissionMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_serves_its_own_list_only() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("3").await;
    client.pay(&house, &account, "1").await.unwrap();
    client.pay(&house, &account, "1").await.unwrap();
    let token = client.list(1, "", "").await.unwrap().next_page_token;
    let rest = client.list(2, &token, "").await.unwrap();
    assert_eq!((rest.transactions.len(), &*rest.next_page_token), (2, ""), "the size may change");

    let foreign = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(foreign, &["*"]);
    assert!(stranger.walk(0, "").await.concat().is_empty());
    let entries = wire::ListEntriesRequest { account, page_size: 1, ..Default::default() };
    let entries = client.balances.list_entries(entries).await.unwrap().into_inner();
    let damaged = [format!("{token}A"), token[1..].to_owned(), "???".to_owned()];
    for refused in [
        client.list(1, &token, "type = TRANSFER").await,
        client.list(1, &entries.next_page_token, "").await,
        client.list(1, &damaged[0], "").await,
        client.list(1, &damaged[1], "").await,
        client.list(1, &damaged[2], "").await,
        stranger.list(1, &token, "").await,
    ] {
        let (reason, field, _) = refusal(&refused.unwrap_err());
        assert_eq!((reason, &*field), (Reason::PageTokenInvalid, "page_token"));
    }
}

/// Transactions of every kind: some with several entries of an account, some of one time, in
/// groups, with labels and with ids of the caller's own.
async fn many(client: &mut Client) -> (String, String, Vec<wire::Transaction>) {
    let (house, account) = client.funded("1000").await;
    let other = client.account(None).await;
    let mut items = Vec::new();
    for n in 0..30_u32 {
        // Each between accounts of its own, so that many have the time of their commit.
        let (from, to) = match n % 3 {
            0 => (house.clone(), account.clone()),
            1 => (account.clone(), other.clone()),
            _ => (client.account(Some(unbounded())).await, client.account(None).await),
        };
        let mut request = transfer(&from, &to, "1");
        request.r#type.push_str(if n % 7 == 0 { "FEE" } else { "PAY" });
        request.group_id.push_str(if n % 2 == 0 { "g:1" } else { "" });
        request.labels.insert("channel".to_owned(), if n % 5 == 0 { "app" } else { "" }.to_owned());
        request.labels.insert("run.id".to_owned(), (n % 4).to_string());
        request.external_ids.insert("PSP".to_owned(), format!("psp {n}"));
        request.external_ids.insert("ARN".to_owned(), format!("arn {n}"));
        items.push(request);
    }
    batch(client, items).await;
    for n in 0..5 {
        let mut entries = vec![entry(&house, Debit, eur("3"))];
        entries.extend((0..3).map(|_| entry(&account, Credit, eur("1"))));
        entries.extend([entry(&account, Debit, eur("1")), entry(&other, Credit, eur("1"))]);
        let transaction = wire::Transaction {
            r#type: "SPLIT".to_owned(),
            entries,
            labels: [("run.id".to_owned(), n.to_string())].into(),
            ..Default::default()
        };
        let request = wire::CreateTransactionRequest {
            transaction: Some(transaction),
            request_id: request_id(),
            ..Default::default()
        };
        client.transactions.create_transaction(request).await.unwrap();
    }
    let all = client.walk(0, "").await.concat();
    assert_eq!(all.len(), 36);
    (house, account, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_through_what_they_say() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account, all) = many(&mut client).await;
    assert!(all.is_sorted_by(|a, b| (time(a), &a.name) > (time(b), &b.name)));
    assert!(all.windows(2).any(|two| time(&two[0]) == time(&two[1])), "some share their time");
    let get = wire::GetTransactionRequest { name: all[9].name.clone() };
    assert_eq!(client.transactions.get_transaction(get).await.unwrap().into_inner(), all[9]);

    let (early, late) = (time(&all[27]), time(&all[4]));
    let has = |account: &str, one: &wire::Transaction| {
        one.entries.iter().any(|entry| entry.account == account)
    };
    let label = |one: &wire::Transaction, key: &str, value: &str| {
        one.labels.get(key).is_some_and(|found| found == value)
    };
    let psp = |one: &wire::Transaction, value: &str| {
        one.external_ids.get("PSP").is_some_and(|found| found == value)
    };
    let terms: [(String, Keeps<'_>); 12] = [
        (format!("account = \"{account}\""), Box::new(|one| has(&account, one))),
        (format!("account = {house}"), Box::new(|one| has(&house, one))),
        ("type = PAY".to_owned(), Box::new(|one| one.r#type == "PAY")),
        ("group_id = \"g:1\"".to_owned(), Box::new(|one| one.group_id == "g:1")),
        ("group_id = \"\"".to_owned(), Box::new(|one| one.group_id.is_empty())),
        ("labels.channel = app".to_owned(), Box::new(|one| label(one, "channel", "app"))),
        ("labels.channel = \"\"".to_owned(), Box::new(|one| label(one, "channel", ""))),
        ("labels.\"run.id\" = 2".to_owned(), Box::new(|one| label(one, "run.id", "2"))),
        ("external_ids.PSP = \"psp 6\"".to_owned(), Box::new(|one| psp(one, "psp 6"))),
        ("external_ids.ARN = \"arn 6\"".to_owned(), Box::new(|one| psp(one, "psp 6"))),
        (format!("record_time >= \"{early}\""), Box::new(|one| time(one) >= early)),
        (format!("record_time < \"{late}\""), Box::new(|one| time(one) < late)),
    ];
    let mut found = BTreeSet::new();
    // Every one, two and three of them together.
    for mask in 1_u32..1 << terms.len() {
        let chosen = || (0..terms.len()).filter(|n| mask & 1 << n != 0).map(|n| &terms[n]);
        let fields: BTreeSet<_> = chosen().map(|term| term.0.rsplit_once(' ').unwrap().0).collect();
        if mask.count_ones() > 3 || fields.len() < mask.count_ones() as usize {
            continue;
        }
        let filter = chosen().map(|term| term.0.as_str()).collect::<Vec<_>>().join(" AND ");
        let expected: Vec<_> = all.iter().filter(|one| chosen().all(|term| term.1(one))).collect();
        let pages = client.walk(7, &filter).await;
        assert_eq!(pages.concat().iter().collect::<Vec<_>>(), expected, "{filter}");
        found.insert(expected.len());
    }
    assert!(found.len() > 10, "the filters are of different width");
    let none =
        client.walk(0, "external_ids.PSP = \"psp 6\" AND external_ids.ARN = \"arn 7\"").await;
    assert!(none.concat().is_empty());
    for filter in
        ["account = accounts/00000000-0000-0000-0000-000000000000", "labels.\"'\" = \"'\""]
    {
        assert!(client.walk(0, filter).await.concat().is_empty(), "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_exact_to_the_microsecond() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (_, account, all) = many(&mut client).await;
    for driver in [
        String::new(),
        format!("account = {account} AND "),
        "group_id = \"g:1\" AND ".to_owned(),
        "labels.\"run.id\" = 1 AND ".to_owned(),
    ] {
        let filter = driver.strip_suffix(" AND ").unwrap_or_default();
        let kept = client.walk(0, filter).await.concat();
        for one in &all {
            let (own, next) = (time(one), time(one).next());
            let at = |from: Timestamp, before: Timestamp| {
                format!("{driver}record_time >= \"{from}\" AND record_time < \"{before}\"")
            };
            let expected: Vec<_> = kept.iter().filter(|other| time(other) == own).collect();
            let found = client.walk(2, &at(own, next)).await.concat();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{driver}{own}");
            assert!(client.walk(2, &at(next, next)).await.concat().is_empty());
            assert!(client.walk(2, &at(next, own)).await.concat().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_has_everything_once_while_others_post() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account, all) = many(&mut client).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let poster = tokio::spawn({
        let (mut client, stop, account) = (client.clone(), stop.clone(), account.clone());
        async move {
            while !stop.is_cancelled() {
                let mut request = transfer(&house, &account, "1");
                request.group_id = "g:1".to_owned();
                request.labels.insert("run.id".to_owned(), "2".to_owned());
                client.transactions.create_transfer(request).await.unwrap();
            }
        }
    });
    let last = time(&all[0]);
    for filter in [
        String::new(),
        format!("account = {account}"),
        "group_id = \"g:1\"".to_owned(),
        "labels.\"run.id\" = 2".to_owned(),
        format!("type = PAY AND account = {account}"),
    ] {
        let before = format!("record_time < \"{}\"", last.next());
        let old = if filter.is_empty() { before } else { format!("{filter} AND {before}") };
        let expected = client.walk(0, &old).await.concat();
        assert!(!expected.is_empty());
        let found = client.walk(1, &filter).await.concat();
        assert!(found.is_sorted_by(|a, b| (time(a), &a.name) > (time(b), &b.name)), "{filter}");
        let found: Vec<_> = found.into_iter().filter(|one| time(one) <= last).collect();
        assert_eq!(names(&found), names(&expected), "{filter}");
    }
    stop.cancel();
    poster.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rare_is_found_behind_short_pages() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("1").await;
    for n in 0..5 {
        let mut items: Vec<_> = (0..900).map(|_| transfer(&house, &account, "1")).collect();
        items[17].r#type.push_str("RARE");
        for item in &mut items {
            item.labels.insert("run".to_owned(), n.to_string());
        }
        batch(&mut client, items).await;
    }
    let of_account = format!("account = {account} AND type = RARE");
    for filter in ["type = RARE", &of_account] {
        let pages = client.walk(3, filter).await;
        assert_eq!(pages.concat().len(), 5, "{filter}");
        assert!(pages.len() >= 3, "{filter}: a page examines no more than 2,000 transactions");
        assert!(pages.iter().any(|page| page.len() < 3));
    }
    // The account has more than one page examines, so this walks along the label.
    let both = format!("labels.run = 2 AND account = {account}");
    assert_eq!(client.walk(1_000, &both).await.concat().len(), 900);
    assert_eq!(client.walk(500, &format!("{both} AND type = RARE")).await.concat().len(), 1);
    let pages = client.walk(1_000, &format!("account = {account}")).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1_000, 1_000, 1_000, 1_000, 501]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_never_larger_than_a_message_may_be() {
    let ledger = Ledger::start_with(&["--max-message-bytes", "65536"]).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("1").await;
    for n in 0..24 {
        let mut request = transfer(&house, &account, "1");
        // In bytes it is four times as long.
        request.description = "🦀".repeat(if n % 3 == 0 { 1_024 } else { 1 });
        request.labels.extend((0..32).map(|n| (format!("label-{n}"), "x".repeat(256))));
        client.transactions.create_transfer(request).await.unwrap();
    }
    for filter in [String::new(), format!("account = {account}")] {
        let pages = client.walk(1_000, &filter).await;
        assert!(pages.len() > 3);
        assert_eq!(pages.concat().len(), 25);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_are_for_those_who_may_read_them() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (_, account) = client.funded("100").await;
    let listed = client.list(0, "", "").await.unwrap().transactions;
    assert!(listed[0].entries.iter().all(|entry| entry.balance.is_some()));
    let mut clerk = ledger.client_of(ledger.tenant, &["transactions.transactions.list"]);
    let listed = clerk.list(0, "", &format!("account = {account}")).await.unwrap().transactions;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].entries.iter().all(|entry| entry.balance.is_none()));
}
