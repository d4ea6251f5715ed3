//! An account in the form in which the two services can be compared, and what differs.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use prost::Message as _;
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as accounts;
use strongroom_proto::transactions::v1 as ledger;

use ledger::block::Effect;
use ledger::overdraft::Bound;

/// As whom the accounts service controls accounts.
const SOURCE: &str = "accounts";

/// What both services have of an account.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct View {
    terms: Terms,
    is_closed: bool,
    version: i64,
    debits: bool,
    credits: bool,
    limits: Vec<Vec<u8>>,
}

/// What never changes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Terms {
    currency: String,
    class: &'static str,
    customer: String,
    parent: String,
    gl_code: String,
    /// Empty where there is none.
    overdraft: String,
}

impl View {
    /// An account as the accounts service has it.
    pub(super) fn of_account(account: &accounts::Account) -> Self {
        let effect = account.effect.clone().unwrap_or_default();
        Self {
            terms: Terms {
                currency: account.currency.clone(),
                class: class(account.class()),
                customer: account.customer.clone(),
                parent: account.parent.clone(),
                gl_code: account.gl_code.clone(),
                overdraft: overdraft(account.overdraft.as_ref()),
            },
            is_closed: account.state() == accounts::account::State::Closed,
            version: effect.version,
            debits: effect.debits,
            credits: effect.credits,
            limits: limits(&account.limits),
        }
    }

    /// An account as the ledger has it, with what the accounts service forbids there by now; none
    /// where that service does not control it.
    pub(super) fn of_ledger(account: &ledger::LedgerAccount, now: Timestamp) -> Option<Self> {
        let controls = account.controls.iter().find(|controls| controls.source == SOURCE)?;
        let forbids = |effect| {
            let mut blocks = controls.blocks.iter().filter(|block| is_in_force(block, now));
            blocks.any(|block| {
                block.amount.is_none() && [effect, Effect::All].contains(&block.effect())
            })
        };
        Some(Self {
            terms: Terms {
                currency: account.currency.clone(),
                class: class(account.class()),
                customer: account.customer.clone(),
                parent: account.parent.clone(),
                gl_code: account.gl_code.clone(),
                overdraft: overdraft(account.overdraft.as_ref()),
            },
            is_closed: account.state() == ledger::ledger_account::State::Closed,
            version: controls.version,
            debits: !forbids(Effect::Debit),
            credits: !forbids(Effect::Credit),
            limits: limits(&controls.limits),
        })
    }

    /// All of it in a few bytes, by which a million accounts are remembered. Two that differ are
    /// taken for the same once in 2^64 times.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// What differs, in words. An account that the ledger has not confirmed yet has its terms only.
    pub(super) fn differences(&self, ledger: &Self, is_pending: bool) -> Vec<String> {
        let mut found = Vec::new();
        let mut differ = |what: &str, ours: &str, theirs: &str| {
            if ours != theirs {
                found.push(format!("{what} is {} here, {} there", named(ours), named(theirs)));
            }
        };
        let (ours, theirs) = (&self.terms, &ledger.terms);
        differ("currency", &ours.currency, &theirs.currency);
        differ("class", ours.class, theirs.class);
        differ("customer", &ours.customer, &theirs.customer);
        differ("parent", &ours.parent, &theirs.parent);
        differ("gl_code", &ours.gl_code, &theirs.gl_code);
        if !is_pending {
            let closed = |view: &Self| if view.is_closed { "CLOSED" } else { "not CLOSED" };
            differ("state", closed(self), closed(ledger));
            differ("version", &self.version.to_string(), &ledger.version.to_string());
            let passes = |passes: bool| if passes { "allowed" } else { "forbidden" };
            differ("debit", passes(self.debits), passes(ledger.debits));
            differ("credit", passes(self.credits), passes(ledger.credits));
        }
        if ours.overdraft != theirs.overdraft {
            found.push("overdraft is another one there".to_owned());
        }
        if !is_pending && self.limits != ledger.limits {
            found.push("limits are others there".to_owned());
        }
        found
    }
}

fn named(value: &str) -> &str {
    if value.is_empty() { "none" } else { value }
}

fn class(class: ledger::AccountClass) -> &'static str {
    class.as_str_name().trim_start_matches("ACCOUNT_CLASS_")
}

/// None is the same as a limit of zero.
fn overdraft(overdraft: Option<&ledger::Overdraft>) -> String {
    match overdraft.and_then(|overdraft| overdraft.bound.as_ref()) {
        Some(Bound::Unbounded(true)) => "unbounded".to_owned(),
        Some(Bound::Limit(limit))
            if limit.amount.bytes().any(|byte| matches!(byte, b'1'..=b'9')) =>
        {
            limit.amount.clone()
        }
        _ => String::new(),
    }
}

