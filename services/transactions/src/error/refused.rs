//! What a caller is told of a refusal: its reason, a sentence, and the figures that explain it.
//! Paths of fields begin at what is posted or held; each method puts its own in front.

use shared::money::{Currency, Money, Units};
use shared::problem::{Problem, Reason};

use crate::domain::{LinkType, Month, Place, Refusal, Window};

/// The problem of a refusal.
pub(super) fn problem(refusal: &Refusal) -> Problem {
    use Refusal as R;
    match refusal {
        R::UnknownAccount { place, account } => at(account.not_found(), *place),
        R::UnknownTransaction(id) => id.not_found(),
        R::UnknownHold(id) => id.not_found(),
        R::IdTaken(name) => {
            Problem::new(Reason::IdTaken, format!("{name} is in use.")).figure("name", name)
        }
        R::ExternalIdTaken { kind, holder } => {
            let message = format!("The external id of kind {kind} is that of {holder}.");
            Problem::new(Reason::ExternalIdTaken, message)
                .figure("kind", kind)
                .figure("holder", holder)
        }
        R::Invalid { field, sentence } => {
            Problem::new(Reason::FieldInvalid, sentence).in_field(field)
        }
        R::CurrencyMismatch { field, of, found, expected } => {
            let sentence = format!("must be in {expected}, the currency of {of}");
            Problem::new(Reason::CurrencyMismatch, sentence)
                .in_field(field)
                .figure("account", of)
                .figure("currency", found.currency)
                .figure("expected", expected)
        }
        R::Overflow { place, account } => {
            let sentence = format!("would give {account} a balance of over 38 digits");
            let field = match place {
                Place::Entry(index) => format!("entries[{index}].amount.amount"),
                Place::Hold | Place::Destination => "amount.amount".to_owned(),
            };
            Problem::new(Reason::AmountOverflow, sentence)
                .in_field(field)
                .figure("account", account)
        }
        R::Unbalanced { debits, credits } => {
            let (currency, debits, credits) = (debits.currency, major(debits), major(credits));
            let sentence =
                format!("must balance: {debits} debited, {credits} credited in {currency}");
            Problem::new(Reason::Unbalanced, sentence)
                .in_field("parts")
                .figure("currency", currency)
                .figure("debits", debits)
                .figure("credits", credits)
        }
        R::Closed { .. } | R::IsReversal(_) | R::PeriodClosed { .. } => state(refusal),
        R::Blocked { .. }
        | R::InsufficientFunds { .. }
        | R::LimitExceeded { .. }
        | R::VersionMismatch { .. }
        | R::BalancePrecondition { .. } => position(refusal),
        R::LinkExceeds { .. }
        | R::HoldExpired { .. }
        | R::HoldFinished { .. }
        | R::CaptureExceeds { .. } => remainder(refusal),
    }
}

/// What the state of something does not allow.
fn state(refusal: &Refusal) -> Problem {
    use Refusal as R;
    match refusal {
        R::Closed { place, account } => {
            let message = format!("{account} is CLOSED.");
            let problem = Problem::new(Reason::InvalidTransition, message)
                .figure("account", account)
                .figure("state", "CLOSED")
                .figure("allowed", "NONE");
            at(problem, *place)
        }
        R::IsReversal(id) => {
            let message = format!("{id} is a reversal, which is not reversed: post anew.");
            Problem::new(Reason::InvalidTransition, message)
                .figure("transaction", id)
                .figure("state", "REVERSAL")
                .figure("allowed", "NONE")
        }
        R::PeriodClosed { day, state } => {
            let (period, state) = (Month::of(*day).name(), state.name());
            Problem::new(Reason::PeriodClosed, format!("{period} is {state}."))
                .figure("period", period)
                .figure("booking_date", day)
                .figure("state", state)
        }
        _ => Problem::internal(),
    }
}

