//! What `bench ledger` can be told.

use std::time::Duration;

use serde::Serialize;
use shared::config::seconds;

use crate::error::Error;

/// Seconds of each measurement, alone and as one of many.
const SECONDS: Duration = Duration::from_secs(10);
const SECONDS_OF_ALL: Duration = Duration::from_secs(5);
/// Callers where nothing else is said.
const CALLERS: usize = 256;
const CALLERS_OF_BATCHES: usize = 32;
/// Transfers in one call at most, as the contract has it.
const BATCH_MAX: usize = 1_000;
/// Callers on one connection, where there are enough; and connections at most.
const CALLERS_PER_CONNECTION: usize = 32;
const CONNECTIONS_MAX: usize = 16;

/// What is measured, and how.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Arguments {
    /// Callers, each of which waits for its answer before it asks again; 256, or 32 with --batch,
    /// or one for each tenant
    #[arg(long, value_name = "N")]
    callers: Option<usize>,
    /// Transfers in one call: above 1 they are independent items of ExecuteBatch
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// Tenants, which share the accounts
    #[arg(long, value_name = "N", default_value_t = 1)]
    tenants: usize,
    /// Let one account take part in every transfer
    #[arg(long)]
    hot: bool,
    /// Processes of the service on the one database
    #[arg(long, value_name = "N", default_value_t = 1)]
    replicas: usize,
    /// Calls a second that come whether or not earlier ones are answered (open loop)
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// HTTP/2 connections; one for each 32 callers, and at most 16, where it is absent
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Seconds of each measurement; 10, or 5 with --all
    #[arg(long, value_name = "N", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Seconds of load before each measurement
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "2")]
    pub(super) warm_up: Duration,
    /// Rounds, of which the medians are taken; floors and service alternate in each
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(super) rounds: usize,
    /// Accounts
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) accounts: u64,
    /// Transfers that are in the books before the first measurement
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) fill: u64,
    /// Clients of pgbench; the best number of 1, 2, 4, 8, 16 and 32 where it is absent
    #[arg(long, value_name = "N")]
    pub(super) clients: Option<u32>,
    /// Measure the service alone: quicker, and without ratios
    #[arg(long)]
    pub(super) no_floors: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Measure everything that the README shows, and print its table
    #[arg(
        long,
        conflicts_with_all = [
            "callers", "batch", "tenants", "hot", "replicas", "rate", "no_floors", "connections",
        ]
    )]
    pub(super) all: bool,
}

/// One kind of load on the service.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Case {
    pub(super) callers: usize,
    pub(super) connections: usize,
    pub(super) batch: usize,
    pub(super) tenants: usize,
    pub(super) hot: bool,
    pub(super) replicas: usize,
    pub(super) rate: Option<f64>,
}

impl Case {
    /// So many callers of one tenant, on one replica.
    pub(super) fn unary(callers: usize) -> Self {
        let connections = (callers / CALLERS_PER_CONNECTION).clamp(1, CONNECTIONS_MAX);
        Self { callers, connections, batch: 1, tenants: 1, hot: false, replicas: 1, rate: None }
    }

    /// A hundred transfers in each call.
    pub(super) fn batches() -> Self {
        Self { batch: 100, ..Self::unary(CALLERS_OF_BATCHES) }
    }

    /// In a few words.
    pub(super) fn title(&self) -> String {
        let several = |number: usize, what: &str| {
            (number > 1).then(|| format!("{} {what}", grouped(number as u64)))
        };
        let calls = match self.rate {
            Some(rate) => Some(format!("open loop, {rate:.0} calls/s")),
            None => several(self.callers, "callers").or(Some("1 caller".to_owned())),
        };
        let parts = [
            calls,
            several(self.batch, "a call"),
            several(self.tenants, "tenants"),
            self.hot.then(|| "one hot account".to_owned()),
            several(self.replicas, "replicas"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// What this load is compared with beside the floors: the same without what is special in it.
    pub(super) fn reference(&self) -> Option<Self> {
        let plain = Self { tenants: 1, hot: false, replicas: 1, ..*self };
        (plain != *self).then_some(plain)
    }
}

impl Arguments {
    /// Refuses what cannot be measured.
    pub(super) fn check(&self) -> Result<(), Error> {
        let refuse = |message: &str| Err(Error::Usage(message.to_owned()));
        if !(1..=BATCH_MAX).contains(&self.batch) {
            return refuse("--batch is 1 to 1000");
        }
        if self.callers == Some(0) || self.tenants == 0 || self.replicas == 0 {
            return refuse("--callers, --tenants and --replicas are at least 1");
        }
        if self.rounds == 0 || self.connections == Some(0) || self.clients == Some(0) {
            return refuse("--rounds, --connections and --clients are at least 1");
        }
        if self.accounts < 2 || self.accounts < 2 * self.tenants as u64 {
            return refuse("--accounts is at least 2 for each tenant");
        }
        if self.rate.is_some_and(|rate| !(rate >= 1.0 && rate.is_finite())) {
            return refuse("--rate is at least 1");
        }
        if self.length() < Duration::from_secs(1) {
            return refuse("--seconds is at least 1");
        }
        Ok(())
    }

    /// How long each measurement takes.
    pub(super) fn length(&self) -> Duration {
        self.seconds.unwrap_or(if self.all { SECONDS_OF_ALL } else { SECONDS })
    }

    /// The loads of the closed loops, or the one that was asked for and what it is compared with.
    pub(super) fn cases(&self) -> Vec<Case> {
        if self.all {
            return vec![
                Case::unary(64),
                Case::unary(256),
                Case::unary(1_024),
                Case::batches(),
                Case { hot: true, ..Case::unary(256) },
                Case { tenants: 1_000, ..Case::unary(1_000) },
                Case::unary(1),
                Case { replicas: 2, ..Case::unary(256) },
            ];
        }
        let default = if self.tenants > 1 { self.tenants } else { CALLERS };
        let default = if self.batch > 1 { CALLERS_OF_BATCHES } else { default };
        let plain = Case::unary(self.callers.unwrap_or(default));
        let case = Case {
            connections: self.connections.unwrap_or(plain.connections).min(plain.callers),
            batch: self.batch,
            tenants: self.tenants,
            hot: self.hot,
            replicas: self.replicas,
            rate: self.rate,
            ..plain
        };
        std::iter::once(case).chain(case.reference()).collect()
    }
}

/// A number with commas: 1,024.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let all = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_special_load_is_compared_with_the_plain_one() {
        let hot = Case { hot: true, ..Case::unary(64) };
        assert_eq!(hot.reference(), Some(Case::unary(64)));
        assert_eq!(Case::unary(64).reference(), None);
    }
}
