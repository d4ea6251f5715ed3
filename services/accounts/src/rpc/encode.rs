//! Domain types as the wire has them.

use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::transactions::v1 as ledger;

use super::profile;
use crate::clients::subject_name;
use crate::domain::{Account, Customer, CustomerId, NewAccount, Overdraft, Profile};

/// A customer, with its profile where the view gives it.
pub(super) fn customer(customer: Customer, profile: Option<Profile>) -> wire::Customer {
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

fn etag(version: i64) -> String {
    format!("\"{version}\"")
}