fn limits(limits: &[ledger::Limit]) -> Vec<Vec<u8>> {
    limits.iter().map(ledger::Limit::encode_to_vec).collect()
}

fn is_in_force(block: &ledger::Block, now: Timestamp) -> bool {
    let time =
        |time: Option<prost_types::Timestamp>| time.and_then(|time| Timestamp::decode(time).ok());
    time(block.start_time).is_none_or(|start| start <= now)
        && time(block.end_time).is_none_or(|end| now < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (accounts::Account, ledger::LedgerAccount) {
        let account = accounts::Account {
            currency: "EUR".to_owned(),
            class: ledger::AccountClass::Liability.into(),
            gl_code: "2000".to_owned(),
            state: accounts::account::State::Open.into(),
            effect: Some(accounts::account::Effect {
                debits: false,
                credits: true,
                version: 3,
                acknowledged_version: 3,
                ..Default::default()
            }),
            ..Default::default()
        };
        let block = ledger::Block { effect: Effect::Debit.into(), ..Default::default() };
        let controls = ledger::Controls {
            source: SOURCE.to_owned(),
            version: 3,
            blocks: vec![block],
            ..Default::default()
        };
        let theirs = ledger::LedgerAccount {
            currency: "EUR".to_owned(),
            class: ledger::AccountClass::Liability.into(),
            gl_code: "2000".to_owned(),
            state: ledger::ledger_account::State::Open.into(),
            controls: vec![controls],
            ..Default::default()
        };
        (account, theirs)
    }

    fn differences(account: &accounts::Account, theirs: &ledger::LedgerAccount) -> Vec<String> {
        let theirs = View::of_ledger(theirs, now()).unwrap();
        let ours = View::of_account(account);
        let found = ours.differences(&theirs, false);
        assert_eq!(found.is_empty(), ours.fingerprint() == theirs.fingerprint());
        found
    }

    fn now() -> Timestamp {
        Timestamp::decode(prost_types::Timestamp { seconds: 1_000, nanos: 0 }).unwrap()
    }

    #[test]
    fn each_difference_is_named() {
        let (account, same) = pair();
        assert_eq!(differences(&account, &same), [""; 0]);
        let change = |change: &dyn Fn(&mut ledger::LedgerAccount)| {
            let mut theirs = same.clone();
            change(&mut theirs);
            differences(&account, &theirs).join("; ")
        };
        let found = change(&|theirs| theirs.currency = "CHF".to_owned());
        assert_eq!(found, "currency is EUR here, CHF there");
        let found = change(&|theirs| theirs.gl_code = String::new());
        assert_eq!(found, "gl_code is 2000 here, none there");
        let found = change(&|theirs| theirs.state = ledger::ledger_account::State::Closed.into());
        assert_eq!(found, "state is not CLOSED here, CLOSED there");
        let found = change(&|theirs| theirs.controls[0].version = 2);
        assert_eq!(found, "version is 3 here, 2 there");
        let found = change(&|theirs| theirs.controls[0].blocks.clear());
        assert_eq!(found, "debit is forbidden here, allowed there");
        let found = change(&|theirs| theirs.controls[0].limits.push(ledger::Limit::default()));
        assert_eq!(found, "limits are others there");
        let unbounded = Some(ledger::Overdraft { bound: Some(Bound::Unbounded(true)) });
        let found = change(&|theirs| theirs.overdraft = unbounded.clone());
        assert_eq!(found, "overdraft is another one there");
    }

    #[test]
    fn a_block_counts_while_it_is_in_force_and_an_amount_forbids_nothing() {
        let (account, same) = pair();
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        for (start, end, is_in_force) in
            [(None, at(1_000), false), (at(1_001), None, false), (at(1_000), at(1_001), true)]
        {
            let mut theirs = same.clone();
            let block = &mut theirs.controls[0].blocks[0];
            (block.start_time, block.end_time) = (start, end);
            assert_eq!(differences(&account, &theirs).is_empty(), is_in_force);
        }
        let mut theirs = same.clone();
        theirs.controls[0].blocks[0].amount = Some(strongroom_proto::common::v1::Money::default());
        assert_eq!(differences(&account, &theirs), ["debit is forbidden here, allowed there"]);
    }

    #[test]
    fn no_overdraft_is_one_of_zero() {
        let (account, mut theirs) = pair();
        let zero = strongroom_proto::common::v1::Money {
            currency: "EUR".to_owned(),
            amount: "0.00".to_owned(),
        };
        theirs.overdraft = Some(ledger::Overdraft { bound: Some(Bound::Limit(zero)) });
        assert_eq!(differences(&account, &theirs), [""; 0]);
    }
}
