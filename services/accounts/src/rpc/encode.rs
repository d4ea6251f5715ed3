//! Domain types as the wire has them.

use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::transactions::v1 as ledger;

use super::profile;
use crate::clients::subject_name;
use crate::domain::{
    Account, Customer, CustomerId, Evidence, KycDecision, NewAccount, Overdraft, Profile,
    Relationship,
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

/// An account.
pub(super) fn account(account: Account) -> wire::Account {
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
