//! Brings the ledger to what this service knows of accounts, and settles the requests that asked
//! for it. Every step repeats safely, so calls and the reconciler may take it at the same time:
//! what is sent is full state under a version, and the ledger keeps the newest.

use std::collections::BTreeSet;

use diesel::PgConnection;
use futures_util::future::join_all;
use shared::clock::Clock;
use shared::db::Db;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::outcome;
use shared::problem::{Problem, Reason};
use shared::sequence::Nudge;
use shared::time::Timestamp;

use crate::clients::{Ledger, LedgerAccount};
use crate::domain::{Account, AccountId, AccountState, Controls, Freeze, Position};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::ledger_intents::{self, Cause};
use crate::store::{accounts, positions};

/// The operation that a refusal of the ledger to close an account rejects.
pub(crate) const CLOSE: &str = "close-account";

/// Accounts of which the ledger is told at once.
pub(crate) const AT_ONCE: u8 = 64;

/// Brings accounts to the ledger.
#[derive(Debug, Clone)]
pub(crate) struct Deliverer {
    /// The database.
    pub(crate) db: Db,
    /// The time.
    pub(crate) clock: Clock,
    /// The ledger.
    pub(crate) ledger: Ledger,
    /// To be told of every tenant for whom something was committed.
    pub(crate) nudge: Nudge,
}

/// How often others may be ahead of one request before it gives up.
const OVERTAKEN_MAX: usize = 8;

/// What became of an account in the ledger.
#[derive(Debug)]
enum Told {
    /// The ledger has something newer, of this version. Whoever brought it tells of it; if nobody
    /// here did, it is what a restored database has forgotten.
    Overtaken(i64),
    /// The ledger has it as it is here.
    Done,
    /// The ledger has refused to close it.
    Refused(Problem),
}

/// Whether the ledger was told of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// It has what is known here.
    Yes,
    /// It has something newer.
    No,
}

impl Deliverer {
    /// Delivers all that a request asked for, the first of it at once, and gives its outcome.
    pub(crate) async fn finish(
        &self,
        call: &Call,
        request: &outcome::Request,
        mut pending: Vec<AccountId>,
    ) -> Result<(), Error> {
        let tenant = request.tenant;
        let mut overtaken = 0;
        loop {
            for (id, delivered) in self.deliver(call, tenant, pending).await {
                overtaken += usize::from(delivered? == Delivered::No);
                if overtaken > OVERTAKEN_MAX {
                    let message = format!("The ledger has something newer of {id}.");
                    return Err(Problem::new(Reason::Contention, message).into());
                }
            }
            let asked = request.clone();
            let read = move |conn: &mut PgConnection| {
                let cause = Cause::of(&asked);
                let pending = ledger_intents::pending(conn, tenant, cause, AT_ONCE.into())?;
                let found = outcome::select(conn, tenant, cause.operation, cause.request_id)?;
                Ok::<_, Error>((pending, found))
            };
            let (rest, found) = self.db.read("get_intents", call.scope(), read).await?;
            if rest.is_empty() {
                return found.map_or(Ok(()), |found| Ok(found.result()?));
            }
            pending = rest;
        }
    }

