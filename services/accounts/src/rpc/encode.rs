//! Domain types as the wire has them.

use shared::money::Currency;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::transactions::v1 as ledger;

pub(crate) use super::limits::encode as limit;
use super::{limits, profile};
use crate::clients::subject_name;
use crate::domain::{
    AccountId, Customer, CustomerId, Evidence, Freeze, FreezeState, Holder, KycDecision,
    NewAccount, Overdraft, Position, Profile, Relationship,
};

/// A customer, with its profile where the view gives it, and its verification by the clock.
pub(super) fn customer(
    customer: Customer,
    profile: Option<Profile>,
    now: Timestamp,
) -> wire::Customer {
    wire::Customer {
        name: customer.id.name(),
        kind: customer.kind.number().into(),
        profile: profile.map(profile::encode),
        state: customer.state.number().into(),
        subject: subject_name(&customer),
        labels: customer.labels,
        create_time: Some(customer.create_time.encode()),
        update_time: Some(customer.update_time.encode()),
        etag: etag(customer.version),
        kyc: Some(wire::Kyc {
            state: customer.kyc.state_at(now).number().into(),
            level: customer.kyc.level.into(),
            expire_time: customer.kyc.expire_time.map(Timestamp::encode),
            update_time: customer.kyc.update_time.map(Timestamp::encode),
        }),
        external_ids: customer.external_ids,
        close_time: customer.close_time.map(Timestamp::encode),
    }
}

/// A step of a verification.
pub(super) fn kyc_decision(decision: KycDecision) -> wire::KycDecision {
    wire::KycDecision {
        name: decision.name(),
        state: decision.kyc.state.number().into(),
        level: decision.kyc.level.into(),
        expire_time: decision.kyc.expire_time.map(Timestamp::encode),
        reviewer: decision.reviewer,
        reason_code: decision.reason_code,
        evidence: decision.evidence.into_iter().map(Evidence::name).collect(),
        create_time: Some(decision.create_time.encode()),
    }
}

/// What one customer is to another.
pub(super) fn relationship(relationship: Relationship) -> wire::Relationship {
    wire::Relationship {
        name: relationship.name(),
        kind: relationship.kind.number().into(),
        other: relationship.other.name(),
        share_basis_points: relationship.share.unwrap_or_default(),
        start_time: Some(relationship.span.start.encode()),
        end_time: relationship.span.end.map(Timestamp::encode),
        create_time: Some(relationship.create_time.encode()),
    }
}

/// An account, with what the ledger enforces of it now.
pub(super) fn account(position: &Position, now: Timestamp) -> wire::Account {
    let (account, effect) = (position.account.clone(), position.effect(now));
    let terms = account.terms;
    wire::Account {
        name: account.id.name(),
        customer: terms.customer.map(CustomerId::name).unwrap_or_default(),
        currency: terms.currency.code().to_owned(),
        class: terms.class.number().into(),
        overdraft: overdraft(&terms),
        product: terms.product,
        gl_code: terms.gl_code,
        state: account.state.number().into(),
        labels: terms.labels,
        create_time: Some(account.create_time.encode()),
        update_time: Some(account.update_time.encode()),
        etag: etag(account.version),
        parent: terms.parent.map(AccountId::name).unwrap_or_default(),
        external_ids: terms.external_ids,
        limits: account.limits.iter().map(|one| limits::encode(one, terms.currency)).collect(),
        effect: Some(wire::account::Effect {
            debits: effect.debits,
            credits: effect.credits,
            reasons: effect.reasons.into_iter().map(str::to_owned).collect(),
            version: account.controls_version,
            acknowledged_version: account.acknowledged_version,
        }),
        close_time: account.close_time.map(Timestamp::encode),
    }
}

/// Somebody who holds an account.
pub(super) fn holder(holder: Holder) -> wire::Holder {
    wire::Holder {
        name: holder.name(),
        customer: holder.customer.name(),
        role: holder.role.number().into(),
        start_time: Some(holder.span.start.encode()),
        end_time: holder.span.end.map(Timestamp::encode),
        create_time: Some(holder.create_time.encode()),
    }
}

/// A freeze; an amount is in the currency of its account.
pub(super) fn freeze(freeze: Freeze, currency: Option<Currency>, now: Timestamp) -> wire::Freeze {
    wire::Freeze {
        name: freeze.name(),
        direction: freeze.direction.number().into(),
        amount: freeze.amount.zip(currency).map(|(units, currency)| units.encode(currency)),
        state: freeze_state(freeze.state_at(now)).into(),
        etag: etag(freeze.version),
        reason_code: freeze.reason_code,
        authority: freeze.authority,
        case_reference: freeze.case_reference.unwrap_or_default(),
        end_time: freeze.end_time.map(Timestamp::encode),
        honour_holds: freeze.honour_holds,
        create_time: Some(freeze.create_time.encode()),
        principal: freeze.principal,
        lift_time: freeze.lift.as_ref().map(|(_, time)| time.encode()),
        lifter: freeze.lift.map(|(principal, _)| principal).unwrap_or_default(),
    }
}

fn freeze_state(state: FreezeState) -> wire::freeze::State {
    match state {
        FreezeState::Active => wire::freeze::State::Active,
        FreezeState::Lifted => wire::freeze::State::Lifted,
        FreezeState::Ended => wire::freeze::State::Ended,
    }
}

/// How far an account may fall below zero; absent where it may not.
pub(crate) fn overdraft(terms: &NewAccount) -> Option<ledger::Overdraft> {
    let bound = match terms.overdraft {
        Overdraft::Limit(limit) if limit.get() == 0 => return None,
        Overdraft::Limit(limit) => ledger::overdraft::Bound::Limit(limit.encode(terms.currency)),
        Overdraft::Unbounded => ledger::overdraft::Bound::Unbounded(true),
    };
    Some(ledger::Overdraft { bound: Some(bound) })
}

/// An etag (RFC 7232).
pub(super) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Whether the etag that a caller sent is the current one; any is, where none was sent.
pub(super) fn check_etag(sent: &str, version: i64, name: &str) -> Result<(), Problem> {
    let current = etag(version);
    if sent.is_empty() || sent == current {
        return Ok(());
    }
    let message = format!("{name} has changed meanwhile: its etag is {current}.");
    Err(Problem::new(Reason::EtagMismatch, message).figure("etag", current))
}
