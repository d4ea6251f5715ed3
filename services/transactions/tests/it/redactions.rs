//! Redaction: texts go for good, and what was posted stays.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use wire::Direction::{Credit, Debit};

use crate::requests::{capture, field, force, hold, why};
use crate::setup::{Client, Ledger, entry, eur, request_id};

fn redaction(name: &str) -> wire::RedactTransactionRequest {
    wire::RedactTransactionRequest {
        name: name.to_owned(),
        reason_code: "ERASURE_REQUEST".to_owned(),
        ..Default::default()
    }
}

fn hold_redaction(name: &str) -> wire::RedactHoldRequest {
    wire::RedactHoldRequest {
        name: name.to_owned(),
        reason_code: "ERASURE_REQUEST".to_owned(),
        ..Default::default()
    }
}

fn map(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

/// A forced posting with every text that there is.
fn written(from: &str, to: &str) -> wire::CreateTransactionRequest {
    let memo = |text: &str, one| wire::Entry { memo: text.to_owned(), ..one };
    let transaction = wire::Transaction {
        r#type: "GIFT".to_owned(),
        entries: vec![
            memo("from Ada", entry(from, Debit, eur("1"))),
            memo("to Grace", entry(to, Credit, eur("1"))),
        ],
        description: "for Grace".to_owned(),
        labels: map("who", "Grace"),
        external_ids: map("PSP", "ada-1"),
        group_id: "gifts".to_owned(),
        force: force(&[wire::Override::Funds]),
        ..Default::default()
    };
    wire::CreateTransactionRequest {
        transaction: Some(transaction),
        request_id: request_id(),
        ..Default::default()
    }
}

/// The transaction as it is once its texts are gone.
fn emptied(posted: &wire::Transaction) -> wire::Transaction {
    let mut emptied = wire::Transaction {
        description: String::new(),
        labels: BTreeMap::new(),
        external_ids: BTreeMap::new(),
        redacted: true,
        ..posted.clone()
    };
    emptied.entries.iter_mut().for_each(|entry| entry.memo.clear());
    emptied.force.iter_mut().for_each(|force| force.reason.clear());
    emptied
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn count(ledger: &Ledger, from: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {from}");
    tokio::task::block_in_place(|| {
        diesel::sql_query(sql).get_result::<Count>(&mut ledger.database.admin()).unwrap().count
    })
}

/// What is committed to, in the order of the commitments.
fn commitments(ledger: &Ledger) -> Vec<String> {
    let sql = "SELECT encode(commitment, 'hex') AS line FROM ( \
                   SELECT commitment FROM texts UNION ALL SELECT commitment FROM labels \
                   UNION ALL SELECT commitment FROM external_ids \
                   UNION ALL SELECT commitment FROM hold_texts) c ORDER BY 1";
    tokio::task::block_in_place(|| {
        let rows: Vec<Line> = diesel::sql_query(sql).load(&mut ledger.database.admin()).unwrap();
        rows.into_iter().map(|row| row.line).collect()
    })
}

impl Client {
    async fn read_posted(&mut self, name: &str) -> wire::Transaction {
        let request = wire::GetTransactionRequest { name: name.to_owned() };
        self.transactions.get_transaction(request).await.unwrap().into_inner()
    }

    async fn redact(
        &mut self,
        request: &wire::RedactTransactionRequest,
    ) -> Result<wire::Transaction, tonic::Status> {
        let answer = self.transactions.redact_transaction(request.clone()).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn count_by(&mut self, filter: &str) -> usize {
        let request =
            wire::ListTransactionsRequest { filter: filter.to_owned(), ..Default::default() };
        self.transactions.list_transactions(request).await.unwrap().into_inner().transactions.len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_redacted_changes_nothing() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let posted = client.transactions.create_transaction(written(&house, &account)).await;
    let posted = posted.unwrap().into_inner();

    let unknown = format!("transactions/{}", uuid::Uuid::now_v7());
    let unknown_hold = format!("holds/{}", uuid::Uuid::now_v7());
    assert_eq!(why(client.redact(&redaction(&unknown)).await).0, Reason::ResourceNotFound);
    let refused = client.holds.redact_hold(hold_redaction(&unknown_hold)).await;
    assert_eq!(why(refused).0, Reason::ResourceNotFound);
    for (name, reason_code, at) in [
        ("transactions/1", "ERASURE_REQUEST", "name"),
        (posted.name.as_str(), "", "reason_code"),
        (posted.name.as_str(), "because Ada asked", "reason_code"),
    ] {
        let request =
            wire::RedactTransactionRequest { reason_code: reason_code.into(), ..redaction(name) };
        let (reason, found) = field(client.redact(&request).await);
        assert_eq!((reason, found.as_str()), (Reason::FieldInvalid, at));
    }
    let mut reader = ledger.client_of(ledger.tenant, &["transactions.transactions.get"]);
    let refused = reader.redact(&redaction(&posted.name)).await;
    assert_eq!(why(refused).0, Reason::PermissionMissing);
    let validate =
        wire::RedactTransactionRequest { validate_only: true, ..redaction(&posted.name) };
    assert_eq!(client.redact(&validate).await.unwrap(), posted);
    assert_eq!(client.read_posted(&posted.name).await, posted);
    assert_eq!(count(&ledger, "changes WHERE kind LIKE '%.redacted'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_and_what_was_posted_and_committed_stays() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let create = written(&house, &account);
    let posted = client.transactions.create_transaction(create.clone()).await.unwrap();
    let posted = posted.into_inner();
    let (label, id) = ("labels.who = \"Grace\"", "external_ids.PSP = \"ada-1\"");
    assert_eq!((client.count_by(label).await, client.count_by(id).await), (1, 1));
    let before = commitments(&ledger);

    let redact =
        wire::RedactTransactionRequest { request_id: request_id(), ..redaction(&posted.name) };
    let gone = emptied(&posted);
    assert_eq!(client.redact(&redact).await.unwrap(), gone);
    assert_eq!(client.read_posted(&posted.name).await, gone);
    assert_eq!(commitments(&ledger), before);
    assert_eq!((client.count_by(label).await, client.count_by(id).await), (0, 0));
    assert_eq!(client.count_by("group_id = \"gifts\"").await, 1);
    let kept = "(SELECT text || coalesce(salt::text, '') AS kept FROM texts UNION ALL \
                SELECT value || coalesce(salt::text, '') FROM labels UNION ALL \
                SELECT coalesce(value, salt::text, '') FROM external_ids) t WHERE kept <> ''";
    assert_eq!(count(&ledger, kept), 0);

    // Again, under the same request id and under none.
    let again = client.transactions.redact_transaction(redact.clone()).await.unwrap();
    assert_eq!(again.metadata().get("strongroom-replayed").unwrap(), "true");
    assert_eq!(again.into_inner(), gone);
    assert_eq!(client.redact(&redaction(&posted.name)).await.unwrap(), gone);
    assert_eq!(count(&ledger, "changes WHERE kind = 'transaction.redacted'"), 1);
    let other = wire::RedactTransactionRequest { reason_code: "OTHER".into(), ..redact };
    assert_eq!(why(client.redact(&other).await).0, Reason::RequestIdReused);

    // A repeat of the posting finds it as it is, and its external id is free.
    let repeated = client.transactions.create_transaction(create).await.unwrap().into_inner();
    assert_eq!(repeated, gone);
    client.transactions.create_transaction(written(&house, &account)).await.unwrap();
    assert_eq!((client.count_by(label).await, client.count_by(id).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_texts_of_a_hold_go_with_its_capture_or_alone() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let mut request = hold(&account, &house, "20");
    let asked = request.hold.as_mut().unwrap();
    asked.description = "dinner with Grace".to_owned();
    asked.external_ids = map("ARN", "ada-2");
    asked.force = force(&[wire::Override::Funds]);
    let captured = client.hold(&request).await.unwrap().name;
    let transaction = client.capture(&capture(&captured)).await.unwrap().transaction.unwrap();
    assert!(!transaction.redacted);
    client.redact(&redaction(&transaction.name)).await.unwrap();
    // Its external id is free, for a hold that is never captured.
    request.request_id = request_id();
    let open = client.hold(&request).await.unwrap();
    let validate = wire::RedactHoldRequest { validate_only: true, ..hold_redaction(&open.name) };
    assert_eq!(client.holds.redact_hold(validate).await.unwrap().into_inner(), open);
    assert_eq!(client.read_hold(&open.name).await.description, "dinner with Grace");
    for _ in 0..2 {
        client.holds.redact_hold(hold_redaction(&open.name)).await.unwrap();
    }
    for name in [captured, open.name] {
        let hold = client.read_hold(&name).await;
        assert!(hold.description.is_empty() && hold.external_ids.is_empty());
        let forces = hold.events.iter().filter_map(|event| event.force.as_ref());
        assert!(forces.chain(&hold.force).all(|force| force.reason.is_empty()));
        assert!(hold.force.is_some());
    }
    assert_eq!(count(&ledger, "hold_texts WHERE text <> '' OR salt IS NOT NULL"), 0);
    assert_eq!(count(&ledger, "external_ids WHERE value IS NOT NULL OR salt IS NOT NULL"), 0);
    assert_eq!(count(&ledger, "changes WHERE kind = 'transaction.redacted'"), 1);
    assert_eq!(count(&ledger, "changes WHERE kind = 'hold.redacted'"), 1);
}

/// Texts that were written before there were commitments.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_texts_are_redacted_too() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let posted = client.pay(&house, &account, "1").await.unwrap();
    let (tenant, id) = (ledger.tenant.uuid(), posted.name.strip_prefix("transactions/").unwrap());
    tokio::task::block_in_place(|| {
        let insert = format!(
            "INSERT INTO texts (tenant_id, transaction_id, entry_index, text) \
             VALUES ('{tenant}', '{id}', -1, 'for Grace'), ('{tenant}', '{id}', 0, 'from Ada'); \
             INSERT INTO labels (tenant_id, transaction_id, key, value) \
             VALUES ('{tenant}', '{id}', 'who', 'Grace'), ('{tenant}', '{id}', 'Ada', '')"
        );
        ledger.database.admin().batch_execute(&insert).unwrap();
    });
    let read = client.read_posted(&posted.name).await;
    assert_eq!((read.description.as_str(), read.labels.len()), ("for Grace", 2));
    for _ in 0..2 {
        let redacted = client.redact(&redaction(&posted.name)).await.unwrap();
        assert_eq!(redacted, wire::Transaction { redacted: true, ..posted.clone() });
    }
    assert_eq!(count(&ledger, "texts WHERE text <> ''"), 0);
    assert_eq!(count(&ledger, "labels WHERE value <> '' OR key NOT LIKE 'redacted-%'"), 0);
    assert_eq!(count(&ledger, "changes WHERE kind = 'transaction.redacted'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_all_texts_or_none_and_of_many_redactions_one_counts() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let posted = client.transactions.create_transaction(written(&house, &account)).await;
    let posted = posted.unwrap().into_inner();
    let gone = emptied(&posted);
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (mut client, posted, gone) = (client.clone(), posted.clone(), gone.clone());
            tokio::spawn(async move {
                loop {
                    let read = client.read_posted(&posted.name).await;
                    if read == gone {
                        return;
                    }
                    assert_eq!(read, posted);
                }
            })
        })
        .collect();
    let redactions: Vec<_> = (0..4)
        .map(|_| {
            let (mut client, name) = (client.clone(), posted.name.clone());
            tokio::spawn(async move { client.redact(&redaction(&name)).await.unwrap() })
        })
        .collect();
    for redaction in redactions {
        assert_eq!(redaction.await.unwrap(), gone);
    }
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(count(&ledger, "changes WHERE kind = 'transaction.redacted'"), 1);
}

/// What the database itself allows.
#[tokio::test(flavor = "multi_thread")]
async fn the_runtime_role_may_empty_texts_and_do_nothing_else_to_them() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    client.transactions.create_transaction(written(&house, &account)).await.unwrap();
    let mut held = hold(&account, &house, "1");
    held.hold.as_mut().unwrap().description = "dinner".to_owned();
    client.hold(&held).await.unwrap();
    let tenant = ledger.tenant.uuid();
    for change in [
        "texts SET text = 'other'",
        "texts SET text = 'other', salt = NULL",
        "texts SET text = ''",
        "labels SET key = 'who', value = '', salt = NULL",
        "labels SET key = 'redacted-1', value = 'Ada', salt = NULL",
        "external_ids SET value = 'other', salt = NULL",
        "external_ids SET value = NULL",
        "hold_texts SET text = 'lunch', salt = NULL",
        "hold_texts SET salt = 'x'",
    ] {
        let sql =
            format!("BEGIN; SET LOCAL strongroom.tenant = '{tenant}'; UPDATE {change}; COMMIT");
        let refused = tokio::task::block_in_place(|| {
            ledger.database.runtime().batch_execute(&sql).expect_err(change).to_string()
        });
        assert_eq!(refused, "texts can only be redacted", "{change}");
    }
}
