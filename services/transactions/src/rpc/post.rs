//! Posting, as both ways of asking for it share it.

use std::collections::BTreeSet;

use diesel::PgConnection;
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::ids::TenantId;
use shared::outcome::{Once, once};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::Response;

use super::get_transaction::find;
use super::introduce::introduce;
use super::{Rpc, encode};
use crate::domain::{AccountId, NewTransaction, TransactionId, decide};
use crate::error::Error;
use crate::store::transactions::StoredTransaction;
use crate::store::{ledger_accounts, transactions};

/// The operation of both, by which a request id is found again.
const OPERATION: &str = "create-transaction";

/// A posting that is asked for.
pub(super) struct Post {
    pub(super) transaction: NewTransaction,
    pub(super) request_id: String,
    pub(super) validate_only: bool,
}

/// What a posting is decided with.
#[derive(Clone)]
struct Posting {
    tenant: TenantId,
    zone: jiff::tz::TimeZone,
    id: TransactionId,
    transaction: NewTransaction,
    now: Timestamp,
}

/// Posts, once for each request id.
pub(super) async fn post(
    rpc: &Rpc,
    call: &Call,
    asked: Post,
) -> Result<Response<wire::Transaction>, Problem> {
    let now = rpc.clock.now();
    let tenant = call.tenant()?;
    if asked.transaction.effective_time.is_some_and(|time| time > now) {
        let sentence = "must not be in the future";
        return Err(
            Problem::new(Reason::FieldInvalid, sentence).in_field("transaction.effective_time")
        );
    }
    let request_id = Some(asked.request_id).filter(|_| !asked.validate_only);
    let request = call.request(OPERATION, request_id, &asked.transaction, &rpc.clock)?;
    let posting = Posting {
        tenant: tenant.id,
        zone: tenant.zone.clone(),
        id: asked.transaction.id.unwrap_or_else(TransactionId::generate),
        transaction: asked.transaction,
        now,
    };
    let attempt = async || match &request {
        Some(request) => post_once(rpc, call, request.clone(), posting.clone()).await,
        None => validate(rpc, call, posting.clone()).await,
    };
    match attempt().await {
        // An account that accounts has just opened, and that has not reached the ledger yet.
        Err(problem) if problem.reason == Reason::ResourceNotFound => {
            match introduce(rpc, call, accounts_of(&posting.transaction)).await? {
                true => attempt().await,
                false => Err(problem),
            }
        }
        answer => answer,
    }
}

async fn post_once(
    rpc: &Rpc,
    call: &Call,
    request: shared::outcome::Request,
    posting: Posting,
) -> Result<Response<wire::Transaction>, Problem> {
    let name = posting.id.name();
    let write = move |conn: &mut PgConnection| write(conn, posting.clone());
    let done = once(&rpc.db, "create_transaction", call.scope(), Some(request), name, write);
    match done.await? {
        Once::Done(posted) => Ok(Response::new(encode::transaction(posted))),
        Once::Replayed(name) => {
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
    let decided = rpc.db.read("validate_transaction", call.scope(), move |conn| {
        let Posting { tenant, id, transaction, .. } = &posting;
        if transactions::select(conn, *tenant, *id)?.is_some() {
            return Err(Error::IdTaken(id.name()));
        }
        let mut accounts = ledger_accounts::select_all(conn, *tenant, &accounts_of(transaction))?;
        check_known(transaction, &accounts)?;
        let posted = decide(&mut accounts, transaction, posting.now).map_err(Error::Refused)?;
        Ok(stored(posting.clone(), posted))
    });
    Ok(Response::new(encode::transaction(decided.await?)))
}

/// Lock, read, decide, write: one posting in one transaction.
fn write(conn: &mut PgConnection, posting: Posting) -> Result<StoredTransaction, Error> {
    let (tenant, transaction) = (posting.tenant, &posting.transaction);
    let mut accounts = ledger_accounts::lock(conn, tenant, &accounts_of(transaction))?;
    check_known(transaction, &accounts)?;
    let posted = decide(&mut accounts, transaction, posting.now).map_err(Error::Refused)?;
    let stored = stored(posting, posted);
    if !transactions::insert(conn, tenant, &stored)? {
        return Err(Error::IdTaken(stored.id.name()));
    }
    let changed: Vec<_> = accounts.values().collect();
    ledger_accounts::update_balances(conn, tenant, &changed)?;
    Ok(stored)
}

fn stored(posting: Posting, posted: crate::domain::Posted) -> StoredTransaction {
    StoredTransaction {
        id: posting.id,
        kind: posting.transaction.kind,
        entries: posted.entries,
        description: posting.transaction.description,
        labels: posting.transaction.labels,
        effective_time: posting.transaction.effective_time.unwrap_or(posted.record_time),
        record_time: posted.record_time,
        booking_date: posted.record_time.day_in(&posting.zone),
    }
}

fn accounts_of(transaction: &NewTransaction) -> BTreeSet<AccountId> {
    transaction.entries.iter().map(|entry| entry.account).collect()
}

fn check_known<V>(
    transaction: &NewTransaction,
    accounts: &std::collections::BTreeMap<AccountId, V>,
) -> Result<(), Error> {
    let unknown =
        |(_, entry): &(usize, &crate::domain::NewEntry)| !accounts.contains_key(&entry.account);
    match transaction.entries.iter().enumerate().find(unknown) {
        Some((index, entry)) => Err(Error::UnknownAccount { index, account: entry.account }),
        None => Ok(()),
    }
}
