//! Somebody else's transaction, which keeps an account to itself until it lets it go.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use tokio::task::block_in_place;

use crate::setup::Ledger;

pub(crate) struct Gate {
    conn: PgConnection,
    /// Outside any transaction, or it would see the same sessions again and again.
    observer: PgConnection,
    /// What the sessions of the ledger's replicas are called.
    sessions: String,
}

fn lock(account: &str) -> String {
    let id = account.strip_prefix("accounts/").unwrap();
    format!("SELECT FROM ledger_accounts WHERE id = '{id}' FOR UPDATE")
}

impl Gate {
    /// Takes an account.
    pub(crate) fn close(ledger: &Ledger, account: &str) -> Self {
        block_in_place(|| {
            let (mut conn, observer) = (ledger.database.admin(), ledger.database.admin());
            conn.batch_execute(&format!("BEGIN; {}", lock(account))).unwrap();
            Self { conn, observer, sessions: format!("strongroom-{}", ledger.database.name) }
        })
    }

    /// Takes another account; false where that is a deadlock, of which this is the victim.
    pub(crate) fn take(&mut self, account: &str) -> bool {
        block_in_place(|| self.conn.batch_execute(&lock(account)).is_ok())
    }

    /// Waits until so many sessions of the service wait for locks.
    pub(crate) async fn wait_for(&mut self, count: i64) {
        #[derive(QueryableByName)]
        struct Waiting {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        const WAITING: &str = "SELECT count(*) AS count FROM pg_stat_activity \
                               WHERE application_name = $1 AND wait_event_type = 'Lock'";
        for _ in 0..30_000 {
            let query = diesel::sql_query(WAITING).bind::<Text, _>(&self.sessions);
            let found: Waiting = block_in_place(|| query.get_result(&mut self.observer).unwrap());
            if found.count >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("nobody waits");
    }
}
