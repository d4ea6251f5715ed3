//! Two replicas on one database.

use shared::testing::Running;

use crate::setup::{Client, Ledger};

/// A slow machine is no failure.
pub(crate) const PATIENT: [&str; 8] = [
    "--default-deadline",
    "60",
    "--statement-timeout",
    "60",
    "--lock-timeout",
    "60",
    "--pool-wait",
    "60",
];

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

    /// A caller of each.
    pub(crate) fn clients(&self) -> [Client; 2] {
        [self.client(0), self.client(1)]
    }

    /// A caller of one of them with a connection of its own.
    pub(crate) fn client(&self, index: usize) -> Client {
        let server = if index.is_multiple_of(2) { &self.ledger.server } else { &self.replica };
        self.ledger.client_at(server, self.ledger.tenant, &["*"])
    }
}
