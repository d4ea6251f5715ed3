//! Many callers, each with one thing after the other until the first failure: transfers, holds with
//! captures and releases, and batches of all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shared::problem::Reason;
use shared::testing::refusal;
use tokio::task::JoinSet;
use tonic::Status;

use super::request::{Api, Request, batch, capture, hold, release};
use crate::wire::transfer;

const CALLERS: usize = 24;

/// Something that was asked for, and what its caller knows of it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    /// Which account it pays.
    pub(super) account: usize,
    /// How many cents it pays if it happens.
    pub(super) cents: i64,
    /// What it made, or why the caller does not know; a batch has no name.
    pub(super) answer: Result<Option<String>, Status>,
}

impl Asked {
    /// While Postgres is away a caller learns that it should ask again, and nothing worse.
    pub(super) fn assert_told_to_repeat(&self) {
        if let Err(status) = &self.answer {
            let (reason, ..) = refusal(status);
            let is_told = matches!(reason, Reason::DatabaseUnavailable | Reason::Deadline);
            assert!(is_told, "{reason:?}: {status:?}");
        }
    }
}

/// Loads a service, the first of the accounts being the house, and has something happen in the
/// middle.
pub(super) async fn load(
    api: &Api,
    accounts: &[String],
    before: usize,
    interrupt: impl FnOnce(),
) -> Vec<Asked> {
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let account = 1 + caller % (accounts.len() - 1);
        let caller = Caller {
            api: api.clone(),
            house: accounts[0].clone(),
            destination: accounts[account].clone(),
            account,
            asked: Vec::new(),
            acknowledged: Arc::clone(&acknowledged),
        };
        callers.spawn(caller.run());
    }
    while acknowledged.load(Ordering::Relaxed) < before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    interrupt();
    callers.join_all().await.into_iter().flatten().collect()
}

struct Caller {
    api: Api,
    house: String,
    destination: String,
    account: usize,
    asked: Vec<Asked>,
    acknowledged: Arc<AtomicUsize>,
}

impl Caller {
    async fn run(mut self) -> Vec<Asked> {
        while self.cycle().await.is_some() {}
        self.asked
    }

    /// Asks for each of the things once; nothing after a failure.
    async fn cycle(&mut self) -> Option<()> {
        let (house, destination) = (self.house.clone(), self.destination.clone());
        self.ask(Request::Transfer(transfer(&house, &destination, "0.01")), 1).await?;
        let hold = self.ask(Request::Hold(hold(&house, &destination, "0.03")), 0).await??;
        self.ask(Request::Capture(capture(&hold, "0.01")), 1).await?;
        self.ask(Request::Batch(batch(&house, &destination)), 5).await?;
        // Half of the holds stay open with what is left.
        if self.asked.len().is_multiple_of(2) {
            self.ask(Request::Capture(capture(&hold, "0.01")), 1).await?;
            self.ask(Request::Release(release(&hold)), 0).await?;
        }
        Some(())
    }

    async fn ask(&mut self, request: Request, cents: i64) -> Option<Option<String>> {
        let answer = request.send(&self.api).await.map(|(name, _)| name);
        let known = answer.as_ref().ok().cloned();
        self.asked.push(Asked { request, account: self.account, cents, answer });
        self.acknowledged.fetch_add(usize::from(known.is_some()), Ordering::Relaxed);
        known
    }
}
