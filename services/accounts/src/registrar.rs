//! The last steps of an account: the ledger gets it, it opens, and its request is settled. They
//! repeat safely, so a call and the reconciler may both take them.

use diesel::PgConnection;
use shared::clock::Clock;
use shared::db::Db;
use shared::grpc::Call;
use shared::outcome;

use crate::clients::Ledger;
use crate::domain::{Account, AccountState};
use crate::error::Error;
use crate::store::accounts;
use crate::store::ledger_intents::{self, Intent};

/// Brings accounts to the ledger.
#[derive(Debug, Clone)]
pub(crate) struct Registrar {
    /// The database.
    pub(crate) db: Db,
    /// The time.
    pub(crate) clock: Clock,
    /// The ledger.
    pub(crate) ledger: Ledger,
}

impl Registrar {
    /// Registers an account and opens it.
    pub(crate) async fn register(
        &self,
        call: &Call,
        account: &Account,
        intent: Intent,
    ) -> Result<Account, Error> {
        self.ledger.register(call, account, intent.version).await?;
        let (tenant, id, clock) = (call.tenant_id()?, account.id, self.clock.clone());
        let open = move |conn: &mut PgConnection| {
            let now = clock.now();
            outcome::succeed(conn, tenant, &intent.operation, &intent.request_id, now)?;
            let account = accounts::lock(conn, tenant, id)?;
            let mut account = account.ok_or_else(|| id.not_found())?;
            if account.state == AccountState::Pending {
                account.open(now)?;
                accounts::update_state(conn, tenant, &account)?;
            }
            ledger_intents::acknowledge(conn, tenant, &intent, now)?;
            Ok(account)
        };
        self.db.write("open_account", call.scope(), open).await
    }
}
