//! Posting, as both ways of asking for it share it.

use std::sync::Arc;

use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::lane::Priority;
use shared::problem::{Problem, Reason};
use strongroom_proto::transactions::v1 as wire;
use tonic::Response;

use super::get_transaction::find;
use super::introduce::introduce;
use super::{Rpc, encode};
use crate::domain::{NewTransaction, TransactionId, decide};
use crate::engine::{OPERATION, Posting, Settled, accounts_of, check_known, stored};
use crate::error::Error;
use crate::store::{ledger_accounts, transactions};

/// A posting that is asked for.
pub(super) struct Post {
    pub(super) transaction: NewTransaction,
    pub(super) request_id: String,
    pub(super) validate_only: bool,
}

/// Posts, once for each request id.
pub(super) async fn post(
    rpc: &Rpc,
    call: &Call,
    asked: Post,
) -> Result<Response<wire::Transaction>, Problem> {
    let Post { transaction, request_id, validate_only } = asked;
    if transaction.effective_time.is_some_and(|time| time > rpc.clock.now()) {
        return Err(Problem::new(Reason::FieldInvalid, "must not be in the future")
            .in_field("transaction.effective_time"));
    }
    let attempt = async || {
        let posting = posting(rpc, call, &transaction, &request_id)?;
        match validate_only {
            true => validate(rpc, call, posting).await,
            false => post_once(rpc, call, posting).await,
        }
    };
    match attempt().await {
        // An account that accounts has just opened, and that has not reached the ledger yet.
        Err(problem) if problem.reason == Reason::ResourceNotFound => {
            match introduce(rpc, call, accounts_of(&transaction)).await? {
                true => attempt().await,
                false => Err(problem),
            }
        }
        answer => answer,
    }
}

fn posting(
    rpc: &Rpc,
    call: &Call,
    transaction: &NewTransaction,
    request_id: &str,
) -> Result<Posting, Problem> {
    let outside = || Problem::new(Reason::Internal, "The method is called outside any tenant.");
    Ok(Posting {
        tenant: call.tenant.as_ref().map(Arc::clone).ok_or_else(outside)?,
        request: call.request(OPERATION, request_id.to_owned(), transaction, &rpc.clock)?,
        id: transaction.id.unwrap_or_else(TransactionId::generate),
        transaction: transaction.clone(),
    })
}

async fn post_once(
    rpc: &Rpc,
    call: &Call,
    posting: Posting,
) -> Result<Response<wire::Transaction>, Problem> {
    match rpc.lane.submit(posting, call.deadline, Priority::Normal).await?? {
        Settled::Posted(posted) => Ok(Response::new(encode::transaction(posted))),
        Settled::Replayed(name) => {
            let id = TransactionId::parse_name(&name)?;
            Ok(replayed(encode::transaction(find(rpc, call, id).await?)))
        }
    }
}

/// Decides a posting in a snapshot, and leaves no trace.
async fn validate(
    rpc: &Rpc,
    call: &Call,
    posting: Posting,
) -> Result<Response<wire::Transaction>, Problem> {
    let now = rpc.clock.now();
    let decided = rpc.db.read("validate_transaction", call.scope(), move |conn| {
        let (tenant, transaction) = (posting.tenant.id, &posting.transaction);
        if !transactions::taken(conn, tenant, vec![posting.id])?.is_empty() {
            return Err(Error::IdTaken(posting.id.name()));
        }
        let mut accounts = ledger_accounts::select_all(conn, tenant, &accounts_of(transaction))?;
        check_known(transaction, &accounts)?;
        let posted = decide(&mut accounts, transaction, now).map_err(Error::Refused)?;
        Ok(stored(&posting, posted))
    });
    Ok(Response::new(encode::transaction(decided.await?)))
}
