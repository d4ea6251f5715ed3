//! Random controls, set and lifted, and accounts that are closed.

use strongroom_proto::transactions::v1 as wire;
use wire::block::Effect;
use wire::limit::{Scope, Window};

use super::super::call::Call;
use super::super::money::money;
use super::super::reference::Reference;
use super::super::time::{HOUR, wire_time};
use super::Generator;

/// What a limit is never changed in: its window and what it counts for are of its id.
type Kind = (&'static str, Window, Effect, Scope, &'static [&'static str]);

const LIMITS: [Kind; 7] = [
    ("each", Window::Transaction, Effect::All, Scope::Account, &[]),
    ("day-out", Window::Day, Effect::Debit, Scope::Account, &[]),
    ("day-all", Window::Day, Effect::All, Scope::Customer, &[]),
    ("month-in", Window::Month, Effect::Credit, Scope::Account, &[]),
    ("month-out", Window::Month, Effect::Debit, Scope::Customer, &[]),
    ("hours", Window::Rolling, Effect::Debit, Scope::Account, &[]),
    ("cards", Window::Day, Effect::Debit, Scope::Account, &["HOLD", "CARD"]),
];

impl Generator {
    pub(super) fn controls(&mut self, reference: &Reference) -> wire::SetLedgerControlsRequest {
        let name = self.rng.pick(&self.own).clone();
        let account = reference.accounts.get(&name).unwrap();
        let source = ["accounts", "monitor"][self.rng.below(2)];
        let old = account.controls.get(source).map_or(0, |controls| controls.version);
        let stale = old > 0 && self.rng.percent(15);
        let mut controls = wire::Controls {
            source: source.to_owned(),
            version: if stale { old } else { old + self.rng.between(1, 3) },
            ..Default::default()
        };
        if self.rng.percent(45) {
            for _ in 0..=self.rng.below(2) {
                controls.blocks.push(self.block(reference.now, account.currency()));
            }
        }
        for kind in LIMITS {
            if self.rng.percent(18) {
                controls.limits.push(self.limit(kind, account.currency()));
            }
        }
        wire::SetLedgerControlsRequest {
            name: match self.rng.below(50) {
                0 => format!("accounts/{}", self.rng.uuid()),
                _ => name,
            },
            controls: Some(controls),
            validate_only: self.rng.percent(5),
            request_id: self.request_id(),
        }
    }

    fn block(&mut self, now: i64, currency: &str) -> wire::Block {
        let mut block = wire::Block {
            reason_code: ["COURT_ORDER", "KYC_EXPIRED"][self.rng.below(2)].to_owned(),
            honour_holds: self.rng.percent(50),
            ..Default::default()
        };
        block.set_effect(Effect::Debit);
        if self.rng.percent(60) {
            block.amount = Some(money(self.units(currency, 300), currency));
        } else {
            block.set_effect(*self.rng.pick(&[Effect::Debit, Effect::Credit, Effect::All]));
        }
        if self.rng.percent(25) {
            block.start_time = Some(wire_time(now + self.rng.between(-HOUR, 6 * HOUR)));
        }
        if self.rng.percent(60) {
            block.end_time = Some(wire_time(now + self.rng.between(7 * HOUR, 20 * HOUR)));
        }
        block
    }

    fn limit(&mut self, kind: Kind, currency: &str) -> wire::Limit {
        let (id, window, effect, scope, types) = kind;
        let mut limit = wire::Limit {
            id: id.to_owned(),
            effect: effect.into(),
            window: window.into(),
            types: types.iter().map(|kind| (*kind).to_owned()).collect(),
            scope: scope.into(),
            ..Default::default()
        };
        if window == Window::Rolling {
            let seconds = 5 * 3_600;
            limit.rolling_length = Some(prost_types::Duration { seconds, nanos: 0 });
        }
        let by_count = window != Window::Transaction && self.rng.percent(50);
        if by_count {
            limit.max_count = self.rng.between(3, 20);
        }
        if !by_count || self.rng.percent(50) {
            limit.max_amount = Some(money(self.units(currency, 3_000), currency));
        }
        limit
    }

    /// Closes an account: mostly one that is empty, while enough are left.
    pub(super) fn close(&mut self, reference: &Reference) -> Call {
        let account = |name: &String| reference.accounts.get(name).unwrap().clone();
        let open: Vec<&String> =
            self.own.iter().filter(|name| account(name).closed.is_none()).collect();
        let has_something = |name: &&String| account(name).posted() != 0 || account(name).held > 0;
        let empty = open.iter().find(|name| !has_something(name));
        let name = match empty {
            Some(empty) if open.len() * 10 > self.own.len() * 8 => (*empty).clone(),
            _ => {
                let full = self.own.iter().find(has_something);
                full.unwrap_or(&self.own[0]).clone()
            }
        };
        Call::Close(wire::CloseLedgerAccountRequest {
            name,
            request_id: self.request_id(),
            validate_only: self.rng.percent(20),
            ..Default::default()
        })
    }
}