    /// Tells the ledger of accounts as they are now, and gives for each whether it worked.
    pub(crate) async fn deliver(
        &self,
        call: &Call,
        tenant: TenantId,
        ids: Vec<AccountId>,
    ) -> Vec<(AccountId, Result<Delivered, Error>)> {
        let mut all = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE.into()) {
            match self.deliver_some(call, tenant, ids).await {
                Ok(results) => all.extend(results),
                Err(error) => {
                    let problem = Problem::from(error);
                    all.extend(ids.iter().map(|id| (*id, Err(problem.clone().into()))));
                }
            }
        }
        all
    }

    async fn deliver_some(
        &self,
        call: &Call,
        tenant: TenantId,
        ids: &[AccountId],
    ) -> Result<Vec<(AccountId, Result<Delivered, Error>)>, Error> {
        let (ids, now) = (ids.to_vec(), self.clock.now());
        let read = move |conn: &mut PgConnection| {
            let found = accounts::select_all(conn, tenant, &ids)?.into_values().collect();
            Ok::<_, Error>(positions::of(conn, tenant, found, now)?)
        };
        let positions = self.db.read("get_positions", call.scope(), read).await?;
        let tell = async |position: &Position| {
            let (account, controls) = (&position.account, position.controls(now));
            let told = self.tell(call, position, &controls, now).await;
            (account.id, controls.version, told)
        };
        let told = join_all(positions.iter().map(tell)).await;
        let (mut results, mut done) = (Vec::new(), Vec::new());
        for (id, version, told) in told {
            match told {
                Ok(told) => done.push((id, version, told)),
                Err(problem) => results.push((id, Err(problem.into()))),
            }
        }
        results.extend(done.iter().map(|(id, _, told)| match told {
            Told::Overtaken(_) => (*id, Ok(Delivered::No)),
            Told::Done | Told::Refused(_) => (*id, Ok(Delivered::Yes)),
        }));
        if !done.is_empty() {
            self.settle(call, tenant, done).await?;
        }
        Ok(results)
    }

    /// Brings the ledger to the state of one account.
    async fn tell(
        &self,
        call: &Call,
        position: &Position,
        controls: &Controls,
        now: Timestamp,
    ) -> Result<Told, Problem> {
        let account = &position.account;
        let found = self.control(call, account, controls).await?;
        if !self.ledger.has(&found, controls) {
            return Ok(Told::Overtaken(self.ledger.version(&found)));
        }
        match account.state {
            AccountState::Pending | AccountState::Open | AccountState::Dormant => {
                if found.is_closed {
                    self.ledger.reopen(call, account, controls.version).await?;
                }
            }
            AccountState::Closing | AccountState::Closed => {
                if found.is_closed {
                    return Ok(Told::Done);
                }
                // One that came after the closing began stops it.
                if account.state == AccountState::Closing
                    && let Some(freeze) = position.frozen(now)
                {
                    return Ok(Told::Refused(blocked(account.id, freeze)));
                }
                match self.ledger.close(call, account, controls.version).await {
                    Err(problem)
                        if problem.is_frozen() && account.state == AccountState::Closing =>
                    {
                        return Ok(Told::Refused(problem));
                    }
                    closed => closed?,
                }
            }
        }
        Ok(Told::Done)
    }

    /// Has the ledger enforce the controls. An account that it does not have, because it is new or
    /// the ledger was restored, is registered with them.
    async fn control(
        &self,
        call: &Call,
        account: &Account,
        controls: &Controls,
    ) -> Result<LedgerAccount, Problem> {
        if account.state != AccountState::Pending {
            match self.ledger.set_controls(call, account, controls).await {
                Err(problem) if problem.reason == Reason::ResourceNotFound => {}
                told => return told,
            }
        }
        let found = self.ledger.register(call, account, controls).await?;
        if self.ledger.has(&found, controls) {
            return Ok(found);
        }
        // It was there already, with what it was told then.
        self.ledger.set_controls(call, account, controls).await
    }

    /// Writes down what the ledger has, and settles the requests that waited for it.
    async fn settle(
        &self,
        call: &Call,
        tenant: TenantId,
        done: Vec<(AccountId, i64, Told)>,
    ) -> Result<(), Error> {
        let clock = self.clock.clone();
        let settle = move |conn: &mut PgConnection| {
            let now = clock.now();
            // All writers take customers first, then accounts by their ids, then outcomes.
            let ids: Vec<AccountId> = done.iter().map(|(id, ..)| *id).collect();
            let mut locked = accounts::lock_all(conn, tenant, &ids)?;
            let mut asked = BTreeSet::new();
            for (id, version, told) in &done {
                let Some(account) = locked.get_mut(id) else { continue };
                if let Told::Overtaken(seen) = told {
                    if account.controls_version == *version && seen > version {
                        ledger_intents::repair(conn, tenant, *id, *seen, now)?;
                    }
                    continue;
                }
                let causes = ledger_intents::acknowledge(conn, tenant, *id, *version, now)?;
                if account.controls_version == *version {
                    arrive(conn, tenant, account, told, &causes, now)?;
                }
                asked.extend(causes);
            }
            for (operation, request_id) in &asked {
                outcome::lock(conn, tenant, operation, request_id)?;
                let cause = Cause { operation, request_id };
                if ledger_intents::pending(conn, tenant, cause, 1)?.is_empty() {
                    outcome::succeed(conn, tenant, operation, request_id, now)?;
                }
            }
            Ok::<_, Error>(())
        };
        let settled = self.db.write("settle_intents", call.scope(), settle).await;
        self.nudge.tenant(tenant);
        settled
    }
}

/// `ACCOUNT_BLOCKED` by a freeze.
pub(crate) fn blocked(id: AccountId, freeze: &Freeze) -> Problem {
    let message = format!("{id} is frozen by {}.", freeze.name());
    Problem::new(Reason::AccountBlocked, message)
        .figure("account", id)
        .figure("direction", freeze.direction.name())
        .figure("source", "accounts")
        .figure("reason_code", &freeze.reason_code)
        .figure("freeze", freeze.name())
}

/// Takes an account to where the ledger has it now. Where the ledger refused to close it, it is
/// open again, which the ledger has yet to be told, and the request is rejected for good.
fn arrive(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &mut Account,
    told: &Told,
    causes: &[(String, String)],
    now: Timestamp,
) -> Result<(), Error> {
    let kind = match (account.state, told) {
        (AccountState::Pending, Told::Done) => {
            account.open(now)?;
            "account.opened"
        }
        (AccountState::Closing, Told::Done) => {
            account.close(now)?;
            "account.closed"
        }
        (AccountState::Closing, Told::Refused(problem)) => {
            account.stay_open(now)?;
            for (operation, request_id) in causes.iter().filter(|(name, _)| name == CLOSE) {
                outcome::reject(conn, tenant, operation, request_id, problem, now)?;
            }
            if let Some((operation, request_id)) = causes.first() {
                let cause = Cause { operation, request_id };
                ledger_intents::change(conn, tenant, &[account.id], cause, now, now)?;
            }
            "account.stayedOpen"
        }
        _ => return Ok(()),
    };
    accounts::update(conn, tenant, account)?;
    Ok(events::record(conn, tenant, &Event::of_account(tenant, kind, account))?)
}
