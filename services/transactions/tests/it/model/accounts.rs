//! What the reference makes of calls about accounts.

use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;

use super::call::{Answer, Call, Refusal, Reply};
use super::check::reused;
use super::compare::{Exactness, Wrong};
use super::describe::message;
use super::money::major;
use super::reference::{Outcome, Reference, key};

impl Reference {
    pub(super) fn check_controls(
        &mut self,
        request: &wire::SetLedgerControlsRequest,
        answer: &Answer,
        exactness: &Exactness,
    ) -> Result<(), Wrong> {
        let call = Call::Controls(request.clone());
        let id = key("set-ledger-controls", &request.request_id);
        let name = &request.name;
        if !request.validate_only
            && let Some(checked) = self.check_repeat(&id, &call, answer, exactness)
        {
            return checked;
        }
        if self.accounts.get(name).is_none() {
            let unknown = Refusal::new(Reason::ResourceNotFound).with("name", name);
            return same_refusal(&[unknown], answer);
        }
        let controls = request.controls.clone().unwrap();
        let time = self.record_time([name.as_str()]);
        let account = self.accounts.change(name);
        let old = account.controls.get(&controls.source).map_or(0, |old| old.version);
        if controls.version > old {
            account.controls.insert(controls.source.clone(), controls);
            account.touch(time);
        }
        let view = self.account_view(name);
        self.keep_account(request.validate_only, &id, call, name);
        same_account(view, answer, false, exactness)
    }

    /// Keeps what was done to an account under its request id, unless it was only tried.
    fn keep_account(&mut self, is_dry: bool, id: &str, call: Call, name: &str) {
        if is_dry {
            self.take_back();
        } else {
            self.outcomes.put(id, Outcome::Account(call, name.to_owned()));
        }
        self.keep();
    }

    pub(super) fn check_close(
        &mut self,
        request: &wire::CloseLedgerAccountRequest,
        answer: &Answer,
        exactness: &Exactness,
    ) -> Result<(), Wrong> {
        let call = Call::Close(request.clone());
        let id = key("close-ledger-account", &request.request_id);
        let name = &request.name;
        // What is only tried records nothing.
        if !request.validate_only {
            self.settle(&[name.clone()].into());
            self.keep();
            if let Some(checked) = self.check_repeat(&id, &call, answer, exactness) {
                return checked;
            }
        }
        let time = self.record_time([name.as_str()]);
        let account = self.accounts.get(name).unwrap();
        let held = account.held - self.expired(name);
        if account.closed.is_none() && (account.posted() != 0 || held != 0) {
            let refusal = Refusal::new(Reason::AccountNotEmpty)
                .with("account", name)
                .with("posted", major(account.posted(), account.currency()))
                .with("held", major(held, account.currency()));
            same_refusal(&[refusal], answer)?;
            let answered = answer.reply.clone().unwrap_err();
            if request.validate_only {
                self.take_back();
            } else {
                self.outcomes.put(&id, Outcome::Refused(call, answered));
            }
            self.keep();
            return Ok(());
        }
        if account.closed.is_none() {
            let account = self.accounts.change(name);
            account.touch(time);
            account.closed = Some(time);
        }
        let view = self.account_view(name);
        self.keep_account(request.validate_only, &id, call, name);
        same_account(view, answer, false, exactness)
    }

    /// Checks the answer to an id that was settled before.
    fn check_repeat(
        &self,
        id: &str,
        call: &Call,
        answer: &Answer,
        exactness: &Exactness,
    ) -> Option<Result<(), Wrong>> {
        Some(match self.outcomes.get(id)? {
            Outcome::Account(earlier, name) if earlier == call => {
                same_account(self.account_view(name), answer, true, exactness)
            }
            Outcome::Refused(earlier, refusal) if earlier == call => {
                same_refusal(std::slice::from_ref(refusal), answer)
            }
            _ => same_refusal(&reused(id.split(' ').next().unwrap()), answer),
        })
    }
}

fn same_refusal(against: &[Refusal], answer: &Answer) -> Result<(), Wrong> {
    match &answer.reply {
        Err(refusal) if against.iter().any(|one| one.is_said_by(refusal)) => Ok(()),
        _ => Err(format!("expected one of {against:#?}")),
    }
}

fn same_account(
    expected: wire::LedgerAccount,
    answer: &Answer,
    is_replay: bool,
    exactness: &Exactness,
) -> Result<(), Wrong> {
    let Ok(Reply::Account(found)) = &answer.reply else {
        return Err(format!("expected {}", message(&expected)));
    };
    let (expected, found) = (known(expected, exactness), known(found.clone(), exactness));
    match expected == found && answer.is_replay == is_replay {
        true => Ok(()),
        false => Err(format!("expected {}\nfound {}", message(&expected), message(&found))),
    }
}

/// What is known of an account.
fn known(mut account: wire::LedgerAccount, exactness: &Exactness) -> wire::LedgerAccount {
    if let Exactness::Shared(_) = exactness {
        account.etag.clear();
        account.close_time = None;
        if let Some(balance) = &mut account.balance {
            (balance.version, balance.record_time) = (0, None);
        }
    }
    account
}
