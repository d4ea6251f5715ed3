//! `BooksService.VerifyBooks`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, unfold};
use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::problem::{Problem, Reason};
use shared::task::blocking;
use strongroom_proto::transactions::v1 as wire;
use tokio_util::sync::DropGuard;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::AccountId;
use crate::verifier::{Asked, Books, News, Verification};

/// How often it says how far it is.
const INTERVAL: Duration = Duration::from_secs(1);
/// Mismatches of one message at most.
const MISMATCHES_MAX: usize = 1_000;
/// Accounts of one request at most.
const ACCOUNTS_MAX: usize = 1_000;

/// How far it is, again and again.
pub(crate) type Progress = BoxStream<'static, Result<wire::VerifyBooksResponse, Status>>;

pub(super) fn call(
    rpc: &Rpc,
    request: &Request<wire::VerifyBooksRequest>,
) -> Result<Response<Progress>, Status> {
    let call = Call::of(request)?;
    let asked = decode(request.get_ref())?;
    let (verification, stop) = start(rpc, &call, asked)?;
    Ok(Response::new(watch(verification, stop)))
}

fn decode(request: &wire::VerifyBooksRequest) -> Decoded<Asked> {
    if request.accounts.len() > ACCOUNTS_MAX {
        return Err(invalid(format!("must be at most {ACCOUNTS_MAX}"))).at("accounts");
    }
    if request.log && !request.accounts.is_empty() {
        return Err(invalid("must not be given with accounts")).at("log");
    }
    let names = request.accounts.iter().enumerate();
    let accounts: BTreeSet<AccountId> = names
        .map(|(index, name)| AccountId::parse_name(name).at_index("accounts", index))
        .collect::<Decoded<_>>()?;
    Ok(Asked { accounts: accounts.into_iter().collect(), log: request.log })
}

/// Starts a verification, which ends with the guard at the latest.
fn start(rpc: &Rpc, call: &Call, asked: Asked) -> Result<(Verification, DropGuard), Problem> {
    let permit = Arc::clone(&rpc.verifications).try_acquire_owned().map_err(|_| {
        let message = "As many verifications run as may at once.";
        Problem::new(Reason::Overloaded, message).retry_after(Duration::from_secs(10))
    })?;
    let books = Books::of(call.tenant()?);
    let stop = rpc.shutdown.child_token();
    let verification = Verification::new(stop.clone());
    let (session, owner) = rpc.db.session();
    let own = verification.clone();
    tokio::spawn(async move {
        // The thread ends soon after somebody goes away, and only then has the next one room.
        let _owner = owner;
        if let Err(panic) = blocking(move || own.run(session, &books, &asked, permit)).await {
            tracing::error!(%panic, "a verification failed");
        }
    });
    Ok((verification, stop.drop_guard()))
}

/// Sends what is new about every second until it has ended.
fn watch(verification: Verification, stop: DropGuard) -> Progress {
    let began = Instant::now();
    unfold(Some((verification, stop)), move |watched| async move {
        let (verification, stop) = watched?;
        let news = verification.news(INTERVAL, MISMATCHES_MAX).await;
        match &news.end {
            None => Some((Ok(encode(news, began)), Some((verification, stop)))),
            Some(Ok(())) => Some((Ok(encode(news, began)), None)),
            Some(Err(problem)) => Some((Err(problem.clone().into()), None)),
        }
    })
    .boxed()
}

fn encode(news: News, began: Instant) -> wire::VerifyBooksResponse {
    let elapsed = began.elapsed();
    let done = news.end.is_some();
    wire::VerifyBooksResponse {
        mismatches: news.findings.into_iter().map(encode::finding).collect(),
        accounts: news.counts.accounts,
        entries: news.counts.entries,
        transactions: news.counts.transactions,
        leaves: news.counts.leaves,
        mismatch_count: news.found,
        elapsed: prost_types::Duration::try_from(elapsed).ok(),
        percent: if done { 100 } else { news.percent },
        done,
    }
}
