//! Statements as documents: what machines, people and verifiers read.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl as _};
use serde_json::Value;
use shared::commitment::Commitment;
use shared::problem::Reason;
use shared::transparency::{Hash, check_inclusion, leaf_hash, read_note};
use strongroom_proto::google_api::HttpBody;
use strongroom_proto::transactions::v1 as wire;
use tokio_stream::StreamExt as _;
use tonic::Status;
use wire::Direction;
use wire::render_statement_request::Format;

use crate::periods::noon;
use crate::requests::{field, why};
use crate::setup::{Client, Ledger, entry, eur, request_id, transfer, unbounded};
use crate::statements::of_days;

const HOSTILE: &str = "<script>alert(\"x\")</script> & 'co', \"quoted\"";
const FORMULA: &str = "=HYPERLINK(\"http://evil\")";

impl Client {
    async fn pieces(&mut self, name: &str, format: Format) -> Result<Vec<HttpBody>, Status> {
        let (name, format) = (name.to_owned(), format.into());
        let request = wire::RenderStatementRequest { name, format };
        let mut pieces = self.statements.render_statement(request).await?.into_inner();
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await {
            all.push(piece?);
        }
        Ok(all)
    }

    async fn document(&mut self, name: &str, format: Format) -> String {
        let pieces = self.pieces(name, format).await.unwrap();
        assert!(pieces.iter().all(|piece| piece.data.len() <= 32 * 1024));
        String::from_utf8(pieces.into_iter().flat_map(|piece| piece.data).collect()).unwrap()
    }
}

