//! Two replicas on one database.

use shared::testing::Running;

use crate::setup::{Client, Ledger};

/// Long enough for a machine that does other things too.
pub(crate) const PATIENT: [&str; 2] = ["--lock-timeout", "60"];

pub(crate) struct Two {
    pub(crate) ledger: Ledger,
    replica: Running,
}

impl Two {
    pub(crate) async fn start() -> Self {
        let ledger = Ledger::start_with(&PATIENT).await;
        let replica = ledger.replica().await;
        Self { ledger, replica }
    }

    /// A caller of one of them with a connection of its own.
    pub(crate) fn client(&self, index: usize) -> Client {
        let server = if index.is_multiple_of(2) { &self.ledger.server } else { &self.replica };
        self.ledger.client_at(server, self.ledger.tenant, &["*"])
    }
}
