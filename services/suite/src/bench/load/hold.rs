//! One hold: what is asked for, and whether the answer is its own.

use rand::{Rng, RngExt as _};
use shared::clock::Clock;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use uuid::Uuid;

use super::transfer::{account, money};

/// How long a hold keeps something back: a week, as those of cards do.
const LENGTH_MICROS: i64 = 7 * 86_400 * 1_000_000;

/// A hold under a new request id, on an account of `1..=accounts` by chance.
pub(super) fn random(rng: &mut impl Rng, accounts: u64) -> wire::CreateHoldRequest {
    let expiry = Clock::system().now().micros() + LENGTH_MICROS;
    let hold = wire::Hold {
        account: account(rng.random_range(1..=accounts)),
        amount: Some(money(rng)),
        expire_time: Some(Timestamp::from_micros(expiry).encode()),
        ..wire::Hold::default()
    };
    wire::CreateHoldRequest {
        hold: Some(hold),
        request_id: Uuid::now_v7().to_string(),
        ..wire::CreateHoldRequest::default()
    }
}

/// Whether a hold is this one, and keeps back what was asked for.
pub(super) fn answers(made: &wire::Hold, asked: &wire::CreateHoldRequest) -> bool {
    let Some(asked) = &asked.hold else { return false };
    made.name.starts_with("holds/")
        && made.account == asked.account
        && made.amount == asked.amount
        && made.remaining == asked.amount
        && made.expire_time == asked.expire_time
        && made.state() == wire::hold::State::Open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_compared_with_what_was_asked() {
        let asked = random(&mut rand::rng(), 10);
        let hold = asked.hold.clone().unwrap();
        let made = wire::Hold {
            name: "holds/1".to_owned(),
            remaining: hold.amount.clone(),
            state: wire::hold::State::Open.into(),
            ..hold
        };
        assert!(answers(&made, &asked));
        assert!(!answers(&wire::Hold { remaining: None, ..made.clone() }, &asked));
        assert!(!answers(&wire::Hold { account: account(11), ..made }, &asked));
    }
}
