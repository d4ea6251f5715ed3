//! The ledger in the transactions service, as this service controls it.

use shared::grpc::Call;
use shared::grpc::client::Peer;
use shared::money::Currency;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::transport::Channel;
use uuid::Uuid;
use wire::ledger_service_client::LedgerServiceClient;

use crate::domain::{Account, AccountId, Block, Controls, CustomerId};
use crate::rpc::encode;

/// As whom this service controls accounts.
const SOURCE: &str = "accounts";
/// Accounts of the ledger in one look.
const PAGE_SIZE: i32 = 1_000;

/// The ledger.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    peer: Peer,
    /// The history that this service's database is in: versions count within it.
    timeline: Uuid,
    client: LedgerServiceClient<Channel>,
}

/// An account as the ledger has it.
#[derive(Debug, Clone)]
pub(crate) struct LedgerAccount {
    /// The account.
    pub(crate) id: AccountId,
    /// Whether it is closed there.
    pub(crate) is_closed: bool,
    /// What this service has it enforce.
    controls: wire::Controls,
}

/// Accounts of the ledger, in the order of their ids.
#[derive(Debug)]
pub(crate) struct LedgerPage {
    /// The accounts.
    pub(crate) accounts: Vec<LedgerAccount>,
    /// Where to go on; empty where there are no more.
    pub(crate) next: String,
}

impl Ledger {
    /// The ledger behind a peer.
    pub(crate) fn new(peer: Peer, timeline: Uuid) -> Self {
        let client = LedgerServiceClient::new(peer.channel());
        Self { peer, timeline, client }
    }

