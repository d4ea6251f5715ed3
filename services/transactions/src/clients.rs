//! The services that the ledger asks. Accounts: who knows an account that the ledger does not?

mod records;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared::field::At as _;
use shared::grpc::Call;
use shared::grpc::client::Peer;
use shared::ids::TenantId;
use shared::money::Currencies;
use shared::problem::{Problem, Reason};
use strongroom_proto::accounts::v1::account_service_client::AccountServiceClient;
use strongroom_proto::accounts::v1::{Account, GetAccountRequest, account};
use strongroom_proto::transactions::v1 as wire;
use tokio::sync::Semaphore;
use tonic::transport::Channel;

use crate::domain::{AccountId, NewAccount};
use crate::rpc::decode_account;

pub(crate) use records::{Records, Told};

/// How long an account that accounts does not know either is not asked for again.
const UNKNOWN: Duration = Duration::from_secs(1);
/// Unknown accounts that are remembered; beyond it all are forgotten.
const UNKNOWN_MAX: usize = 10_000;
/// Questions at once, so that a stream of unknown accounts does not starve known ones.
const PERMITS: usize = 16;

/// The accounts service.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    peer: Peer,
    client: AccountServiceClient<Channel>,
    permits: Arc<Semaphore>,
    unknown: Arc<Mutex<HashMap<(TenantId, AccountId), Instant>>>,
}

impl Accounts {
    pub(crate) fn new(peer: Peer) -> Self {
        let client = AccountServiceClient::new(peer.channel());
        let permits = Arc::new(Semaphore::new(PERMITS));
        Self { peer, client, permits, unknown: Arc::default() }
    }

    /// The account as accounts has it; `None` where it has none that may be posted to.
    pub(crate) async fn find(
        &self,
        call: &Call,
        id: AccountId,
    ) -> Result<Option<NewAccount>, Problem> {
        let key = (call.tenant_id()?, id);
        if self.is_unknown(key) {
            return Ok(None);
        }
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| Problem::new(Reason::Internal, "The service is shutting down."))?;
        let request = GetAccountRequest { name: id.name() };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.client.clone();
            async move { client.get_account(request).await }
        });
        let found = match asked.await {
            Ok(found) if found.state() != account::State::Closed => found,
            Ok(_) => return Ok(None),
            Err(problem) if problem.reason == Reason::ResourceNotFound => {
                self.remember(key);
                return Ok(None);
            }
            Err(problem) => return Err(problem),
        };
        if !is_free(&found) {
            return Err(on_its_way(id));
        }
        let account = wire::LedgerAccount {
            class: found.class,
            currency: found.currency,
            gl_code: found.gl_code,
            overdraft: found.overdraft,
            customer: found.customer,
            parent: found.parent,
            ..wire::LedgerAccount::default()
        };
        // Accounts has no currencies but those of ISO 4217.
        let decoded = decode_account(id, account, Vec::new(), &Currencies::iso());
        Ok(Some(decoded.at("account").map_err(|problem| *problem)?))
    }

    fn is_unknown(&self, key: (TenantId, AccountId)) -> bool {
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.get(&key).is_some_and(|since| since.elapsed() < UNKNOWN)
    }

    fn remember(&self, key: (TenantId, AccountId)) {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.len() >= UNKNOWN_MAX {
            unknown.clear();
        }
        unknown.insert(key, Instant::now());
    }
}

/// Whether nothing stops or limits an account. What does comes from accounts alone, together with
/// the account, so that no posting is ever a moment before it.
fn is_free(account: &Account) -> bool {
    let is_stopped = account
        .effect
        .as_ref()
        .is_none_or(|effect| !effect.debits || !effect.credits || !effect.reasons.is_empty());
    !is_stopped && account.limits.is_empty()
}

/// The refusal of a posting to an account that accounts has yet to bring.
fn on_its_way(id: AccountId) -> Problem {
    let message = format!("{id} is on its way here, with what stops or limits it.");
    Problem::new(Reason::PeerUnavailable, message).figure("peer", "accounts")
}
