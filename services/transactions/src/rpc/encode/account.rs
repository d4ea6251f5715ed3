//! Encoding of accounts, their balances and their controls.

use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use uuid::Uuid;

use super::etag;
use crate::domain::{
    AccountClass, AccountId, Block, Controls, CustomerId, Effect, LedgerAccount, Limit, Overdraft,
    Scope, Window,
};

pub(in crate::rpc) fn balance(account: &LedgerAccount, now: Timestamp) -> wire::Balance {
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

pub(in crate::rpc) fn ledger_account(
    account: &LedgerAccount,
    now: Timestamp,
    timeline: Uuid,
) -> wire::LedgerAccount {
    use wire::overdraft::Bound;
    let bound = match account.overdraft {
        Overdraft::Limit(limit) => Bound::Limit(account.money(limit).encode()),
        Overdraft::Unbounded => Bound::Unbounded(true),
    };
    let state = match account.close_time {
        None => wire::ledger_account::State::Open,
        Some(_) => wire::ledger_account::State::Closed,
    };
    wire::LedgerAccount {
        name: account.id.name(),
        currency: account.currency.code().to_owned(),
        class: account_class(account.class).into(),
        gl_code: account.gl_code.clone(),
        overdraft: Some(wire::Overdraft { bound: Some(bound) }),
        controls: account.controls.iter().map(|all| controls(account, all)).collect(),
        balance: Some(balance(account, now)),
        create_time: Some(account.create_time.encode()),
        etag: etag(timeline, account.version),
        customer: account.customer.map(CustomerId::name).unwrap_or_default(),
        parent: account.parent.map(AccountId::name).unwrap_or_default(),
        state: state.into(),
        close_time: account.close_time.map(Timestamp::encode),
    }
}

pub(in crate::rpc) fn account_class(class: AccountClass) -> wire::AccountClass {
    match class {
        AccountClass::Asset => wire::AccountClass::Asset,
        AccountClass::Liability => wire::AccountClass::Liability,
        AccountClass::Equity => wire::AccountClass::Equity,
        AccountClass::Income => wire::AccountClass::Income,
        AccountClass::Expense => wire::AccountClass::Expense,
    }
}

fn controls(account: &LedgerAccount, controls: &Controls) -> wire::Controls {
    wire::Controls {
        source: controls.source.clone(),
        version: controls.version,
        blocks: controls.blocks.iter().map(|one| block(account, one)).collect(),
        limits: controls.limits.iter().map(|one| limit(account, one)).collect(),
        timeline: controls.timeline.map(|id| id.to_string()).unwrap_or_default(),
    }
}

fn effect(effect: Effect) -> wire::block::Effect {
    match effect {
        Effect::Debit => wire::block::Effect::Debit,
        Effect::Credit => wire::block::Effect::Credit,
        Effect::All => wire::block::Effect::All,
    }
}

pub(in crate::rpc) fn block(account: &LedgerAccount, block: &Block) -> wire::Block {
    wire::Block {
        effect: effect(block.effect).into(),
        amount: block.amount.map(|units| account.money(units).encode()),
        start_time: block.start.map(Timestamp::encode),
        end_time: block.end.map(Timestamp::encode),
        reason_code: block.reason_code.clone(),
        honour_holds: block.honour_holds,
    }
}

pub(in crate::rpc) fn limit(account: &LedgerAccount, limit: &Limit) -> wire::Limit {
    let (window, length) = match limit.window {
        Window::Transaction => (wire::limit::Window::Transaction, None),
        Window::Day => (wire::limit::Window::Day, None),
        Window::Month => (wire::limit::Window::Month, None),
        Window::Rolling(micros) => (wire::limit::Window::Rolling, Some(duration(micros))),
    };
    let scope = match limit.scope {
        Scope::Account => wire::limit::Scope::Account,
        Scope::Customer => wire::limit::Scope::Customer,
    };
    wire::Limit {
        id: limit.id.clone(),
        effect: effect(limit.effect).into(),
        window: window.into(),
        rolling_length: length,
        max_amount: limit.max_amount.map(|units| account.money(units).encode()),
        max_count: limit.max_count.unwrap_or_default(),
        types: limit.types.clone(),
        scope: scope.into(),
    }
}

fn duration(micros: i64) -> prost_types::Duration {
    let nanos = i32::try_from(micros % 1_000_000 * 1_000).unwrap_or_default();
    prost_types::Duration { seconds: micros / 1_000_000, nanos }
}
