//! What closes an account: one database transaction that decides, moves what is left and closes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use diesel::PgConnection;
use serde::Serialize;
use shared::grpc::Call;
use shared::money::Units;
use shared::outcome;
use shared::problem::{Problem, Reason};
use shared::tenants::TenantInfo;
use shared::time::Timestamp;

use super::Rpc;
use crate::domain::{
    AccountId, CLOSED, LedgerAccount, Made, NewTransaction, Order, check_disposition, dispose,
};
use crate::engine::{Ask, Item, Job, Settled, post_within, preview};
use crate::error::Error;
use crate::store::ledger_accounts;

/// The operation under which a disposition has its outcome. No method has it, so that no caller's
/// id meets one of these; its ids are the account and the version that it has when it is disposed
/// of. A version passes once, and an account that is reopened and closed again has a later one.
const OPERATION: &str = "close-ledger-account/disposition";

/// An account that is to be closed.
pub(super) struct Closing {
    tenant: Arc<TenantInfo>,
    id: AccountId,
    disposition: Option<AccountId>,
    /// Of the disposition, still without its id.
    request: outcome::Request,
}

impl Closing {
    pub(super) fn new(
        rpc: &Rpc,
        call: &Call,
        id: AccountId,
        disposition: Option<AccountId>,
        asked: &impl Serialize,
    ) -> Result<Self, Problem> {
        let tenant = Arc::clone(call.tenant()?);
        let request = call.request(OPERATION, String::new(), asked, &rpc.clock)?;
        Ok(Self { tenant, id, disposition, request })
    }

    /// Closes it. The locks order this against every posting: one that comes later finds the
    /// account closed.
    pub(super) fn close(
        &self,
        conn: &mut PgConnection,
        now: Timestamp,
    ) -> Result<LedgerAccount, Error> {
        let tenant = self.tenant.id;
        let mut accounts = ledger_accounts::lock(conn, tenant, &self.ids())?.accounts;
        let mut account = self.take(&mut accounts)?;
        if account.close_time.is_some() {
            return Ok(account);
        }
        if let Some(draft) = self.decide(&account, &accounts, now)? {
            // The engine locks the same rows again, which this transaction has.
            match post_within(conn, self.job(&account, draft), now)? {
                Settled::Done(_) => {}
                Settled::Replayed(_) => return Err(Problem::internal().into()),
            }
            let found = ledger_accounts::select(conn, tenant, self.id)?;
            account = found.ok_or_else(|| self.id.not_found())?;
        }
        let account = closed(account, now)?;
        ledger_accounts::update_close_time(conn, tenant, &account)?;
        ledger_accounts::record(conn, tenant, CLOSED, &account, None)?;
        Ok(account)
    }

    /// Decides the same in a snapshot, and gives the account as it would be.
    pub(super) fn preview(
        &self,
        conn: &mut PgConnection,
        now: Timestamp,
    ) -> Result<LedgerAccount, Error> {
        let tenant = self.tenant.id;
        let mut accounts = ledger_accounts::select_now(conn, tenant, &self.ids(), now)?;
        let mut account = self.take(&mut accounts)?;
        if account.close_time.is_some() {
            return Ok(account);
        }
        if let Some(draft) = self.decide(&account, &accounts, now)? {
            let made = preview(conn, &self.job(&account, draft), now)?;
            let posted = made.iter().find_map(Made::transaction);
            let entries = posted.map_or(&[][..], |posted| &posted.entries);
            for posted in entries.iter().filter(|posted| posted.entry.account == self.id) {
                account.add(posted.entry.direction, posted.entry.amount.units);
                account.entry_seq = posted.entry_seq;
                account.version = posted.version_after;
            }
        }
        closed(account, now)
    }

    fn ids(&self) -> BTreeSet<AccountId> {
        self.disposition.into_iter().chain([self.id]).collect()
    }

    fn take(
        &self,
        accounts: &mut BTreeMap<AccountId, LedgerAccount>,
    ) -> Result<LedgerAccount, Error> {
        accounts.remove(&self.id).ok_or_else(|| self.id.not_found().into())
    }

    /// What is to be posted before the account can be closed. A disposition account is looked at
    /// also where nothing is left for it: the request does not become right by an empty account.
    fn decide(
        &self,
        account: &LedgerAccount,
        others: &BTreeMap<AccountId, LedgerAccount>,
        now: Timestamp,
    ) -> Result<Option<NewTransaction>, Error> {
        let Some(id) = self.disposition else { return Ok(None) };
        let field = |problem: Problem| problem.in_field("disposition_account");
        let disposition = others.get(&id).ok_or_else(|| field(id.not_found()))?;
        check_disposition(account, disposition)
            .map_err(|refusal| field(Error::Refused(refusal).to_problem()))?;
        if account.held != Units::ZERO {
            return Err(not_empty(account).into());
        }
        dispose(account, disposition, now).map_err(Error::Refused)
    }

    /// The order of the disposition.
    fn job(&self, account: &LedgerAccount, draft: NewTransaction) -> Job {
        let request_id = format!("{}/{}", account.id.name(), account.version);
        let request = outcome::Request { request_id, ..self.request.clone() };
        let items = vec![Item::new(Order::Post(draft))];
        let tenant = Arc::clone(&self.tenant);
        Job { tenant, ask: Ask::Orders { request, batch: None, items } }
    }
}

/// The account as closed, if it is empty.
fn closed(mut account: LedgerAccount, now: Timestamp) -> Result<LedgerAccount, Error> {
    if account.posted() == Units::ZERO && account.held == Units::ZERO {
        account.touch(now.max(account.record_time.next()));
        account.close_time = Some(account.record_time);
        return Ok(account);
    }
    Err(not_empty(&account).into())
}

fn not_empty(account: &LedgerAccount) -> Problem {
    let message = format!("{} is not empty.", account.id);
    Problem::new(Reason::AccountNotEmpty, message)
        .figure("account", account.id)
        .figure("currency", account.currency)
        .figure("posted", account.posted().major(account.currency))
        .figure("held", account.held.major(account.currency))
}
