//! What came up in a run, so that a run that met nothing does not pass for one.

use std::collections::BTreeMap;

use shared::problem::{Reason, reason_name};

use super::call::{Answer, Call, Reply};

#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<String, usize>);

impl Tally {
    pub(super) fn note(&mut self, call: &Call, answer: &Answer) {
        let what = match call {
            Call::One(order) => order.operation(),
            Call::Batch(_) => "execute-batch",
            Call::Controls(_) => "set-ledger-controls",
            Call::Close(_) => "close-ledger-account",
            Call::Outcome(_) => "get-outcome",
        };
        match &answer.reply {
            Ok(_) if answer.is_replay => self.add("replay"),
            Ok(Reply::Batch(items)) => {
                self.add(what);
                for (item, is_replay) in items {
                    match item {
                        Ok(_) if *is_replay => self.add("replay"),
                        Ok(_) => {}
                        Err(refusal) => self.add(reason_name(refusal.reason)),
                    }
                }
            }
            Ok(_) => self.add(what),
            Err(refusal) => self.add(reason_name(refusal.reason)),
        }
    }

    fn add(&mut self, what: &str) {
        *self.0.entry(what.to_owned()).or_default() += 1;
    }

    /// Everything was done, and refused for everything that is common.
    pub(super) fn assert_wide(&self) {
        let done = [
            "create-transaction",
            "reverse-transaction",
            "create-hold",
            "capture-hold",
            "release-hold",
            "extend-hold",
            "increase-hold",
            "execute-batch",
            "set-ledger-controls",
            "get-outcome",
            "replay",
        ];
        let refused = [
            Reason::InsufficientFunds,
            Reason::LimitExceeded,
            Reason::AccountBlocked,
            Reason::HoldFinished,
            Reason::CaptureExceedsHold,
            Reason::ReversalExceedsOriginal,
            Reason::LinkExceedsOriginal,
            Reason::RequestIdReused,
        ];
        let refused = refused.map(reason_name);
        for what in done.iter().chain(&refused) {
            assert!(self.0.contains_key(*what), "there was no {what}: {self:?}");
        }
    }
}
