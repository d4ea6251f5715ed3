//! The tables of the README: what was measured, what must be, what is aimed at.

use std::fmt::Write as _;

use super::case::{Case, grouped};
use super::figures::Figures;
use super::options::Size;
use super::report::{mebibytes, whole};

/// A figure that must only be told.
const REPORTED: &str = "reported";

/// A figure that is shown, where it was measured.
type Shown = fn(&Figures) -> Option<String>;

/// One row: what, by how many loads it is shown, and the figures that it must have and aims at.
struct Row {
    work: &'static str,
    loads: Vec<Case>,
    shown: Shown,
    must: &'static str,
    aim: &'static str,
}

/// What all the rows are made with.
const fn row(
    work: &'static str,
    loads: Vec<Case>,
    shown: Shown,
    must: &'static str,
    aim: &'static str,
) -> Row {
    Row { work, loads, shown, must, aim }
}

/// How much the ledger does.
fn throughput() -> Vec<Row> {
    let rate: Shown = |load| Some(whole(load.per_second));
    let same_rows: Shown = |load| times(load.ratio_same_rows);
    let bare: Shown = |load| times(load.ratio_bare);
    let unary = || [64, 256, 1_024].map(Case::unary).to_vec();
    let batches = || vec![Case::batches()];
    vec![
        row("unary transfers a second, 64 / 256 / 1,024 callers", unary(), rate, REPORTED, ""),
        row("the same, x same rows", unary(), same_rows, "1.5 / 2 / 2.5", "2 / 3 / 4"),
        row("the same, x bare", unary(), bare, REPORTED, "1.5 / 2 / 3"),
        row("transfers a second, 100 per call", batches(), rate, REPORTED, ""),
        row("the same, x same rows", batches(), same_rows, "3.5", "5"),
        row("the same, x bare", batches(), bare, REPORTED, "4"),
    ]
}

/// What it does under special loads, each beside what it is compared with.
fn special(rate: Option<f64>) -> Vec<Row> {
    let same_rows: Shown = |load| times(load.ratio_same_rows);
    let plain: Shown = |load| times(load.ratio_plain);
    let tenants = || vec![Case { tenants: 1_000, ..Case::unary(1_000) }];
    vec![
        row(
            "one hot account in every transfer, 256 callers, x uniform",
            vec![Case { hot: true, ..Case::unary(256) }],
            plain,
            "0.9",
            "1",
        ),
        row("1,000 tenants, one caller each, x same rows", tenants(), same_rows, "1", ""),
        row("the same, x one tenant with 1,024 callers", tenants(), plain, REPORTED, "0.7"),
        row(
            "one caller alone, p50, x one pgbench client",
            vec![Case::unary(1)],
            |load| times(load.ratio_p50),
            "4",
            "3",
        ),
        row(
            "p99 at 70 % of the peak, open loop",
            vec![Case { rate, ..Case::unary(1_024) }],
            |load| Some(format!("{:.1} ms", load.p99_ms)),
            REPORTED,
            "25 ms",
        ),
        row(
            "p99 of CreateHold while 20,000 items come in bulk, x idle",
            vec![Case::holds()],
            |load| times(load.ratio_p99),
            "3",
            "2",
        ),
        row(
            "an event until somebody who watches sees it, 256 callers, p99",
            vec![Case { watched: true, ..Case::unary(256) }],
            |load| load.lag_p99_ms.map(|lag| format!("{lag:.0} ms")),
            "1,000 ms",
            "200 ms",
        ),
        row(
            "two replicas on one database, 256 callers, x one",
            vec![Case { replicas: 2, ..Case::unary(256) }],
            plain,
            "0.9",
            "more than 1",
        ),
    ]
}

/// What it takes.
fn costs() -> Vec<Row> {
    vec![
        row(
            "disk for a transfer, everything included",
            vec![Case::unary(256)],
            |load| Some(format!("{} bytes", whole(load.bytes_per_transfer))),
            "1,400 bytes",
            "900 bytes",
        ),
        row(
            "write-ahead log for a transfer",
            vec![Case::unary(256)],
            |load| Some(format!("{} bytes", whole(load.wal_bytes_per_transfer))),
            REPORTED,
            "",
        ),
        row(
            "memory of the service under 1,024 callers",
            vec![Case::unary(1_024)],
            |load| load.memory_bytes.map(mebibytes),
            "128 MiB",
            "64 MiB",
        ),
    ]
}