/// A statement with texts that are hard to write.
async fn hostile(client: &mut Client) -> wire::Statement {
    let (house, shop) = (client.account(Some(unbounded())).await, client.account(None).await);
    for (description, memo) in [(HOSTILE, ""), ("", FORMULA), ("two\nlines", "-5")] {
        let mut entries = vec![
            entry(&house, Direction::Debit, eur("1234.50")),
            entry(&shop, Direction::Credit, eur("1234.50")),
        ];
        memo.clone_into(&mut entries[1].memo);
        let transaction = wire::Transaction {
            r#type: "PAY".to_owned(),
            entries,
            description: description.to_owned(),
            ..Default::default()
        };
        let request = wire::CreateTransactionRequest {
            transaction: Some(transaction),
            request_id: request_id(),
            ..Default::default()
        };
        client.transactions.create_transaction(request).await.unwrap();
    }
    client.transfer(&transfer(&shop, &house, "0.01")).await.unwrap();
    client.state(&of_days(&shop, "2026-11-22", "2026-11-22")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_drawn_is_refused() {
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    let (_, shop) = client.funded("1").await;
    let name = client.state(&of_days(&shop, "2026-11-22", "2026-11-22")).await.unwrap().name;
    let unspecified = client.pieces(&name, Format::Unspecified).await;
    assert_eq!(field(unspecified), (Reason::FieldInvalid, "format".to_owned()));
    assert_eq!(field(client.pieces("accounts/1", Format::Csv).await).1, "name");
    let unknown = format!("{shop}/statements/{}", uuid::Uuid::now_v7());
    assert_eq!(why(client.pieces(&unknown, Format::Csv).await).0, Reason::ResourceNotFound);
    let other = tokio::task::block_in_place(|| ledger.database.tenant());
    let foreign = ledger.client_of(other, &["*"]).pieces(&name, Format::Html).await;
    assert_eq!(why(foreign).0, Reason::ResourceNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_back_as_they_were() {
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    let statement = hostile(&mut client).await;
    let text = client.document(&statement.name, Format::Csv).await;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let lines = client.lines(&statement.name, 0).await;
    assert_eq!(rows.len(), lines.len());
    let column = |row: &csv::StringRecord, name: &str| {
        let place = columns.iter().position(|column| column == name).unwrap();
        row[place].to_owned()
    };
    for (row, line) in rows.iter().zip(&lines) {
        let entry = line.entry.as_ref().unwrap();
        assert_eq!(column(row, "line"), line.line.to_string());
        assert_eq!(column(row, "transaction"), entry.transaction);
        assert_eq!(column(row, "booking_date"), entry.booking_date);
        assert_eq!(column(row, "description"), entry.description);
        assert_eq!(column(row, "amount"), entry.amount.as_ref().unwrap().amount);
        assert_eq!(column(row, "balance"), line.balance.as_ref().unwrap().amount);
    }
    assert_eq!(column(&rows[0], "description"), HOSTILE);
    // A spreadsheet sees a text.
    assert_eq!(column(&rows[1], "memo"), format!("'{FORMULA}"));
    assert_eq!(column(&rows[3], "direction"), "DEBIT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_for_people_and_runs_nothing() {
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    let statement = hostile(&mut client).await;
    let pieces = client.pieces(&statement.name, Format::Html).await.unwrap();
    assert!(pieces.iter().all(|piece| piece.content_type == "text/html; charset=utf-8"));
    let page = client.document(&statement.name, Format::Html).await;
    assert!(page.starts_with("<!doctype html>\n") && page.trim_end().ends_with("</html>"));
    assert!(!page.contains("<script") && page.contains("&#60;script&#62;alert"), "{page}");
    for figure in ["1234.50", "3703.50", "3703.49", "2026-11-22", "EUR", &statement.name] {
        assert!(page.contains(figure), "{figure} is missing: {page}");
    }
    assert_eq!(page.matches("<tr>").count(), 1 + 4, "a head and four lines");
}

/// What is between two texts that must be there.
fn between<'a>(line: &'a str, begin: &str, end: &str) -> &'a str {
    line.strip_prefix(begin).and_then(|rest| rest.split_once(end)).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hash_is_of_what_the_proof_shows() {
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    let statement = hostile(&mut client).await;
    let proof = client.document(&statement.name, Format::Proof).await;
    let (first, rest) = proof.split_once('\n').unwrap();
    let head = between(first, "{\"strongroom\":\"statement/1\",\"statement\":", ",\"hash\":");
    let mut hashed = format!("{head}\n");
    let mut opened = Vec::new();
    for line in rest.lines() {
        let raw = between(line, "{\"line\":", ",\"texts\":");
        hashed.push_str(raw);
        hashed.push('\n');
        let whole: Value = serde_json::from_str(line).unwrap();
        let (own, texts) = (&whole["line"], &whole["texts"]);
        let index = own["entry_index"].to_string();
        for (kind, name) in [("memo", index.as_str()), ("description", "-1")] {
            let Some(text) = texts[kind]["text"].as_str() else { continue };
            let bytes = |value: &Value| {
                let hex = value.as_str().unwrap();
                (0..hex.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                    .collect::<Vec<u8>>()
            };
            let commitment =
                Commitment { salt: bytes(&texts[kind]["salt"]), value: bytes(&own[kind]) };
            assert!(commitment.opens(&format!("texts/{name}"), text));
            opened.push(text.to_owned());
        }
    }
    assert_eq!(opened, [HOSTILE, FORMULA, "-5", "two\nlines"]);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, hashed.as_bytes());
    assert_eq!(hash.as_ref(), statement.hash);
    // No text is in what is hashed, nor in what the tables of statements have.
    assert!(!hashed.contains("HYPERLINK") && !hashed.contains("two"));
    let first: Value = serde_json::from_str(first).unwrap();
    assert_eq!(first["statement"]["statement"], statement.name);
    assert_eq!(first["statement"]["closing"], "3703.49");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proof_leads_to_a_signed_checkpoint() {
    let ledger = Ledger::start_with(&["--checkpoint-interval", "0.01"]).await;
    let mut client = ledger.client();
    let (house, shop) = client.funded("1").await;
    let today = client.pay(&house, &shop, "1").await.unwrap().booking_date;
    let made = client.state(&of_days(&shop, &today, &today)).await.unwrap();
    let first = loop {
        let proof = client.document(&made.name, Format::Proof).await;
        let first: Value = serde_json::from_str(proof.lines().next().unwrap()).unwrap();
        // The log is behind the books for a moment.
        if first.get("leaf").is_some() {
            break first;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let data = first["leaf"]["data"].as_str().unwrap();
    let leaf: Value = serde_json::from_str(data).unwrap();
    assert_eq!(
        (&leaf["kind"], &leaf["statement"]),
        (&"statement.created".into(), &made.name.into())
    );
    assert_eq!(leaf["hash"], first["hash"]);
    // The leaf is the head with the hash behind it.
    let mut head = leaf.clone();
    head.as_object_mut().unwrap().remove("hash");
    assert_eq!(head, first["statement"]);
    let hashes = first["hashes"].as_array().unwrap().iter();
    let hashes = hashes.map(|hash| STANDARD.decode(hash.as_str().unwrap()).unwrap());
    let hashes: Vec<Hash> = hashes.map(|hash| hash.try_into().unwrap()).collect();
    let signed = read_note(first["checkpoint"].as_str().unwrap()).unwrap();
    let (index, size) = (first["leaf"]["index"].as_u64().unwrap(), first["tree_size"].as_u64());
    assert_eq!(size, Some(signed.size));
    assert!(check_inclusion(leaf_hash(data), index, signed.size, signed.root, &hashes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redacted_text_leaves_the_documents_and_not_the_hash() {
    const COUNT: &str = "
        SELECT (SELECT count(*) FROM statements t WHERE t::text LIKE '%HYPERLINK%')
            + (SELECT count(*) FROM statement_lines t WHERE t::text LIKE '%HYPERLINK%')
            + (SELECT count(*) FROM changes t WHERE t::text LIKE '%HYPERLINK%') AS count";
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    let statement = hostile(&mut client).await;
    let before = client.document(&statement.name, Format::Proof).await;
    let lines = client.lines(&statement.name, 0).await;
    let redact = wire::RedactTransactionRequest {
        name: lines[1].entry.as_ref().unwrap().transaction.clone(),
        reason_code: "ERASURE".to_owned(),
        ..Default::default()
    };
    client.transactions.redact_transaction(redact).await.unwrap();
    for format in [Format::Csv, Format::Html, Format::Proof] {
        let document = client.document(&statement.name, format).await;
        assert!(!document.contains("HYPERLINK"), "{format:?}: {document}");
    }
    let after = client.document(&statement.name, Format::Proof).await;
    assert_eq!(after.lines().count(), before.lines().count());
    for (before, after) in before.lines().zip(after.lines()).skip(1) {
        let hashed = |line: &str| between(line, "{\"line\":", ",\"texts\":").to_owned();
        assert_eq!(hashed(before), hashed(after));
    }
    let lines = client.lines(&statement.name, 0).await;
    assert_eq!(lines[1].entry.as_ref().unwrap().memo, "");
    let found = tokio::task::block_in_place(|| {
        let mut owner = ledger.database.owner();
        let tenant = format!("SET strongroom.tenant = '{}'", ledger.tenant.uuid());
        owner.batch_execute(&tenant).unwrap();
        diesel::sql_query(COUNT).get_result::<Count>(&mut owner).unwrap().count
    });
    assert_eq!(found, 0);
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}
