//! Posting, as every way of asking for it shares it.

use std::sync::Arc;

use shared::grpc::Call;
use shared::lane::Priority;
use shared::problem::{Problem, Reason};

use super::Rpc;
use super::get_transaction::find;
use super::introduce::introduce;
use crate::domain::{BatchId, NewTransaction, TransactionId};
use crate::engine::{Item, Posting, Settled, preview};
use crate::store::transactions::StoredTransaction;

/// The operation of a single posting, by which its request id is found again.
const CREATE: &str = "create-transaction";
/// The operation of a batch that is posted all or nothing.
const BATCH: &str = "execute-batch";

/// A posting that is asked for.
pub(super) struct Post {
    /// One, or the items of a batch.
    pub(super) transactions: Vec<NewTransaction>,
    /// Whether they are a batch, which is posted all or nothing.
    pub(super) batch: bool,
    /// Empty only where it is validated.
    pub(super) request_id: String,
    pub(super) validate_only: bool,
    pub(super) priority: Priority,
}

/// What was posted, and whether it was before.
pub(super) struct Done {
    pub(super) transactions: Vec<StoredTransaction>,
    pub(super) replayed: bool,
}

/// Posts, once for each request id.
pub(super) async fn post(rpc: &Rpc, call: &Call, asked: Post) -> Result<Done, Problem> {
    let now = rpc.clock.now();
    let late = |one: &NewTransaction| one.effective_time.is_some_and(|time| time > now);
    if let Some(index) = asked.transactions.iter().position(late) {
        return Err(Problem::new(Reason::FieldInvalid, "must not be in the future")
            .in_field("transaction.effective_time")
            .figure("item", index));
    }
    match attempt(rpc, call, &asked).await {
        // An account that accounts has just opened, and that has not reached the ledger yet.
        Err(problem) if problem.reason == Reason::ResourceNotFound => {
            let accounts = posting(rpc, call, &asked)?.accounts();
            match introduce(rpc, call, accounts).await? {
                true => attempt(rpc, call, &asked).await,
                false => Err(problem),
            }
        }
        answer => answer,
    }
}

async fn attempt(rpc: &Rpc, call: &Call, asked: &Post) -> Result<Done, Problem> {
    let posting = posting(rpc, call, asked)?;
    if asked.validate_only {
        let now = rpc.clock.now();
        let decide = move |conn: &mut diesel::PgConnection| preview(conn, &posting, now);
        let transactions = rpc.db.read("validate_posting", call.scope(), decide).await?;
        return Ok(Done { transactions, replayed: false });
    }
    match rpc.lane.submit(posting, call.deadline, asked.priority).await?? {
        Settled::Posted(transactions) => Ok(Done { transactions, replayed: false }),
        Settled::Replayed(name) => {
            let transactions = replay(rpc, call, asked.batch, &name).await?;
            Ok(Done { transactions, replayed: true })
        }
    }
}

fn posting(rpc: &Rpc, call: &Call, asked: &Post) -> Result<Posting, Problem> {
    let outside = || Problem::new(Reason::Internal, "The method is called outside any tenant.");
    let (request_id, clock) = (asked.request_id.clone(), &rpc.clock);
    let request = match (asked.batch, asked.transactions.as_slice()) {
        (false, [one]) => call.request(CREATE, request_id, one, clock)?,
        (_, all) => call.request(BATCH, request_id, &all, clock)?,
    };
    Ok(Posting {
        tenant: call.tenant.as_ref().map(Arc::clone).ok_or_else(outside)?,
        request,
        batch: asked.batch.then(BatchId::generate),
        items: asked.transactions.iter().cloned().map(Item::new).collect(),
    })
}

/// What an earlier request with the same id has posted.
async fn replay(
    rpc: &Rpc,
    call: &Call,
    batch: bool,
    name: &str,
) -> Result<Vec<StoredTransaction>, Problem> {
    if batch {
        return super::get_transaction::find_batch(rpc, call, BatchId::parse_name(name)?).await;
    }
    Ok(vec![find(rpc, call, TransactionId::parse_name(name)?).await?])
}
