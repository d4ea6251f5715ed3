//! Registers accounts: parents before their children, many at once.

use futures_util::future::join_all;
use strongroom_proto::transactions::v1::RegisterLedgerAccountRequest;
use strongroom_proto::transactions::v1::ledger_service_client::LedgerServiceClient;
use tonic::{Request, Status};

use super::error::ImportError;
use super::resume::{Resume, Written};
use super::send::{DEADLINE, may_try, pause};
use crate::client::Api;
use crate::refusal::Refusal;

/// Accounts that are asked for at once.
const AT_ONCE: usize = 32;

/// Registers accounts.
pub(super) struct Registrar {
    client: LedgerServiceClient<Api>,
    waiting: Vec<(u64, RegisterLedgerAccountRequest)>,
}

impl Registrar {
    pub(super) fn new(client: LedgerServiceClient<Api>) -> Self {
        Self { client, waiting: Vec::with_capacity(AT_ONCE) }
    }

    /// Takes an account, and registers those that wait once they are many.
    pub(super) async fn push(
        &mut self,
        line: u64,
        request: RegisterLedgerAccountRequest,
        resume: &mut Resume,
    ) -> Result<(), ImportError> {
        self.waiting.push((line, request));
        if self.waiting.len() == AT_ONCE { self.finish(resume).await } else { Ok(()) }
    }

    /// Registers those that wait. Without an account nothing can be posted to it, so the first that
    /// is refused ends the import.
    pub(super) async fn finish(&mut self, resume: &mut Resume) -> Result<(), ImportError> {
        let waiting = std::mem::take(&mut self.waiting);
        let calls = waiting.iter().map(|(_, request)| register(self.client.clone(), request));
        let answers = join_all(calls).await;
        for ((line, request), answer) in waiting.iter().zip(answers) {
            answer.map_err(|status| ImportError::Refused {
                what: format!("the account accounts/{} of line {line}", request.account_id),
                message: Refusal::from(&status).line(),
            })?;
        }
        let last = waiting.last().map(|(_, request)| Written {
            operation: "register-ledger-account".to_owned(),
            request_id: request.request_id.clone(),
        });
        match waiting.len() {
            0 => Ok(()),
            count => resume.acknowledge(count as u64, last, Vec::new()),
        }
    }
}

async fn register(
    mut client: LedgerServiceClient<Api>,
    asked: &RegisterLedgerAccountRequest,
) -> Result<(), Status> {
    let mut attempt = 0;
    loop {
        let mut request = Request::new(asked.clone());
        request.set_timeout(DEADLINE);
        match client.register_ledger_account(request).await {
            Ok(_) => return Ok(()),
            Err(status) if may_try(attempt, &status) => pause(attempt).await,
            Err(status) => return Err(status),
        }
        attempt += 1;
    }
}
