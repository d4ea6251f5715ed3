//! The comparison of all accounts with the ledger: two walks in the order of ids, side by side.
//! What the ledger has otherwise is delivered anew, under a version above the one that it has.

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
                repaired += usize::from(self.repair(&tenant, &position, found.as_ref()).await?);
            }
        }
        if repaired > 0 {
            tracing::warn!(repaired, "the ledger had accounts otherwise, and is told anew");
        }
        Ok(())
    }

    /// Has an account delivered anew, if the ledger has it otherwise. Both sides were read at
    /// different times, so they are looked at once more before that.
    async fn repair(
        &self,
        tenant: &Arc<TenantInfo>,
        position: &Position,
        found: Option<&LedgerAccount>,
    ) -> Result<bool, Problem> {
        if self.agrees(position, found) {
            return Ok(false);
        }
        let (tenant_id, id) = (tenant.id, position.account.id);
        let now = self.deliverer.clock.now();
        let read = move |conn: &mut PgConnection| positions::select(conn, tenant_id, id, now);
        let scope = Scope::tenant(tenant_id, Deadline::after(self.config.reconcile_timeout));
        let Some(position) = self.deliverer.db.read("compare_account", scope, read).await? else {
            return Ok(false);
        };
        let found = self.deliverer.ledger.get(&self.call(tenant), id).await?;
        if self.agrees(&position, found.as_ref()) {
            return Ok(false);
        }
        let seen = found.map_or(0, |found| self.deliverer.ledger.version(&found));
        let repair = move |conn: &mut PgConnection| {
            Ok::<_, Error>(ledger_intents::repair(conn, tenant_id, id, seen, now)?)
        };
        let scope = Scope::tenant(tenant_id, Deadline::after(self.config.reconcile_timeout));
        self.deliverer.db.write("repair_account", scope, repair).await?;
        Ok(true)
    }

    /// Whether the ledger has an account as it is here. What is on its way comes by itself.
    fn agrees(&self, position: &Position, found: Option<&LedgerAccount>) -> bool {
        let (account, now) = (&position.account, self.deliverer.clock.now());
        if account.acknowledged_version < account.controls_version {
            return true;
        }
        let (ledger, controls) = (&self.deliverer.ledger, position.controls(now));
        found.is_some_and(|found| match account.state {
            // Nothing passes there, whatever else is ordered meanwhile.
            AccountState::Closed => found.is_closed,
            _ => !found.is_closed && ledger.agrees(found, account.terms.currency, &controls, now),
        })
    }

    fn call(&self, tenant: &Arc<TenantInfo>) -> Call {
        Call::of_worker("reconciler", Arc::clone(tenant), self.config.reconcile_timeout)
    }
}