    /// Registers an account with its controls. One that is there already keeps those that it has.
    pub(crate) async fn register(
        &self,
        call: &Call,
        account: &Account,
        controls: &Controls,
    ) -> Result<LedgerAccount, Problem> {
        let terms = &account.terms;
        let ledger_account = wire::LedgerAccount {
            currency: terms.currency.code().to_owned(),
            class: terms.class.number().into(),
            gl_code: terms.gl_code.clone(),
            overdraft: encode::overdraft(terms),
            customer: terms.customer.map(CustomerId::name).unwrap_or_default(),
            parent: terms.parent.map(AccountId::name).unwrap_or_default(),
            ..wire::LedgerAccount::default()
        };
        let request = wire::RegisterLedgerAccountRequest {
            account: Some(ledger_account),
            account_id: account.id.uuid().to_string(),
            controls: vec![self.controls(terms.currency, controls)],
            // Without one: registering an account that is there gives it, whatever was asked for
            // before.
            request_id: String::new(),
            validate_only: false,
        };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.client.clone();
            async move { client.register_ledger_account(request).await }
        });
        decode(asked.await?)
    }

    /// Replaces what this service has the ledger enforce, unless it has something newer.
    pub(crate) async fn set_controls(
        &self,
        call: &Call,
        account: &Account,
        controls: &Controls,
    ) -> Result<LedgerAccount, Problem> {
        let request = wire::SetLedgerControlsRequest {
            name: account.id.name(),
            controls: Some(self.controls(account.terms.currency, controls)),
            // The version makes repeats harmless.
            ..wire::SetLedgerControlsRequest::default()
        };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.client.clone();
            async move { client.set_ledger_controls(request).await }
        });
        decode(asked.await?)
    }

    /// Closes an account whose controls of this version say so, and moves what is left.
    pub(crate) async fn close(
        &self,
        call: &Call,
        account: &Account,
        version: i64,
    ) -> Result<(), Problem> {
        let request = wire::CloseLedgerAccountRequest {
            name: account.id.name(),
            request_id: format!("{}/{}/{version}", account.id, self.timeline),
            disposition_account: account.disposition.map(AccountId::name).unwrap_or_default(),
            validate_only: false,
        };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.client.clone();
            async move { client.close_ledger_account(request).await }
        });
        asked.await.map(drop)
    }

    /// Opens a closed account again.
    pub(crate) async fn reopen(
        &self,
        call: &Call,
        account: &Account,
        version: i64,
    ) -> Result<(), Problem> {
        let request = wire::ReopenLedgerAccountRequest {
            name: account.id.name(),
            request_id: format!("{}/{}/{version}", account.id, self.timeline),
            validate_only: false,
        };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.client.clone();
            async move { client.reopen_ledger_account(request).await }
        });
        asked.await.map(drop)
    }

    /// Reads an account of the ledger; none where it has none.
    pub(crate) async fn get(
        &self,
        call: &Call,
        id: AccountId,
    ) -> Result<Option<LedgerAccount>, Problem> {
        let request = wire::GetLedgerAccountRequest { name: id.name() };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.client.clone();
            async move { client.get_ledger_account(request).await }
        });
        match asked.await {
            Ok(account) => decode(account).map(Some),
            Err(problem) if problem.reason == Reason::ResourceNotFound => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Reads accounts of the ledger, in the order of their ids.
    pub(crate) async fn list(
        &self,
        call: &Call,
        page_token: String,
    ) -> Result<LedgerPage, Problem> {
        let request = wire::ListLedgerAccountsRequest {
            page_size: PAGE_SIZE,
            page_token,
            filter: String::new(),
        };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.client.clone();
            async move { client.list_ledger_accounts(request).await }
        });
        let page = asked.await?;
        let accounts = page.accounts.into_iter().map(decode);
        let accounts = accounts.collect::<Result<Vec<_>, _>>()?;
        Ok(LedgerPage { accounts, next: page.next_page_token })
    }

    fn controls(&self, currency: Currency, controls: &Controls) -> wire::Controls {
        wire::Controls {
            source: SOURCE.to_owned(),
            version: controls.version,
            timeline: self.timeline.to_string(),
            blocks: controls.blocks.iter().map(|block| encode_block(block, currency)).collect(),
            limits: controls.limits.iter().map(|limit| encode::limit(limit, currency)).collect(),
        }
    }

    /// Whether an account of the ledger has controls of this version, of this timeline.
    pub(crate) fn has(&self, found: &LedgerAccount, controls: &Controls) -> bool {
        let timeline = self.timeline.to_string();
        (found.controls.version, &found.controls.timeline) == (controls.version, &timeline)
    }

    /// The version that an account of the ledger has in this timeline; 0 where it has none.
    pub(crate) fn version(&self, found: &LedgerAccount) -> i64 {
        match found.controls.timeline == self.timeline.to_string() {
            true => found.controls.version,
            false => 0,
        }
    }

    /// Whether an account of the ledger has exactly these controls, but for what is over.
    pub(crate) fn agrees(
        &self,
        found: &LedgerAccount,
        currency: Currency,
        controls: &Controls,
        now: Timestamp,
    ) -> bool {
        let (ours, theirs) = (self.controls(currency, controls), &found.controls);
        self.has(found, controls)
            && ours.limits == theirs.limits
            && in_force(&ours.blocks, now) == in_force(&theirs.blocks, now)
    }
}

fn decode(account: wire::LedgerAccount) -> Result<LedgerAccount, Problem> {
    let id = AccountId::parse_name(&account.name).map_err(|_| Problem::internal())?;
    let is_closed = account.state() == wire::ledger_account::State::Closed;
    let controls = account.controls.into_iter().find(|controls| controls.source == SOURCE);
    Ok(LedgerAccount { id, is_closed, controls: controls.unwrap_or_default() })
}

/// Blocks that hold or will hold, as they look once they have begun.
fn in_force(blocks: &[wire::Block], now: Timestamp) -> Vec<wire::Block> {
    let is_past = |time: &Option<prost_types::Timestamp>| {
        let time = time.map(Timestamp::decode).transpose().ok().flatten();
        time.is_some_and(|time| time <= now)
    };
    let current = blocks.iter().filter(|block| !is_past(&block.end_time)).cloned();
    let mut begun: Vec<wire::Block> = Vec::new();
    for mut block in current {
        block.start_time = block.start_time.filter(|start| !is_past(&Some(*start)));
        if block.amount.is_some() || !begun.contains(&block) {
            begun.push(block);
        }
    }
    begun
}

fn encode_block(block: &Block, currency: Currency) -> wire::Block {
    wire::Block {
        effect: block.direction.number().into(),
        amount: block.amount.map(|units| units.encode(currency)),
        start_time: block.start.map(Timestamp::encode),
        end_time: block.end.map(Timestamp::encode),
        reason_code: block.reason_code.clone(),
        honour_holds: block.honour_holds,
    }
}
