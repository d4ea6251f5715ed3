//! The walk over all accounts of both services, and the second look at what differs.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use shared::clock::Clock;
use strongroom_proto::accounts::v1 as accounts;
use strongroom_proto::transactions::v1 as ledger;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use accounts::account_service_client::AccountServiceClient;
use ledger::ledger_service_client::LedgerServiceClient;

use super::ReconcileError;
use super::view::View;
use crate::client::{Api, Clients};
use crate::error::Error;
use crate::options::Addresses;
use crate::progress::Progress;
use crate::refusal::Refusal;

/// Accounts in one look.
const PAGE: i32 = 1_000;
/// The deadline of a call.
const DEADLINE: Duration = Duration::from_secs(60);
/// What is in flight has arrived by then.
const PAUSE: Duration = Duration::from_secs(2);
/// How often an account is looked at again that changes meanwhile, and how many at once.
const ATTEMPTS: u32 = 5;
const AT_ONCE: usize = 16;

/// What was compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Accounts of the accounts service.
    pub(crate) accounts: u64,
    /// Those of them that the ledger has not confirmed yet.
    pending: u64,
    /// Accounts of the ledger.
    ledger: u64,
    /// Those of them that the accounts service does not control: a ledger can be used alone.
    alone: u64,
    /// What was found.
    pub(crate) disagreements: u64,
}

impl Compared {
    /// The sums, for people.
    pub(super) fn table(&self) -> String {
        let Self { accounts, pending, ledger, alone, disagreements } = self;
        format!(
            "accounts       {accounts}, {pending} of them PENDING\n\
             in the ledger  {ledger}, {alone} of them not controlled by accounts\n\
             disagreements  {disagreements}"
        )
    }
}

/// Compares all accounts of the caller's tenant, and tells each disagreement in words. What differs
/// may be in flight, so that it is looked at again.
pub(crate) async fn compare(
    clients: &Clients,
    at: Addresses,
    progress: &Progress,
    mut tell: impl FnMut(&str) -> io::Result<()>,
) -> Result<Compared, Error> {
    let services = Services {
        accounts: clients.accounts.clone(),
        ledger: LedgerServiceClient::new(clients.api(at.transactions)?),
    };
    let mut compared = Compared::default();
    let mut known = services.walk_ledger(&mut compared, progress).await?;
    let mut differ = services.walk_accounts(&mut compared, &mut known, progress).await?;
    // What is left is in the ledger alone.
    differ.extend(known.into_keys());
    if differ.is_empty() {
        return Ok(compared);
    }
    differ.sort_unstable();
    progress.say(&format!("looking again at {} accounts", differ.len()));
    tokio::time::sleep(PAUSE).await;
    let again = stream::iter(differ).map(|id| services.look_again(id)).buffered(AT_ONCE);
    let mut again = std::pin::pin!(again);
    while let Some(found) = again.next().await {
        let (id, found) = found?;
        for what in found {
            compared.disagreements += 1;
            let line = format!("accounts/{id}: {what}");
            tell(&line).map_err(Error::file("standard output".as_ref()))?;
        }
    }
    Ok(compared)
}

/// The services that are compared.
struct Services {
    accounts: AccountServiceClient<Api>,
    ledger: LedgerServiceClient<Api>,
}

