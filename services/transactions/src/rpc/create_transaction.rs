//! `TransactionService.CreateTransaction`.

use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::lane::Priority;
use shared::money::Money;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::post::{Post, post};
use super::{Rpc, decode, encode};
use crate::domain::{
    AccountId, ENTRIES_MAX, NewEntry, NewTransaction, TransactionId, check_balance,
};

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CreateTransactionRequest>,
) -> Result<Response<wire::Transaction>, Status> {
    let call = Call::of(&request)?;
    let asked = decode(request.into_inner(), Priority::Normal)?;
    Ok(encode::posted(post(rpc, &call, asked).await?)?)
}

pub(super) fn decode(request: wire::CreateTransactionRequest, priority: Priority) -> Decoded<Post> {
    let request_id = field::required_request_id(request.request_id.clone()).at("request_id")?;
    let validate_only = request.validate_only;
    let transactions = vec![transaction(request)?];
    Ok(Post { transactions, batch: false, request_id, validate_only, priority })
}

/// The transaction that is asked for, without its request id.
pub(super) fn transaction(request: wire::CreateTransactionRequest) -> Decoded<NewTransaction> {
    let id = TransactionId::parse_chosen(&request.transaction_id).at("transaction_id")?;
    let transaction = field::required(request.transaction).at("transaction")?;
    transaction_fields(transaction, id).at("transaction")
}

fn transaction_fields(
    wire: wire::Transaction,
    id: Option<TransactionId>,
) -> Decoded<NewTransaction> {
    let entries = entries(wire.entries).at("entries")?;
    Ok(NewTransaction {
        id,
        kind: field::code(wire.r#type).at("type")?,
        entries,
        description: field::text(wire.description, 0, 1_024).at("description")?,
        labels: field::labels(wire.labels).at("labels")?,
        effective_time: wire
            .effective_time
            .map(Timestamp::decode)
            .transpose()
            .at("effective_time")?,
    })
}

fn entries(wire: Vec<wire::Entry>) -> Decoded<Vec<NewEntry>> {
    let count = wire.len();
    if count > ENTRIES_MAX {
        let sentence = format!("must be at most {ENTRIES_MAX}, and are {count}");
        let problem = Problem::new(Reason::TooManyEntries, sentence).in_field("");
        return Err(Box::new(problem.figure("count", count).figure("limit", ENTRIES_MAX)));
    }
    if count < 2 {
        return Err(invalid("must be at least 2"));
    }
    let entries: Vec<NewEntry> = wire
        .into_iter()
        .enumerate()
        .map(|(index, entry)| decode_entry(entry).at_index("", index))
        .collect::<Decoded<_>>()?;
    check_balance(&entries).map_err(|unbalanced| match unbalanced {
        None => Box::new(overflow()),
        Some(sums) => {
            let major = |units: shared::money::Units| units.major(sums.currency);
            let (debits, credits) = (major(sums.debits), major(sums.credits));
            let sentence =
                format!("must balance: {debits} debited, {credits} credited in {}", sums.currency);
            Box::new(
                Problem::new(Reason::Unbalanced, sentence)
                    .in_field("")
                    .figure("currency", sums.currency)
                    .figure("debits", debits)
                    .figure("credits", credits),
            )
        }
    })?;
    Ok(entries)
}

fn overflow() -> Problem {
    Problem::new(Reason::AmountOverflow, "must sum to at most 38 digits").in_field("")
}

fn decode_entry(entry: wire::Entry) -> Decoded<NewEntry> {
    Ok(NewEntry {
        account: AccountId::parse_name(&entry.account).at("account")?,
        direction: decode::direction(entry.direction()).at("direction")?,
        amount: field::required(entry.amount.as_ref())
            .and_then(Money::decode_positive)
            .at("amount")?,
        memo: field::text(entry.memo, 0, 256).at("memo")?,
    })
}
