//! What `bench ledger` can be told.

use std::time::Duration;

use serde::Serialize;
use shared::config::seconds;

use super::case::{Case, Work};
use crate::error::Error;

/// Seconds of each measurement: alone, as one of many, and in books so large that what follows a
/// checkpoint takes a while.
const SECONDS: Duration = Duration::from_secs(10);
const SECONDS_OF_MANY: Duration = Duration::from_secs(5);
const SECONDS_OF_SIZES: Duration = Duration::from_secs(20);
/// Seconds of reads, and before them, at most: one caller alone finds out soon.
const SECONDS_OF_READS: Duration = Duration::from_secs(3);
const WARM_UP_OF_READS: Duration = Duration::from_secs(1);
/// Callers where nothing else is said.
const CALLERS: usize = 256;
/// Transfers in one call at most, as the contract has it.
const BATCH_MAX: usize = 1_000;
/// The books where nothing else is said; the large ones, and how much smaller the small ones are.
const ACCOUNTS: u64 = 10_000;
const LARGE: Size = Size { accounts: 1_000_000, fill: 10_000_000 };
const SMALLER: u64 = 100;
/// Transfers that lists need to show a page of each kind.
const FILL_FOR_LISTS: u64 = 1_000;

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
    /// Let somebody watch the events, and tell how late they are
    #[arg(long)]
    watch: bool,
    /// Calls a second that come whether or not earlier ones are answered (open loop)
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// HTTP/2 connections; one for each 32 callers, and at most 16, where it is absent
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Seconds of each measurement; 10, or 5 with --all, or 20 with --sizes; 3 at most for lists
    #[arg(long, value_name = "N", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Seconds of load before each measurement
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "2")]
    pub(super) warm_up: Duration,
    /// Rounds, of which the medians are taken; floors and service alternate in each
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(super) rounds: usize,
    /// Accounts; 10,000, or 1,000,000 with --sizes
    #[arg(long, value_name = "N")]
    accounts: Option<u64>,
    /// Transfers that are in the books before the first measurement; 0, or 10,000,000 with --sizes
    #[arg(long, value_name = "N")]
    fill: Option<u64>,
    /// Clients of pgbench; the best number of 1, 2, 4, 8, 16 and 32 where it is absent
    #[arg(long, value_name = "N")]
    pub(super) clients: Option<u32>,
    /// Measure the service alone: quicker, and without ratios
    #[arg(long)]
    no_floors: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Measure everything that the README's first table shows, and print it
    #[arg(
        long,
        conflicts_with_all = [
            "callers", "batch", "tenants", "hot", "replicas", "rate", "no_floors", "connections",
        ]
    )]
    pub(super) all: bool,
    /// Measure CreateHold, while 20,000 transfers come in bulk and while none do
    #[arg(long, conflicts_with_all = ["all", "batch", "tenants", "hot"])]
    holds: bool,
    /// Measure how long lists and balances take, in books that --fill has filled
    #[arg(
        long,
        conflicts_with_all = [
            "all", "holds", "callers", "batch", "tenants", "hot", "replicas", "rate",
        ]
    )]
    pub(super) lists: bool,
    /// Measure a load and the lists in large books and in books of a hundredth, in turn, and print
    /// the README's second table
    #[arg(long, conflicts_with_all = ["all", "holds", "lists", "tenants", "replicas"])]
    pub(super) sizes: bool,
    /// Measure how long the service takes to verify books that --fill has filled, without the log
    /// and with it
    #[arg(
        long,
        conflicts_with_all = [
            "all", "holds", "lists", "sizes", "callers", "batch", "tenants", "hot", "replicas",
            "rate",
        ]
    )]
    pub(super) verify: bool,
}

