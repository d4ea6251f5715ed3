//! The comparison of all accounts with the ledger: two walks in the order of ids, side by side. What
//! the ledger has otherwise is delivered anew, under a version above the one that it has.

use std::collections::VecDeque;
use std::sync::Arc;

use diesel::PgConnection;
use shared::db::Scope;
use shared::deadline::Deadline;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::tenants::TenantInfo;

use super::Reconciler;
use crate::clients::{Ledger, LedgerAccount};
use crate::domain::{AccountId, AccountState, Position};
use crate::error::Error;
use crate::store::{accounts, ledger_intents, positions};

/// Accounts that are read at once.
const AT_ONCE: i64 = 500;

/// The walk through the ledger.
struct Walk<'a> {
    reconciler: &'a Reconciler,
    tenant: &'a Arc<TenantInfo>,
    read: VecDeque<LedgerAccount>,
    /// Where to go on; none behind the end.
    next: Option<String>,
}

impl Walk<'_> {
    fn ledger(&self) -> &Ledger {
        &self.reconciler.deliverer.ledger
    }

    /// The account of an id, if the ledger has it. Ids are asked for in their order.
    async fn find(&mut self, id: AccountId) -> Result<Option<LedgerAccount>, Problem> {
        loop {
            match self.read.front() {
                // One that is not known here stays as it is: `strongroom reconcile` names it.
                Some(found) if found.id < id => _ = self.read.pop_front(),
                Some(found) if found.id == id => return Ok(self.read.pop_front()),
                Some(_) => return Ok(None),
                None => {
                    let Some(token) = self.next.take() else { return Ok(None) };
                    let call = self.reconciler.call(self.tenant);
                    let page = self.ledger().list(&call, token).await?;
                    self.read = page.accounts.into();
                    self.next = Some(page.next).filter(|next| !next.is_empty());
                }
            }
        }
    }
}

impl Reconciler {
    /// Compares all accounts of a tenant.
    pub(super) async fn compare(&self, id: TenantId) -> Result<(), Problem> {
        let deadline = Deadline::after(self.config.reconcile_timeout);
        let tenant = self.tenants.get(id, deadline).await?;
        if tenant.allow(false).is_err() {
            return Ok(());
        }
        let read = VecDeque::new();
        let mut walk = Walk { reconciler: self, tenant: &tenant, read, next: Some(String::new()) };
        let (mut after, mut repaired) = (None, 0);
        loop {
            let now = self.deliverer.clock.now();
            let read = move |conn: &mut PgConnection| {
                let some = accounts::walk(conn, id, after, AT_ONCE)?;
                Ok::<_, Error>(positions::of(conn, id, some, now)?)
            };
            let scope = Scope::tenant(id, Deadline::after(self.config.reconcile_timeout));
            let some = self.deliverer.db.read("compare_accounts", scope, read).await?;
            let Some(last) = some.last() else { break };
            after = Some(last.account.id);
            for position in some {
                let found = walk.find(position.account.id).await?;
                repaired += usize::from(self.repair(id, &position, found.as_ref()).await?);
            }
        }
        if repaired > 0 {
            tracing::warn!(repaired, "the ledger had accounts otherwise, and is told anew");
        }
        Ok(())
    }

    /// Has an account delivered anew, if the ledger has it otherwise. What is on its way anyway
    /// comes by itself.
    async fn repair(
        &self,
        tenant: TenantId,
        position: &Position,
        found: Option<&LedgerAccount>,
    ) -> Result<bool, Error> {
        let (account, now) = (&position.account, self.deliverer.clock.now());
        if account.acknowledged_version < account.controls_version {
            return Ok(false);
        }
        let (ledger, controls) = (&self.deliverer.ledger, position.controls(now));
        let agrees = found.is_some_and(|found| {
            found.is_closed == (account.state == AccountState::Closed)
                && ledger.agrees(found, account.terms.currency, &controls, now)
        });
        if agrees {
            return Ok(false);
        }
        let (id, seen) = (account.id, found.map_or(0, |found| ledger.version(found)));
        let repair = move |conn: &mut PgConnection| {
            Ok::<_, Error>(ledger_intents::repair(conn, tenant, id, seen, now)?)
        };
        let scope = Scope::tenant(tenant, Deadline::after(self.config.reconcile_timeout));
        self.deliverer.db.write("repair_account", scope, repair).await?;
        Ok(true)
    }

    fn call(&self, tenant: &Arc<TenantInfo>) -> Call {
        Call::of_worker("reconciler", Arc::clone(tenant), self.config.reconcile_timeout)
    }
}