impl Services {
    /// Remembers of each account of the ledger that accounts controls what it looks like.
    async fn walk_ledger(
        &self,
        compared: &mut Compared,
        progress: &Progress,
    ) -> Result<HashMap<Uuid, u64>, ReconcileError> {
        let (mut client, mut known) = (self.ledger.clone(), HashMap::new());
        let mut request =
            ledger::ListLedgerAccountsRequest { page_size: PAGE, ..Default::default() };
        loop {
            let page = client.list_ledger_accounts(asked(request.clone())).await;
            let page = given("ListLedgerAccounts", page)?;
            let now = Clock::system().now();
            for account in &page.accounts {
                compared.ledger += 1;
                match View::of_ledger(account, now) {
                    Some(view) => {
                        known.insert(id(&account.name)?, view.fingerprint());
                    }
                    None => compared.alone += 1,
                }
            }
            progress.say(&format!("reading the ledger: {} accounts", compared.ledger));
            if page.next_page_token.is_empty() {
                return Ok(known);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Takes each account out of what is known of the ledger, and gives those that differ.
    async fn walk_accounts(
        &self,
        compared: &mut Compared,
        known: &mut HashMap<Uuid, u64>,
        progress: &Progress,
    ) -> Result<Vec<Uuid>, ReconcileError> {
        let (mut client, mut differ) = (self.accounts.clone(), Vec::new());
        let mut request = accounts::ListAccountsRequest { page_size: PAGE, ..Default::default() };
        loop {
            let page = client.list_accounts(asked(request.clone())).await;
            let page = given("ListAccounts", page)?;
            for account in &page.accounts {
                compared.accounts += 1;
                compared.pending += u64::from(is_pending(account));
                let id = id(&account.name)?;
                let theirs = known.remove(&id);
                let agrees = theirs == Some(View::of_account(account).fingerprint());
                if is_pending(account) || unacknowledged(account).is_some() || !agrees {
                    differ.push(id);
                }
            }
            progress.say(&format!("comparing: {} accounts", compared.accounts));
            if page.next_page_token.is_empty() {
                return Ok(differ);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// What the two disagree on, of one account: looked at until it stands still.
    async fn look_again(&self, id: Uuid) -> Result<(Uuid, Vec<String>), ReconcileError> {
        let name = format!("accounts/{id}");
        let mut attempt = 1;
        loop {
            let before = self.account(&name).await?;
            let request = asked(ledger::GetLedgerAccountRequest { name: name.clone() });
            let theirs = self.ledger.clone().get_ledger_account(request).await;
            let theirs = some("GetLedgerAccount", theirs)?;
            let after = self.account(&name).await?;
            if before == after || attempt == ATTEMPTS {
                return Ok((id, disagreements(after.as_ref(), theirs.as_ref())));
            }
            attempt += 1;
        }
    }

    async fn account(&self, name: &str) -> Result<Option<accounts::Account>, ReconcileError> {
        let request = asked(accounts::GetAccountRequest { name: name.to_owned() });
        some("GetAccount", self.accounts.clone().get_account(request).await)
    }
}

/// What the two disagree on, in words.
fn disagreements(
    account: Option<&accounts::Account>,
    theirs: Option<&ledger::LedgerAccount>,
) -> Vec<String> {
    let one = |what: &str| vec![what.to_owned()];
    let (account, theirs) = match (account, theirs) {
        (Some(account), Some(theirs)) => (account, theirs),
        (Some(account), None) if !is_pending(account) => {
            return one("accounts has it, the ledger does not");
        }
        (None, Some(_)) => return one("the ledger has it, accounts does not"),
        (_, None) => return Vec::new(),
    };
    let is_pending = is_pending(account);
    let Some(view) = View::of_ledger(theirs, Clock::system().now()) else {
        let what = "the ledger has it without the controls of accounts";
        return if is_pending { Vec::new() } else { one(what) };
    };
    let mut found = View::of_account(account).differences(&view, is_pending);
    found.extend(unacknowledged(account));
    found
}

fn is_pending(account: &accounts::Account) -> bool {
    account.state() == accounts::account::State::Pending
}

/// That accounts does not know of the ledger having the latest controls. PENDING means just that.
fn unacknowledged(account: &accounts::Account) -> Option<String> {
    let effect = account.effect.as_ref().filter(|_| !is_pending(account))?;
    let (version, acknowledged) = (effect.version, effect.acknowledged_version);
    let what = || format!("version {version} is not acknowledged, {acknowledged} is");
    (version != acknowledged).then(what)
}

fn id(name: &str) -> Result<Uuid, ReconcileError> {
    let id = name.strip_prefix("accounts/").and_then(|id| id.parse().ok());
    id.ok_or_else(|| ReconcileError::Failed(format!("{name} is no account's name")))
}

fn asked<T>(request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.set_timeout(DEADLINE);
    request
}

fn given<T>(method: &str, answer: Result<Response<T>, Status>) -> Result<T, ReconcileError> {
    let refused = |status| {
        ReconcileError::Failed(format!("{method} was refused: {}", Refusal::from(&status).line()))
    };
    answer.map(Response::into_inner).map_err(refused)
}

/// What there is, if it is there.
fn some<T>(method: &str, answer: Result<Response<T>, Status>) -> Result<Option<T>, ReconcileError> {
    match answer {
        Err(status) if status.code() == Code::NotFound => Ok(None),
        answer => given(method, answer).map(Some),
    }
}
