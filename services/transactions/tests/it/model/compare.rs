//! How an answer is compared with what had to be answered.

use std::collections::BTreeSet;

use strongroom_proto::transactions::v1 as wire;

use super::call::{Made, Refusal};
use super::describe;
use super::reference::Against;

/// Why an answer is wrong.
pub(super) type Wrong = String;

/// How much of an answer is known.
#[derive(Debug, Clone)]
pub(super) enum Exactness {
    /// All of it.
    Full,
    /// All but what these accounts have, which others move too, and but times and versions, in
    /// which the others show.
    Shared(BTreeSet<String>),
}

/// What had to be answered.
pub(super) struct Expected {
    pub(super) made: Result<Vec<Made>, Against>,
    pub(super) is_replay: bool,
}

/// What of it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    All,
    Names,
}

pub(super) fn compare(
    expected: &Expected,
    found: Result<&[Made], &Refusal>,
    is_replay: bool,
    exactness: &Exactness,
    compared: Compared,
) -> Result<(), Wrong> {
    match (&expected.made, found) {
        (Err(against), Err(refusal)) if is_said(against, refusal, exactness) => Ok(()),
        (Ok(made), Ok(found)) if made.len() == found.len() => {
            if expected.is_replay != is_replay {
                return Err(format!("it is marked wrongly as a replay or not: {is_replay}"));
            }
            for (made, found) in made.iter().zip(found) {
                let is_same = match compared {
                    Compared::Names => made.name() == found.name(),
                    Compared::All => known(made, exactness) == known(found, exactness),
                };
                if !is_same {
                    let (made, found) = (describe::made(made), describe::made(found));
                    return Err(format!("expected\n{made}\nfound\n{found}"));
                }
            }
            Ok(())
        }
        (Err(against), found) => {
            Err(format!("expected one of {against:#?}\nfound {:?}", found.map(<[Made]>::len)))
        }
        (Ok(made), found) => {
            let made: Vec<String> = made.iter().map(describe::made).collect();
            Err(format!("expected\n{}\nfound {:?}", made.join("\n"), found.map(<[Made]>::len)))
        }
    }
}

/// Whether a refusal says something that stands against it.
pub(super) fn is_said(against: &[Refusal], refusal: &Refusal, exactness: &Exactness) -> bool {
    against.iter().any(|one| match exactness {
        Exactness::Full => one.is_said_by(refusal),
        Exactness::Shared(_) => one.clone().without("version").is_said_by(refusal),
    })
}

/// What is known of something that was made.
fn known(made: &Made, exactness: &Exactness) -> Made {
    let Exactness::Shared(shared) = exactness else { return made.clone() };
    // Somebody else may have recorded its expiry.
    let hold =
        |hold: &wire::Hold| wire::Hold { create_time: None, etag: String::new(), ..hold.clone() };
    match made {
        Made::Transaction(transaction) => Made::Transaction(own(transaction, shared)),
        Made::Hold(one) => Made::Hold(hold(one)),
        Made::Capture(one, transaction) => {
            Made::Capture(Box::new(hold(one)), Box::new(own(transaction, shared)))
        }
    }
}

fn own(transaction: &wire::Transaction, shared: &BTreeSet<String>) -> wire::Transaction {
    let mut own = transaction.clone();
    if own.effective_time == own.record_time {
        own.effective_time = None;
    }
    own.record_time = None;
    for entry in &mut own.entries {
        match &mut entry.balance {
            balance if shared.contains(&entry.account) => *balance = None,
            Some(balance) => balance.version = 0,
            None => {}
        }
    }
    own
}