/// What the position of an account does not allow.
fn position(refusal: &Refusal) -> Problem {
    use Refusal as R;
    match refusal {
        R::Blocked { place, account, act, source, reason_code } => {
            let act = act.name();
            let message = format!("{account} is blocked for {act} by {source}.");
            let problem = Problem::new(Reason::AccountBlocked, message)
                .figure("account", account)
                .figure("direction", act)
                .figure("source", source)
                .figure("reason_code", reason_code);
            at(problem, *place)
        }
        R::InsufficientFunds { place, account, available, held, blocked, limit, shortfall } => {
            let message = format!("{account} lacks {} {}.", major(shortfall), shortfall.currency);
            let problem = Problem::new(Reason::InsufficientFunds, message)
                .figure("account", account)
                .figure("currency", shortfall.currency)
                .figure("available", major(available))
                .figure("held", major(held))
                .figure("blocked", major(blocked))
                .figure("limit", major(limit))
                .figure("shortfall", major(shortfall));
            at(problem, *place)
        }
        R::LimitExceeded { place, account, limit } => {
            let amount = |units: Option<Units>| units.map(|units| units.major(limit.currency));
            let (id, source, window) = (&limit.id, &limit.source, limit.window.name());
            let message = format!("{account} would exceed its limit {id} of {source}.");
            let mut problem = Problem::new(Reason::LimitExceeded, message)
                .figure("account", account)
                .figure("limit", id)
                .figure("source", source)
                .figure("window", window)
                .figure("currency", limit.currency)
                .figure("requested", limit.requested.major(limit.currency));
            if limit.window != Window::Transaction {
                problem = problem
                    .figure("used", limit.used_amount.major(limit.currency))
                    .figure("used_count", limit.used_count);
            }
            if let Some(max) = amount(limit.max_amount) {
                problem = problem.figure("max_amount", max);
            }
            if let Some(max) = limit.max_count {
                problem = problem.figure("max_count", max);
            }
            at(problem, *place)
        }
        R::VersionMismatch { index, account, expected, version } => {
            let message = format!("{account} has version {version}, and not {expected}.");
            Problem::new(Reason::VersionMismatch, message)
                .figure("account", account)
                .figure("version", version)
                .figure("expected", expected)
                .figure("entry", index)
        }
        R::BalancePrecondition { index, account, required, available } => {
            let message = format!("{account} would have less available than is asked for.");
            Problem::new(Reason::BalancePrecondition, message)
                .figure("account", account)
                .figure("currency", required.currency)
                .figure("required", major(required))
                .figure("available", major(available))
                .figure("entry", index)
        }
        _ => Problem::internal(),
    }
}

/// What is not left of an entry or a hold.
fn remainder(refusal: &Refusal) -> Problem {
    use Refusal as R;
    match refusal {
        R::LinkExceeds { kind, entry, remaining, requested } => {
            let reason = match kind {
                LinkType::ReversalOf => Reason::ReversalExceedsOriginal,
                _ => Reason::LinkExceedsOriginal,
            };
            let (id, index) = (entry.transaction, entry.index);
            let message = format!("Of entry {index} of {id} less is left than is asked for.");
            let problem =
                Problem::new(reason, message).figure("transaction", id).figure("entry", index);
            left(problem, remaining, requested)
        }
        R::HoldExpired { hold, expire_time } => {
            let problem = Problem::new(Reason::HoldExpired, format!("{hold} has expired."));
            let problem = problem.figure("hold", hold);
            match expire_time {
                Some(time) => problem.figure("expire_time", time),
                None => problem,
            }
        }
        R::HoldFinished { hold, state } => {
            let state = state.name();
            Problem::new(Reason::HoldFinished, format!("{hold} is {state}."))
                .figure("hold", hold)
                .figure("state", state)
        }
        R::CaptureExceeds { hold, remaining, requested } => {
            let message = format!("{hold} has less left than is asked for.");
            let problem = Problem::new(Reason::CaptureExceedsHold, message).figure("hold", hold);
            left(problem, remaining, requested)
        }
        _ => Problem::internal(),
    }
}

/// Says which entry it is about.
fn at(problem: Problem, place: Place) -> Problem {
    match place {
        Place::Entry(index) => problem.figure("entry", index),
        Place::Hold | Place::Destination => problem,
    }
}

fn left(problem: Problem, remaining: &Money, requested: &Money) -> Problem {
    let currency: Currency = remaining.currency;
    problem
        .figure("currency", currency)
        .figure("remaining", major(remaining))
        .figure("requested", major(requested))
}

fn major(money: &Money) -> String {
    money.units.major(money.currency)
}