fn times(ratio: Option<f64>) -> Option<String> {
    ratio.map(|ratio| format!("{ratio:.2}"))
}

const HEAD: &str = "| work | measured | must | aim |\n|---|---|---|---|\n";

/// The table of many loads, in Markdown.
pub(super) fn loads(loads: &[Figures]) -> String {
    let rate = loads.iter().find_map(|load| load.case.rate);
    let mut text = HEAD.to_owned();
    let rows = throughput().into_iter().chain(special(rate)).chain(costs());
    for Row { work, loads: wanted, shown, must, aim } in rows {
        let figure = |case: &Case| {
            let load = loads.iter().find(|load| load.case == *case);
            load.and_then(shown).unwrap_or_else(|| "-".to_owned())
        };
        let measured = wanted.iter().map(figure).collect::<Vec<_>>().join(" / ");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {work} | {measured} | {must} | {aim} |");
    }
    text
}

/// The table of books of two sizes, in Markdown.
pub(super) fn sizes(loads: &[Figures]) -> String {
    let (Some(first), Some(last)) = (loads.first(), loads.last()) else { return HEAD.to_owned() };
    let (small, large) = (first.books, last.books);
    let name = |size: Size| {
        format!("{} transfers over {} accounts", grouped(size.fill), grouped(size.accounts))
    };
    let mut text = HEAD.to_owned();
    let (below, above): (Vec<&Figures>, Vec<_>) = loads.iter().partition(|l| l.books == small);
    for load in above {
        let before = below.iter().find(|other| other.case == load.case).copied();
        let both = |shown: Shown| {
            let shown = [Some(load), before].into_iter().flatten().filter_map(shown);
            shown.collect::<Vec<_>>().join(", in the small books ")
        };
        // Writing to a String cannot fail.
        let _ = match load.case.work.title() {
            None => {
                let ratio = times(load.ratio_smaller).unwrap_or_else(|| "-".to_owned());
                let (large, small) = (name(large), name(small));
                let wal =
                    both(|load| Some(format!("{} bytes", whole(load.wal_bytes_per_transfer))));
                writeln!(
                    text,
                    "| {large}, x the rate of {small} | {ratio} | 0.8 | 0.95 |\n\
                     | write-ahead log for a transfer | {wal} | {REPORTED} |  |"
                )
            }
            Some(title) => {
                let pages =
                    both(|load| Some(format!("{:.1} / {:.1} ms", load.p50_ms, load.p99_ms)));
                writeln!(text, "| {title}, p50 / p99 | {pages} | {REPORTED} |  |")
            }
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::case::Work;
    use crate::bench::figures;
    use crate::bench::measured::{CaseRounds, Measured};

    #[test]
    fn what_was_not_measured_is_left_open() {
        let rounds = CaseRounds { case: Case::unary(256), rounds: Vec::new() };
        let books = Measured::new(Size { accounts: 10_000, fill: 0 });
        let load = figures::figures(&rounds, &books, None);
        let table = super::loads(&[load]);
        assert!(table.contains("| - / - / - | 1.5 / 2 / 2.5 | 2 / 3 / 4 |"), "{table}");
        assert!(table.contains("| 0 bytes | 1,400 bytes | 900 bytes |"), "{table}");
        assert!(table.lines().all(|line| line.matches('|').count() == 5), "{table}");
    }

    #[test]
    fn large_books_are_shown_beside_small_ones() {
        let of = |work, accounts| {
            let case = if work == Work::Transfers { Case::unary(256) } else { Case::read(work) };
            let books = Measured::new(Size { accounts, fill: accounts * 10 });
            figures::figures(&CaseRounds { case, rounds: Vec::new() }, &books, None)
        };
        let loads = [
            of(Work::Transfers, 10),
            of(Work::Balance, 10),
            of(Work::Transfers, 1_000),
            of(Work::Balance, 1_000),
        ];
        let table = super::sizes(&loads);
        assert!(
            table.contains("10,000 transfers over 1,000 accounts, x the rate of 100 "),
            "{table}"
        );
        assert!(table.contains("| GetBalance, p50 / p99 | 0.0 / 0.0 ms, in the small"), "{table}");
        assert_eq!(table.lines().count(), 5, "{table}");
    }
}
