//! Redacted texts are nowhere any more, and every proof stays.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::block_in_place;
use uuid::Uuid;
use wire::AccountClass;
use wire::Direction::{Credit, Debit};
use wire::batch_item::Operation;
use wire::batch_result::Result as Item;

use crate::child::{Child, strongroom};
use crate::dump::Dumper;
use crate::ledger::{LOOKS, Ledger, holds};
use crate::markers::{Markers, everything, rows};
use crate::wire::{eur, open, request_id, source};
use crate::world::{folder, run};

fn entry(account: &str, direction: wire::Direction, memo: String) -> wire::Entry {
    wire::Entry {
        account: account.to_owned(),
        direction: direction.into(),
        amount: Some(eur("1.00")),
        memo,
        ..Default::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every field for it is optional")]
fn force(reason: String) -> Option<wire::Force> {
    Some(wire::Force { overrides: vec![wire::Override::Funds.into()], reason })
}

fn map(key: String, value: String) -> BTreeMap<String, String> {
    BTreeMap::from([(key, value)])
}

struct Story {
    ledger: Ledger,
    markers: Markers,
    house: String,
    account: String,
}

impl Story {
    fn create(&mut self) -> wire::CreateTransactionRequest {
        let m = &mut self.markers;
        let transaction = wire::Transaction {
            r#type: "GIFT".to_owned(),
            entries: vec![
                entry(&self.account, Debit, m.text("memo-a")),
                entry(&self.house, Credit, m.text("memo-b")),
            ],
            description: m.text("description"),
            labels: map(m.text("label-key"), m.text("label-value")),
            external_ids: map("PSP".to_owned(), m.text("external-id")),
            force: force(m.text("force")),
            ..Default::default()
        };
        wire::CreateTransactionRequest {
            transaction: Some(transaction),
            request_id: request_id(),
            ..Default::default()
        }
    }

    fn hold(&mut self, names: [&'static str; 3]) -> wire::CreateHoldRequest {
        let [description, external_id, reason] = names.map(|name| self.markers.text(name));
        let hold = wire::Hold {
            account: self.account.clone(),
            destination: self.house.clone(),
            amount: Some(eur("5.00")),
            description,
            external_ids: map("ARN".to_owned(), external_id),
            force: force(reason),
            ..Default::default()
        };
        wire::CreateHoldRequest { hold: Some(hold), request_id: request_id(), ..Default::default() }
    }

    async fn post(
        &self,
        request: &wire::CreateTransactionRequest,
    ) -> Result<wire::Transaction, tonic::Status> {
        let mut client = self.ledger.clients.transactions.clone();
        client.create_transaction(request.clone()).await.map(tonic::Response::into_inner)
    }

    /// Refused as a whole, or in its item.
    async fn batch(&self, mode: wire::BatchMode, request: &wire::CreateTransactionRequest) {
        let is_whole = mode == wire::BatchMode::AllOrNothing;
        let id = |wanted: bool| if wanted { request_id() } else { String::new() };
        let item = wire::CreateTransactionRequest { request_id: id(!is_whole), ..request.clone() };
        let batch = wire::ExecuteBatchRequest {
            mode: mode.into(),
            items: vec![wire::BatchItem { operation: Some(Operation::Transaction(item)) }],
            request_id: id(is_whole),
            ..Default::default()
        };
        let mut client = self.ledger.clients.transactions.clone();
        let is_refused = match client.execute_batch(batch).await {
            Err(status) => refusal(&status).0 == Reason::ExternalIdTaken,
            Ok(answer) => matches!(answer.into_inner().results[0].result, Some(Item::Error(_))),
        };
        assert!(is_refused);
    }

    /// Everything that is refused, with the texts in it.
    async fn refusals(&mut self, posted: &wire::CreateTransactionRequest) {
        let reason =
            |answer: Result<wire::Transaction, tonic::Status>| refusal(&answer.unwrap_err()).0;
        let again = |change: &dyn Fn(&mut wire::Transaction)| {
            let mut again =
                wire::CreateTransactionRequest { request_id: request_id(), ..posted.clone() };
            change(again.transaction.as_mut().unwrap());
            again
        };
        let taken = again(&|_| ());
        for _ in 0..2 {
            assert_eq!(reason(self.post(&taken).await), Reason::ExternalIdTaken);
        }
        let poor = again(&|one| {
            one.external_ids.clear();
            one.force = None;
        });
        assert_eq!(reason(self.post(&poor).await), Reason::InsufficientFunds);
        let invalid = again(&|one| one.description += "\u{7}");
        assert_eq!(reason(self.post(&invalid).await), Reason::FieldInvalid);
        let unknown = again(&|one| {
            one.external_ids.clear();
            one.entries[0].account = format!("accounts/{}", Uuid::now_v7());
        });
        assert!(self.post(&unknown).await.is_err());
        let mut reused = poor.clone();
        reused.request_id.clone_from(&posted.request_id);
        assert_eq!(reason(self.post(&reused).await), Reason::RequestIdReused);
        // A request id that has a text in it is refused, and not kept.
        self.batch(wire::BatchMode::AllOrNothing, &taken).await;
        self.batch(wire::BatchMode::Independent, &taken).await;
        let filter = format!(
            "labels.{} = \"{}\" AND external_ids.PSP = \"{}\"",
            self.markers.text("label-key"),
            self.markers.text("label-value"),
            self.markers.text("external-id"),
        );
        let list = wire::ListTransactionsRequest { filter, ..Default::default() };
        self.ledger.clients.transactions.clone().list_transactions(list).await.unwrap();
    }

    /// A hold that is captured, and one that is not: the transaction, and the name of the other.
    async fn hold_and_capture(&mut self) -> (wire::Transaction, String) {
        let captured = self.hold(["hold", "hold-external-id", "hold-force"]);
        let alone = self.hold(["alone", "alone-external-id", "alone-force"]);
        let mut names = Vec::new();
        for request in [&captured, &alone, &captured] {
            let held = self.ledger.holds.create_hold(request.clone()).await.unwrap();
            names.push(held.into_inner().name);
        }
        let increase = wire::IncreaseHoldRequest {
            name: names[0].clone(),
            amount: Some(eur("1.00")),
            force: force(self.markers.text("increase-force")),
            request_id: request_id(),
            ..Default::default()
        };
        self.ledger.holds.increase_hold(increase).await.unwrap();
        let capture = wire::CaptureHoldRequest {
            name: names[0].clone(),
            description: self.markers.text("capture"),
            force: force(self.markers.text("capture-force")),
            request_id: request_id(),
            ..Default::default()
        };
        let capture = self.ledger.holds.capture_hold(capture).await.unwrap().into_inner();
        (capture.transaction.unwrap(), names.swap_remove(1))
    }

    async fn redact(&self, name: String) {
        let request = wire::RedactTransactionRequest {
            name,
            reason_code: "ERASURE_REQUEST".to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let mut client = self.ledger.clients.transactions.clone();
        assert!(client.redact_transaction(request).await.unwrap().into_inner().redacted);
    }

    /// Whoever follows the events learns of the redactions, and of no text.
    async fn assert_told(&mut self, expected: &[(String, String)]) {
        let mut told = Vec::new();
        for _ in 0..LOOKS {
            let events = self.ledger.events_from("").await.unwrap().events;
            let data: String = events.iter().map(|event| event.data.as_str()).collect();
            assert_eq!(self.markers.found(&data), Vec::<&str>::new());
            let redacted = events.into_iter().filter(|event| event.r#type.ends_with(".redacted"));
            told = redacted.map(|event| (event.r#type, event.subject)).collect();
            if told.len() >= expected.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(told, expected);
    }
}

#[test]
fn redacted_texts_are_in_no_table_event_outcome_or_log() {
    run(async {
        let folder = folder();
        let dumper = block_in_place(|| Dumper::start(folder.path()));
        let state = folder.path().join("state");
        let mut command = strongroom(&state);
        command.env("STRONGROOM_DATABASE_URL", dumper.url()).env("STRONGROOM_LOG", "debug");
        command.env("STRONGROOM_CHECKPOINT_INTERVAL", "0.1").env("STRONGROOM_DEADLINE", "60");
        let child = block_in_place(|| Child::launch(&state, command));
        let ledger = Ledger::of(&child);
        let house = source(&ledger.clients).await;
        let account = open(&ledger.clients, AccountClass::Liability).await;
        let mut story = Story { ledger, markers: Markers::default(), house, account };

        let create = story.create();
        let posted = story.post(&create).await.unwrap();
        assert_eq!(story.post(&create).await.unwrap(), posted);
        story.refusals(&create).await;
        let (capture, alone) = story.hold_and_capture().await;
        let day = wire::CreateStatementRequest {
            account: story.account.clone(),
            start_date: posted.booking_date.clone(),
            end_date: posted.booking_date.clone(),
            ..Default::default()
        };
        story.ledger.statements.create_statement(day).await.unwrap();

        let before = [&posted, &capture].map(|one| one.name.clone());
        let mut proofs = Vec::new();
        for name in &before {
            proofs.push(story.ledger.proof(name).await);
        }
        // The search finds what is there.
        let kept = block_in_place(|| rows(&dumper));
        assert_eq!(story.markers.found(&kept), story.markers.places());

        for name in before.clone() {
            story.redact(name).await;
        }
        let request = wire::RedactHoldRequest {
            name: alone.clone(),
            reason_code: "ERASURE_REQUEST".to_owned(),
            ..Default::default()
        };
        story.ledger.holds.redact_hold(request).await.unwrap();

        let kept = block_in_place(|| everything(&dumper, &state));
        assert_eq!(story.markers.found(&kept), Vec::<&str>::new());
        for (name, old) in before.iter().zip(&proofs) {
            let new = story.ledger.proof(name).await;
            assert!(holds(old) && holds(&new));
            assert_eq!(new.leaf, old.leaf);
        }
        assert_eq!(story.ledger.mismatches().await, []);
        let [first, second] = before;
        let expected = [
            ("transaction.redacted", first),
            ("transaction.redacted", second),
            ("hold.redacted", alone),
        ];
        story.assert_told(&expected.map(|(kind, subject)| (kind.to_owned(), subject))).await;
    });
}
