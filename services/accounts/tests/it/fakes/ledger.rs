//! The ledger, as far as accounts asks it.

use std::collections::{BTreeMap, BTreeSet};

use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};
use wire::block::Effect;
use wire::ledger_account::State as LedgerState;
use wire::ledger_service_server::LedgerService;

use super::{Peers, taken};

/// Accounts in one answer, so that walks have more than one.
const PAGE: usize = 7;

#[derive(Default)]
pub(super) struct State {
    accounts: BTreeMap<String, wire::LedgerAccount>,
    /// Those on which something is posted.
    filled: BTreeSet<String>,
    /// What closings moved: from where to where.
    moved: Vec<(String, String)>,
}

impl State {
    fn find(&mut self, name: &str) -> Result<&mut wire::LedgerAccount, Problem> {
        let missing = || Problem::new(Reason::ResourceNotFound, "There is no such account.");
        self.accounts.get_mut(name).ok_or_else(missing)
    }
}

/// A source's controls replace those that it had, unless they are older.
fn merge(account: &mut wire::LedgerAccount, new: wire::Controls) {
    let age = |controls: &wire::Controls| (controls.timeline.clone(), controls.version);
    match account.controls.iter_mut().find(|controls| controls.source == new.source) {
        Some(old) if age(old) >= age(&new) => {}
        Some(old) => *old = new,
        None => account.controls.push(new),
    }
}

impl Peers {
    /// An account as the ledger has it.
    pub(crate) fn ledger_account(&self, name: &str) -> Option<wire::LedgerAccount> {
        self.state().ledger.accounts.get(name).cloned()
    }

    /// Every account of the ledger.
    pub(crate) fn ledger_accounts(&self) -> Vec<wire::LedgerAccount> {
        self.state().ledger.accounts.values().cloned().collect()
    }

    /// Whether the ledger would refuse a posting in a direction now, by a block without an amount.
    pub(crate) fn forbids(&self, name: &str, direction: Effect) -> bool {
        let now = shared::clock::Clock::system().now();
        let is_past = |time: &Option<prost_types::Timestamp>| {
            time.is_some_and(|time| Timestamp::decode(time).unwrap() <= now)
        };
        let account = self.ledger_account(name).expect("the ledger has the account");
        let blocks = account.controls.into_iter().flat_map(|controls| controls.blocks);
        let mut holding = blocks.filter(|block| {
            (block.start_time.is_none() || is_past(&block.start_time)) && !is_past(&block.end_time)
        });
        holding.any(|block| {
            let is_about = block.effect() == Effect::All || block.effect() == direction;
            block.amount.is_none() && is_about
        })
    }

    /// Says that something is posted on an account, so that it does not close without a
    /// disposition.
    pub(crate) fn fill(&self, name: &str) {
        self.state().ledger.filled.insert(name.to_owned());
    }

    /// What closings moved: from where to where.
    pub(crate) fn moved(&self) -> Vec<(String, String)> {
        self.state().ledger.moved.clone()
    }

    /// Takes the ledger to an earlier state: gives what it has, or puts that back.
    pub(crate) fn ledger_backup(&self) -> BTreeMap<String, wire::LedgerAccount> {
        self.state().ledger.accounts.clone()
    }

    pub(crate) fn ledger_restore(&self, backup: BTreeMap<String, wire::LedgerAccount>) {
        self.state().ledger.accounts = backup;
    }
}

#[tonic::async_trait]
impl LedgerService for Peers {
    async fn register_ledger_account(
        &self,
        request: Request<wire::RegisterLedgerAccountRequest>,
    ) -> Result<Response<wire::LedgerAccount>, Status> {
        self.work("RegisterLedgerAccount", &request, |state| {
            let asked = request.get_ref().clone();
            let name = format!("accounts/{}", asked.account_id);
            let mut account = asked.account.unwrap();
            account.name.clone_from(&name);
            account.controls = asked.controls;
            account.state = LedgerState::Open.into();
            let found = state.ledger.accounts.entry(name.clone()).or_insert(account.clone());
            if (&found.currency, &found.customer) != (&account.currency, &account.customer) {
                return Err(taken(name));
            }
            Ok(found.clone())
        })
    }

    async fn set_ledger_controls(
        &self,
        request: Request<wire::SetLedgerControlsRequest>,
    ) -> Result<Response<wire::LedgerAccount>, Status> {
        self.work("SetLedgerControls", &request, |state| {
            let asked = request.get_ref();
            let account = state.ledger.find(&asked.name)?;
            merge(account, asked.controls.clone().unwrap());
            Ok(account.clone())
        })
    }

    async fn get_ledger_account(
        &self,
        request: Request<wire::GetLedgerAccountRequest>,
    ) -> Result<Response<wire::LedgerAccount>, Status> {
        self.work("GetLedgerAccount", &request, |state| {
            state.ledger.find(&request.get_ref().name).cloned()
        })
    }

    async fn list_ledger_accounts(
        &self,
        request: Request<wire::ListLedgerAccountsRequest>,
    ) -> Result<Response<wire::ListLedgerAccountsResponse>, Status> {
        self.work("ListLedgerAccounts", &request, |state| {
            let after = &request.get_ref().page_token;
            let mut rest = state.ledger.accounts.range::<String, _>((
                std::ops::Bound::Excluded(after.clone()),
                std::ops::Bound::Unbounded,
            ));
            let accounts: Vec<wire::LedgerAccount> =
                rest.by_ref().take(PAGE).map(|(_, account)| account.clone()).collect();
            let last = accounts.last().map(|account| account.name.clone());
            let next = rest.next().and(last).unwrap_or_default();
            Ok(wire::ListLedgerAccountsResponse { accounts, next_page_token: next })
        })
    }

    async fn close_ledger_account(
        &self,
        request: Request<wire::CloseLedgerAccountRequest>,
    ) -> Result<Response<wire::LedgerAccount>, Status> {
        self.work("CloseLedgerAccount", &request, |state| {
            let asked = request.get_ref();
            let is_filled = state.ledger.filled.contains(&asked.name);
            if is_filled && asked.disposition_account.is_empty() {
                return Err(Problem::new(Reason::AccountNotEmpty, "It is not empty.")
                    .figure("account", &asked.name));
            }
            let account = state.ledger.find(&asked.name)?;
            account.state = LedgerState::Closed.into();
            let account = account.clone();
            if state.ledger.filled.remove(&asked.name) {
                let to = asked.disposition_account.clone();
                state.ledger.filled.insert(to.clone());
                state.ledger.moved.push((asked.name.clone(), to));
            }
            Ok(account)
        })
    }

    async fn reopen_ledger_account(
        &self,
        request: Request<wire::ReopenLedgerAccountRequest>,
    ) -> Result<Response<wire::LedgerAccount>, Status> {
        self.work("ReopenLedgerAccount", &request, |state| {
            let account = state.ledger.find(&request.get_ref().name)?;
            account.state = LedgerState::Open.into();
            Ok(account.clone())
        })
    }
}
