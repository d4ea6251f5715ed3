//! Encoding that several RPCs share.

use shared::grpc::call::replayed;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::Response;

use super::post::Done;
use crate::domain::{
    AccountClass, Block, Controls, Direction, Effect, LedgerAccount, Overdraft, PostedEntry,
};
use crate::store::transactions::StoredTransaction;

/// The answer to a single posting.
pub(super) fn posted(done: Done) -> Result<Response<wire::Transaction>, Problem> {
    let fault = || Problem::new(Reason::Internal, "A posting left no transaction.");
    let stored = done.transactions.into_iter().next().ok_or_else(fault)?;
    let answer = transaction(stored);
    Ok(if done.replayed { replayed(answer) } else { Response::new(answer) })
}

pub(super) fn transaction(stored: StoredTransaction) -> wire::Transaction {
    wire::Transaction {
        name: stored.id.name(),
        r#type: stored.kind,
        entries: stored.entries.into_iter().map(entry).collect(),
        description: stored.description,
        labels: stored.labels,
        effective_time: Some(stored.effective_time.encode()),
        record_time: Some(stored.record_time.encode()),
        booking_date: stored.booking_date.to_string(),
    }
}

fn entry(posted: PostedEntry) -> wire::Entry {
    let currency = posted.entry.amount.currency;
    let direction = match posted.entry.direction {
        Direction::Debit => wire::Direction::Debit,
        Direction::Credit => wire::Direction::Credit,
    };
    wire::Entry {
        account: posted.entry.account.name(),
        direction: direction.into(),
        amount: Some(posted.entry.amount.encode()),
        memo: posted.entry.memo,
        balance: Some(wire::EntryBalance {
            posted: Some(posted.posted_after.encode(currency)),
            available: posted.available_after.map(|units| units.encode(currency)),
            entry_seq: posted.entry_seq,
            version: posted.version_after,
        }),
    }
}

pub(super) fn balance(account: &LedgerAccount, now: Timestamp) -> wire::Balance {
    let money = |units| Some(account.money(units).encode());
    let limit = match account.overdraft {
        Overdraft::Limit(limit) => money(limit),
        Overdraft::Unbounded => None,
    };
    wire::Balance {
        account: account.id.name(),
        currency: account.currency.code().to_owned(),
        posted_debits: money(account.posted_debits),
        posted_credits: money(account.posted_credits),
        posted: money(account.posted()),
        held: money(account.held),
        blocked: money(account.blocked(now)),
        overdraft_limit: limit,
        available: account.available(now).and_then(money),
        entry_seq: account.entry_seq,
        version: account.version,
        record_time: Some(account.record_time.encode()),
    }
}

pub(super) fn ledger_account(account: &LedgerAccount, now: Timestamp) -> wire::LedgerAccount {
    use wire::overdraft::Bound;
    let class = match account.class {
        AccountClass::Asset => wire::AccountClass::Asset,
        AccountClass::Liability => wire::AccountClass::Liability,
        AccountClass::Equity => wire::AccountClass::Equity,
        AccountClass::Income => wire::AccountClass::Income,
        AccountClass::Expense => wire::AccountClass::Expense,
    };
    let bound = match account.overdraft {
        Overdraft::Limit(limit) => Bound::Limit(account.money(limit).encode()),
        Overdraft::Unbounded => Bound::Unbounded(true),
    };
    wire::LedgerAccount {
        name: account.id.name(),
        currency: account.currency.code().to_owned(),
        class: class.into(),
        gl_code: account.gl_code.clone(),
        overdraft: Some(wire::Overdraft { bound: Some(bound) }),
        controls: account.controls.iter().map(|all| controls(account, all)).collect(),
        balance: Some(balance(account, now)),
        create_time: Some(account.create_time.encode()),
        etag: format!("\"{}\"", account.version),
    }
}

fn controls(account: &LedgerAccount, controls: &Controls) -> wire::Controls {
    wire::Controls {
        source: controls.source.clone(),
        version: controls.version,
        blocks: controls.blocks.iter().map(|one| block(account, one)).collect(),
    }
}

fn block(account: &LedgerAccount, block: &Block) -> wire::Block {
    let effect = match block.effect {
        Effect::Debit => wire::block::Effect::Debit,
        Effect::Credit => wire::block::Effect::Credit,
        Effect::All => wire::block::Effect::All,
    };
    wire::Block {
        effect: effect.into(),
        amount: block.amount.map(|units| account.money(units).encode()),
        start_time: block.start.map(Timestamp::encode),
        end_time: block.end.map(Timestamp::encode),
        reason_code: block.reason_code.clone(),
    }
}
