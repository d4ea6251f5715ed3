//! The peers, as this service needs them: generated clients behind a few plain calls. Every write
//! has a request id that follows from the resource, so that every attempt is the same request.

use shared::grpc::Call;
use shared::grpc::client::Peer;
use shared::problem::Problem;
use strongroom_proto::records::v1 as records;
use strongroom_proto::records::v1::record_service_client::RecordServiceClient;
use strongroom_proto::records::v1::subject_service_client::SubjectServiceClient;
use strongroom_proto::transactions::v1 as transactions;
use strongroom_proto::transactions::v1::ledger_service_client::LedgerServiceClient;
use tonic::codegen::Bytes;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::domain::{Account, Customer, CustomerId, Profile};
use crate::rpc::encode;

/// The type of the record that holds a profile.
const PROFILE_TYPE: &str = "customer-profile";
const PROFILE_CONTENT_TYPE: &str = "application/json";
/// As whom this service controls accounts in the ledger.
const CONTROLS_SOURCE: &str = "accounts";

/// The records service.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    peer: Peer,
    subject_client: SubjectServiceClient<Channel>,
    record_client: RecordServiceClient<Channel>,
}

impl Records {
    /// The records service behind a peer, with answers up to `limit` bytes.
    pub(crate) fn new(peer: Peer, limit: usize) -> Self {
        let subject_client = SubjectServiceClient::new(peer.channel());
        let record_client =
            RecordServiceClient::new(peer.channel()).max_decoding_message_size(limit);
        Self { peer, subject_client, record_client }
    }

    /// Creates the subject of a customer.
    pub(crate) async fn create_subject(
        &self,
        call: &Call,
        customer: &Customer,
    ) -> Result<(), Problem> {
        let request = records::CreateSubjectRequest {
            subject: None,
            subject_id: customer.id.uuid().to_string(),
            request_id: customer.id.name(),
            validate_only: false,
        };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.subject_client.clone();
            async move { client.create_subject(request).await }
        });
        asked.await.map(drop)
    }

    /// Seals the profile of a customer.
    pub(crate) async fn create_profile(
        &self,
        call: &Call,
        customer: &Customer,
        profile: &Profile,
    ) -> Result<(), Problem> {
        let record = records::Record {
            subject: subject_name(customer),
            r#type: PROFILE_TYPE.to_owned(),
            content_type: PROFILE_CONTENT_TYPE.to_owned(),
            content: profile.to_json().into(),
            ..records::Record::default()
        };
        let request = records::CreateRecordRequest {
            record: Some(record),
            record_id: customer.profile_record().to_string(),
            request_id: customer.id.name(),
            validate_only: false,
        };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.record_client.clone();
            async move { client.create_record(request).await }
        });
        asked.await.map(drop)
    }

    /// The document of a customer's profile, as it is or masked. The records service logs the
    /// access before it answers.
    pub(crate) async fn get_profile(
        &self,
        call: &Call,
        customer: &Customer,
        view: records::RecordView,
        purpose: String,
    ) -> Result<Bytes, Problem> {
        let request = records::GetRecordRequest {
            name: record_name(customer.profile_record()),
            view: view.into(),
            purpose,
        };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.record_client.clone();
            async move { client.get_record(request).await }
        });
        asked.await.map(|record| record.content)
    }
}

/// The name of a customer's subject.
pub(crate) fn subject_name(customer: &Customer) -> String {
    format!("subjects/{}", customer.id.uuid())
}

fn record_name(id: Uuid) -> String {
    format!("records/{id}")
}

/// The ledger in the transactions service.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    peer: Peer,
    /// The history that this service's database is in: versions count within it.
    timeline: Uuid,
    client: LedgerServiceClient<Channel>,
}

impl Ledger {
    /// The ledger behind a peer.
    pub(crate) fn new(peer: Peer, timeline: Uuid) -> Self {
        let client = LedgerServiceClient::new(peer.channel());
        Self { peer, timeline, client }
    }

    /// Registers an account. It has no controls yet; `version` says as of when.
    pub(crate) async fn register(
        &self,
        call: &Call,
        account: &Account,
        version: i64,
    ) -> Result<(), Problem> {
        let terms = &account.terms;
        let ledger_account = transactions::LedgerAccount {
            currency: terms.currency.code().to_owned(),
            class: terms.class.number().into(),
            gl_code: terms.gl_code.clone(),
            overdraft: encode::overdraft(terms),
            customer: terms.customer.map(CustomerId::name).unwrap_or_default(),
            ..transactions::LedgerAccount::default()
        };
        let controls = transactions::Controls {
            source: CONTROLS_SOURCE.to_owned(),
            version,
            timeline: self.timeline.to_string(),
            ..transactions::Controls::default()
        };
        let request = transactions::RegisterLedgerAccountRequest {
            account: Some(ledger_account),
            account_id: account.id.uuid().to_string(),
            controls: vec![controls],
            // In another timeline it is another request, for an account that may be there already.
            request_id: format!("{}/{}", account.id, self.timeline),
            validate_only: false,
        };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.client.clone();
            async move { client.register_ledger_account(request).await }
        });
        asked.await.map(drop)
    }
}
