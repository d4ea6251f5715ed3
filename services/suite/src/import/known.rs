//! The accounts that rows may name: those of the file, and those that the ledger has.

use std::collections::{BTreeMap, HashMap};

use shared::money::Currency;
use strongroom_proto::transactions::v1::ledger_service_client::LedgerServiceClient;
use strongroom_proto::transactions::v1::{AccountClass, GetLedgerAccountRequest, ledger_account};
use tonic::Code;
use uuid::Uuid;

use super::error::ImportError;
use super::fault::Fault;
use super::rules::{Account, Rules};
use crate::client::Api;
use crate::refusal::Refusal;

/// How far an account may be from the one that it rolls up to in the end.
const DEPTH_MAX: u32 = 64;

/// What postings have to know of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) currency: Currency,
    class: AccountClass,
    pub(super) is_closed: bool,
}

/// The accounts, by their ids.
pub(super) struct Known {
    ledger: LedgerServiceClient<Api>,
    /// None for what is nowhere.
    facts: HashMap<Uuid, Option<Facts>>,
    /// The parents of those of the file, and where these say so.
    parents: BTreeMap<Uuid, (Uuid, u64)>,
}

impl Known {
    pub(super) fn new(ledger: LedgerServiceClient<Api>) -> Self {
        Self { ledger, facts: HashMap::new(), parents: BTreeMap::new() }
    }

    /// Adds an account of the file.
    pub(super) fn add(&mut self, line: u64, account: &Account) -> Result<(), Fault> {
        let Account { id, currency, class, .. } = *account;
        let facts = Facts { currency, class, is_closed: false };
        if self.facts.insert(id, Some(facts)).is_some() {
            return Err(Fault::new(line, "id", "is there twice"));
        }
        if let Some(parent) = account.parent {
            self.parents.insert(id, (parent, line));
        }
        Ok(())
    }

    /// An account of the file or of the ledger.
    pub(super) async fn find(
        &mut self,
        id: Uuid,
        rules: &Rules,
    ) -> Result<Option<Facts>, ImportError> {
        if let Some(facts) = self.facts.get(&id) {
            return Ok(*facts);
        }
        let request = GetLedgerAccountRequest { name: format!("accounts/{id}") };
        let facts = match self.ledger.get_ledger_account(request).await {
            Ok(account) => {
                let account = account.into_inner();
                let currency = rules.currencies.find(&account.currency);
                let is_closed = account.state() == ledger_account::State::Closed;
                let class = account.class();
                currency.map(|currency| Facts { currency, class, is_closed })
            }
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => {
                let what = format!("to show accounts/{id}");
                return Err(ImportError::Refused { what, message: Refusal::from(&status).line() });
            }
        };
        self.facts.insert(id, facts);
        Ok(facts)
    }

    /// Judges what rolls up to what, once all accounts are known.
    pub(super) async fn check_parents(&mut self, rules: &Rules) -> Result<Vec<Fault>, ImportError> {
        let mut faults = Vec::new();
        for (child, (parent, line)) in self.parents.clone() {
            let (own, found) = (self.find(child, rules).await?, self.find(parent, rules).await?);
            let same = |own: Facts, found: Facts| {
                (own.currency, own.class) == (found.currency, found.class)
            };
            let sentence = match (own, found) {
                (_, None) => "must be an account of this file or of the ledger",
                (Some(own), Some(found)) if !same(own, found) => {
                    "must be an account of the same currency and class"
                }
                _ if self.depth(child) > DEPTH_MAX => "must not lead back to the account",
                _ => continue,
            };
            faults.push(Fault::new(line, "parent", sentence));
        }
        Ok(faults)
    }

    /// How many accounts of the file have to be there before this one.
    pub(super) fn depth(&self, id: Uuid) -> u32 {
        let parents = std::iter::successors(Some(id), |id| Some(self.parents.get(id)?.0));
        let count = parents.take(DEPTH_MAX as usize + 2).count();
        u32::try_from(count).unwrap_or(u32::MAX) - 1
    }

    /// The largest of these.
    pub(super) fn deepest(&self) -> u32 {
        self.parents.keys().map(|id| self.depth(*id)).max().unwrap_or_default()
    }
}
