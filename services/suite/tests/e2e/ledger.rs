//! The clients that tests of the books and their log need, and proofs checked without a server.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::refusal;
use shared::transparency::{check_inclusion, leaf_hash};
use strongroom_proto::events::v1 as events;
use strongroom_proto::outcomes::v1::{GetOutcomeRequest, outcome::State};
use strongroom_proto::transactions::v1 as transactions;
use strongroom_proto::transparency::v1 as log;
use suite::{Api, Clients};
use transactions::books_service_client::BooksServiceClient;
use transactions::hold_service_client::HoldServiceClient;
use transactions::statement_service_client::StatementServiceClient;

use crate::child::Child;

/// Times that something is looked for that comes by itself.
pub(crate) const LOOKS: usize = 600;

/// The clients of the services whose data the test looks at.
pub(crate) struct Ledger {
    pub(crate) clients: Clients,
    pub(crate) events: events::event_service_client::EventServiceClient<Api>,
    pub(crate) log: log::transparency_service_client::TransparencyServiceClient<Api>,
    pub(crate) books: BooksServiceClient<Api>,
    pub(crate) holds: HoldServiceClient<Api>,
    pub(crate) statements: StatementServiceClient<Api>,
}

impl Ledger {
    pub(crate) fn of(child: &Child) -> Self {
        let clients = Clients::new(child.at, None).unwrap();
        let api = || clients.api(child.at.transactions).unwrap();
        Self {
            events: events::event_service_client::EventServiceClient::new(api()),
            log: log::transparency_service_client::TransparencyServiceClient::new(api()),
            books: BooksServiceClient::new(api()),
            holds: HoldServiceClient::new(api()),
            statements: StatementServiceClient::new(api()),
            clients,
        }
    }

    pub(crate) async fn events_from(
        &mut self,
        cursor: &str,
    ) -> Result<events::ListEventsResponse, tonic::Status> {
        let request = events::ListEventsRequest {
            page_size: 1_000,
            cursor: cursor.to_owned(),
            ..Default::default()
        };
        self.events.list_events(request).await.map(tonic::Response::into_inner)
    }

    /// The proof of a transaction under a signed checkpoint, once there is one.
    pub(crate) async fn proof(&mut self, transaction: &str) -> log::InclusionProof {
        for _ in 0..LOOKS {
            let leaf = log::get_inclusion_proof_request::Leaf::Resource(transaction.to_owned());
            let request = log::GetInclusionProofRequest { leaf: Some(leaf), ..Default::default() };
            match self.log.get_inclusion_proof(request).await {
                Ok(proof) => {
                    let proof = proof.into_inner();
                    assert!(holds(&proof));
                    return proof;
                }
                Err(status) => assert_eq!(refusal(&status).0, Reason::ResourceNotFound),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no checkpoint has {transaction}");
    }

    /// What became of a posting.
    pub(crate) async fn state(&mut self, request_id: &str) -> State {
        let request = GetOutcomeRequest {
            operation: "create-transaction".to_owned(),
            request_id: request_id.to_owned(),
            fence: false,
        };
        let outcomes = &mut self.clients.transactions_outcomes;
        outcomes.get_outcome(request).await.unwrap().into_inner().state()
    }

    /// What does not match in the books and their log.
    pub(crate) async fn mismatches(&mut self) -> Vec<transactions::Mismatch> {
        let request = transactions::VerifyBooksRequest { log: true, ..Default::default() };
        let mut answers = self.books.verify_books(request).await.unwrap().into_inner();
        let (mut found, mut done) = (Vec::new(), false);
        while let Some(answer) = answers.message().await.unwrap() {
            found.extend(answer.mismatches);
            done = answer.done;
        }
        assert!(done);
        found
    }
}

pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap()
}

pub(crate) fn hashes(all: &[Vec<u8>]) -> Vec<[u8; 32]> {
    all.iter().map(|one| hash(one)).collect()
}

pub(crate) fn size(size: i64) -> u64 {
    size.try_into().unwrap()
}

/// Whether a proof holds by itself, without asking anybody.
pub(crate) fn holds(proof: &log::InclusionProof) -> bool {
    let leaf = proof.leaf.as_ref().unwrap();
    let root = hash(&proof.root_hash);
    let path = hashes(&proof.hashes);
    check_inclusion(leaf_hash(&leaf.data), size(leaf.index), size(proof.tree_size), root, &path)
}
