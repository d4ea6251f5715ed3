//! Random ids, accounts and amounts.

use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;

use super::super::money::major;
use super::super::reference::Reference;
use super::{Generator, Taken};

impl Generator {
    pub(super) fn request_id(&mut self) -> String {
        self.numbered += 1;
        format!("{}-{}", self.prefix, self.numbered)
    }

    pub(super) fn currency(&mut self) -> &'static str {
        ["EUR", "EUR", "JPY", "TOKEN"][self.rng.below(4)]
    }

    /// An account; now and then one that is not there.
    pub(super) fn account(&mut self, reference: &Reference, currency: &str) -> String {
        if self.rng.below(400) == 0 {
            return format!("accounts/{}", self.rng.uuid());
        }
        let closed_too = self.rng.percent(10);
        let all = if self.rng.percent(25) { &self.houses } else { &self.own };
        let fits = |name: &&String| {
            let account = reference.accounts.get(name).unwrap();
            account.currency() == currency && (closed_too || account.closed.is_none())
        };
        let fitting: Vec<&String> = all.iter().filter(fits).collect();
        (*self.rng.pick(&fitting)).clone()
    }

    /// Whether only this caller moves an account.
    pub(super) fn is_own(&self, account: &str) -> bool {
        self.is_alone || !self.houses.iter().any(|house| house == account)
    }

    /// Small, so that accounts run dry, and in one currency beyond 64 bits.
    pub(super) fn units(&mut self, currency: &str, most: i64) -> i128 {
        let units = i128::from(self.rng.between(1, most));
        if currency == "TOKEN" { units * (10_i128.pow(24) + 7) } else { units }
    }

    /// An amount, as callers may write it.
    pub(super) fn money(&mut self, currency: &str, units: i128) -> Money {
        let mut amount = major(units, currency);
        if amount.contains('.') && self.rng.percent(20) {
            amount = amount.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
        match self.rng.below(300) {
            0 => "0".clone_into(&mut amount),
            1 => "0.000000001".clone_into(&mut amount),
            _ => {}
        }
        Money { currency: currency.to_owned(), amount }
    }

    pub(super) fn amount(&mut self, currency: &str) -> Money {
        let most = if self.rng.percent(10) { 3_000 } else { 300 };
        let units = self.units(currency, most);
        self.money(currency, units)
    }

    pub(super) fn force(&mut self, chance: usize) -> Option<wire::Force> {
        use wire::Override::{Controls, Funds, HoldExpired, Limits};
        if !self.rng.percent(chance) {
            return None;
        }
        let mut overrides: Vec<i32> = Vec::new();
        for rule in [Funds, Limits, Controls, HoldExpired] {
            if self.rng.percent(60) {
                overrides.push(rule.into());
            }
        }
        if overrides.is_empty() {
            overrides.push(Funds.into());
        }
        Some(wire::Force { overrides, reason: "levy".to_owned() })
    }

    /// The id of something new: left to the service, chosen, or one that is in use.
    pub(super) fn new_id(&mut self, taken: Taken) -> String {
        let all = match taken {
            Taken::Transactions => &self.posted,
            Taken::Holds => &self.held,
        };
        if !all.is_empty() && self.rng.below(100) == 0 {
            let name = self.rng.pick(all);
            return name.split_once('/').unwrap().1.to_owned();
        }
        if self.rng.percent(30) { self.rng.uuid().to_string() } else { String::new() }
    }
}