/// How large the books are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Size {
    pub(super) accounts: u64,
    /// Transfers that are there before the first measurement.
    pub(super) fill: u64,
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
        if self.rate.is_some_and(|rate| !(rate >= 1.0 && rate.is_finite())) {
            return refuse("--rate is at least 1");
        }
        if self.length() < Duration::from_secs(1) {
            return refuse("--seconds is at least 1");
        }
        for Size { accounts, fill } in self.books() {
            if accounts < 2 || accounts < 2 * self.tenants as u64 {
                return refuse("--accounts is at least 2 for each tenant, and 200 with --sizes");
            }
            if (self.lists || self.sizes) && fill < FILL_FOR_LISTS {
                return refuse("--fill is at least 1000 with --lists, and 100000 with --sizes");
            }
        }
        Ok(())
    }

    /// How long each measurement takes.
    pub(super) fn length(&self) -> Duration {
        self.seconds.unwrap_or(match (self.all, self.sizes) {
            (true, _) => SECONDS_OF_MANY,
            (_, true) => SECONDS_OF_SIZES,
            _ => SECONDS,
        })
    }

    /// How long a load warms up, and how long it is measured.
    pub(super) fn times(&self, work: Work) -> (Duration, Duration) {
        match work {
            Work::Transfers | Work::Holds => (self.warm_up, self.length()),
            _ => (self.warm_up.min(WARM_UP_OF_READS), self.length().min(SECONDS_OF_READS)),
        }
    }

    /// The books: small ones and large ones, or one of the size that was asked for.
    pub(super) fn books(&self) -> Vec<Size> {
        if !self.sizes {
            let accounts = self.accounts.unwrap_or(ACCOUNTS);
            return vec![Size { accounts, fill: self.fill.unwrap_or(0) }];
        }
        let accounts = self.accounts.unwrap_or(LARGE.accounts);
        let fill = self.fill.unwrap_or(LARGE.fill);
        vec![Size { accounts: accounts / SMALLER, fill: fill / SMALLER }, Size { accounts, fill }]
    }

    /// Whether there is something that floors are measured for.
    pub(super) fn has_floors(&self) -> bool {
        !(self.no_floors || self.holds || self.lists || self.sizes)
    }

    /// The loads of the closed loops, or the one that was asked for and what it is compared with.
    pub(super) fn cases(&self) -> Vec<Case> {
        if self.all {
            let mut cases = vec![
                Case::unary(64),
                Case::unary(256),
                Case::unary(1_024),
                Case::batches(),
                Case { hot: true, ..Case::unary(256) },
                Case { tenants: 1_000, ..Case::unary(1_000) },
                Case::unary(1),
                Case { replicas: 2, ..Case::unary(256) },
                Case { watched: true, ..Case::unary(256) },
                Case::holds(),
            ];
            cases.extend(Case::holds().reference());
            return cases;
        }
        let lists = || Work::READS.map(Case::read);
        if self.lists {
            return lists().to_vec();
        }
        let asked = self.asked();
        match self.sizes {
            true => std::iter::once(asked).chain(lists()).collect(),
            false => std::iter::once(asked).chain(asked.reference()).collect(),
        }
    }

    /// The load that was asked for.
    fn asked(&self) -> Case {
        let default = match (self.holds, self.batch, self.tenants) {
            (true, ..) => Case::holds(),
            (false, 1, 1) => Case::unary(CALLERS),
            (false, 1, tenants) => Case::unary(tenants),
            (false, ..) => Case::batches(),
        };
        let plain = Case::unary(self.callers.unwrap_or(default.callers));
        Case {
            connections: self.connections.unwrap_or(plain.connections).min(plain.callers),
            callers: plain.callers,
            batch: self.batch,
            tenants: self.tenants,
            hot: self.hot,
            replicas: self.replicas,
            watched: self.watch,
            rate: self.rate.or(default.rate),
            ..default
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(flags: &str) -> Arguments {
        Command::parse_from(flags.split(' ')).arguments
    }

    #[test]
    fn what_is_not_said_follows_from_what_is() {
        assert_eq!(arguments("bench").cases(), [Case::unary(256)]);
        assert_eq!(arguments("bench --batch 100").cases(), [Case::batches()]);
        let tenants = Case { tenants: 50, ..Case::unary(50) };
        assert_eq!(arguments("bench --tenants 50").cases(), [tenants, Case::unary(50)]);
        let holds = Case { callers: 8, connections: 1, ..Case::holds() };
        assert_eq!(arguments("bench --holds --callers 8").cases()[0], holds);
    }

    #[test]
    fn books_of_two_sizes_differ_by_a_hundred() {
        let small = Size { accounts: 10_000, fill: 100_000 };
        assert_eq!(arguments("bench --sizes").books(), [small, LARGE]);
        assert!(arguments("bench --sizes").check().is_ok());
        assert!(arguments("bench --sizes --fill 99999").check().is_err());
        assert!(arguments("bench --lists").check().is_err());
        assert!(arguments("bench --sizes --accounts 199").check().is_err());
    }
}
