//! The peers, as this service needs them: generated clients behind a few plain calls. Every write
//! has a request id that follows from the resource, so that every attempt is the same request.

mod profile_type;
mod records;

use shared::grpc::Call;
use shared::grpc::client::Peer;
use shared::problem::Problem;
use strongroom_proto::transactions::v1 as transactions;
use strongroom_proto::transactions::v1::ledger_service_client::LedgerServiceClient;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::domain::{Account, CustomerId};
use crate::rpc::encode;
pub(crate) use profile_type::{EMAIL_INDEX, PHONE_INDEX, TAX_ID_INDEX};
pub(crate) use records::{Records, subject_name};

/// As whom this service controls accounts in the ledger.
const CONTROLS_SOURCE: &str = "accounts";

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
