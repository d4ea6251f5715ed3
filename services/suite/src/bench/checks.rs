//! What is asked of the books at the end. Everything here blocks.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel::{QueryableByName, sql_query};
use serde::Serialize;
use uuid::Uuid;

use super::error::BenchError;
use super::figures::{float, signed};
use super::sql::{Admin, TextValue};

/// The table with a row for each commit.
const CHANGES: &str = "changes";
/// Tables that do not grow with the transfers: one has rows before the first of them, others a row
/// for each tenant, and the log many leaves in each of its rows.
const APART: [&str; 6] =
    ["audits", "calendars", "checkpoints", "ledger_accounts", "log_tiles", "logs"];
/// Rows of two writers are the same if their number and size differ by no more than this part.
const SAME: f64 = 0.05;

/// The books as a whole.
#[derive(Debug, Clone, Copy, QueryableByName)]
pub(super) struct Books {
    /// Transactions of the service.
    #[diesel(sql_type = BigInt)]
    pub(super) transactions: i64,
    /// Transactions of the floor, in the same tables.
    #[diesel(sql_type = BigInt)]
    pub(super) floor: i64,
    /// Holds.
    #[diesel(sql_type = BigInt)]
    pub(super) holds: i64,
    /// Tenants and currencies whose entries do not sum to zero.
    #[diesel(sql_type = BigInt)]
    pub(super) unbalanced: i64,
    /// Accounts whose balance is not the sum of their entries, nor what the last of them left, or
    /// whose holds do not add up to what is held.
    #[diesel(sql_type = BigInt)]
    pub(super) wrong_accounts: i64,
}

/// What one table has got of the service and of the floor "same rows".
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName, Serialize)]
pub(super) struct Rows {
    /// The table.
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    /// Rows of the service.
    #[diesel(sql_type = BigInt)]
    pub(super) service: i64,
    /// Bytes of them.
    #[diesel(sql_type = BigInt)]
    pub(super) service_bytes: i64,
    /// Rows of the floor.
    #[diesel(sql_type = BigInt)]
    pub(super) floor: i64,
    /// Bytes of them.
    #[diesel(sql_type = BigInt)]
    pub(super) floor_bytes: i64,
}

impl Rows {
    /// What has come since an earlier moment.
    pub(super) fn since(mut self, earlier: &[Self]) -> Self {
        if let Some(earlier) = earlier.iter().find(|earlier| earlier.name == self.name) {
            self.service -= earlier.service;
            self.service_bytes -= earlier.service_bytes;
            self.floor -= earlier.floor;
            self.floor_bytes -= earlier.floor_bytes;
        }
        self
    }
}

impl Admin {
    /// Recomputes the books from the entries and the holds.
    pub(super) fn books(&mut self, floor: Uuid) -> Result<Books, BenchError> {
        let books = sql_query(include_str!("books.sql"));
        Ok(books.bind::<SqlUuid, _>(floor).get_result(&mut self.0)?)
    }

    /// What every table of the ledger has got of the floor, and of the service for all tenants but
    /// one, who does what the floor does not.
    pub(super) fn rows(&mut self, floor: Uuid, other: Uuid) -> Result<Vec<Rows>, BenchError> {
        let tables: Vec<TextValue> = sql_query(
            "SELECT relname::text AS value FROM pg_class JOIN pg_attribute ON attrelid = oid \
             WHERE relnamespace = 'transactions'::regnamespace AND attname = 'tenant_id' \
                 AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname",
        )
        .load(&mut self.0)?;
        let mut rows = Vec::new();
        for TextValue { value: table } in tables {
            // A commit has one row of changes, whatever it changes: what counts is in the row.
            let (weight, bytes) = match table.as_str() {
                CHANGES => ("cardinality(coalesce(ids::text[], names))", "0"),
                _ => ("1", "pg_column_size(t.*)"),
            };
            let of = |what: &str, whose: &str| {
                format!("coalesce(sum({what}) FILTER (WHERE {whose}), 0)::bigint")
            };
            let (service, own) = ("tenant_id NOT IN ($1, $2)", "tenant_id = $1");
            let counted = sql_query(format!(
                "SELECT '{table}' AS name, {} AS service, {} AS service_bytes, {} AS floor, \
                     {} AS floor_bytes FROM transactions.{table} AS t",
                of(weight, service),
                of(bytes, service),
                of(weight, own),
                of(bytes, own),
            ));
            let counted = counted.bind::<SqlUuid, _>(floor).bind::<SqlUuid, _>(other);
            rows.push(counted.get_result(&mut self.0)?);
        }
        Ok(rows)
    }
}

/// Where the floor "same rows" has not written what the service has, in words.
pub(super) fn differences(rows: &[Rows], service: u64, floor: u64) -> Vec<String> {
    let mut found = Vec::new();
    if service == 0 || floor == 0 {
        return found;
    }
    for row in rows.iter().filter(|row| !APART.contains(&row.name.as_str())) {
        let name = &row.name;
        let ours = signed(row.service) / float(service);
        let theirs = signed(row.floor) / float(floor);
        // A table that has, say, a row for each account and day does not grow with the transfers.
        let is_bounded = is_same(signed(row.service), signed(row.floor));
        if !is_same(ours, theirs) && !is_bounded {
            found.push(format!("{name}: the service writes {ours:.2} rows, the floor {theirs:.2}"));
            continue;
        }
        let width =
            |bytes: i64, rows: i64| if rows > 0 { signed(bytes) / signed(rows) } else { 0.0 };
        let ours = width(row.service_bytes, row.service);
        let theirs = width(row.floor_bytes, row.floor);
        if row.service > 0 && !is_same(ours, theirs) {
            found.push(format!("{name}: the service's rows have {ours:.0} bytes, not {theirs:.0}"));
        }
    }
    found
}

fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() <= SAME * one.max(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(name: &str, service: i64, floor: i64, floor_width: i64) -> Rows {
        let (service_bytes, floor_bytes) = (service * 100, floor * floor_width);
        Rows { name: name.to_owned(), service, service_bytes, floor, floor_bytes }
    }

    #[test]
    fn a_floor_that_writes_less_is_found_out() {
        let same = [rows("entries", 2_000, 200, 101), rows("texts", 0, 0, 0)];
        assert_eq!(differences(&same, 1_000, 100), Vec::<String>::new());
        // Bounded by the accounts, not by the transfers.
        let totals = [rows("day_totals", 50, 50, 100), rows("ledger_accounts", 9, 1, 100)];
        assert_eq!(differences(&totals, 1_000, 100), Vec::<String>::new());
        let less = [rows("entries", 2_000, 100, 100), rows("outcomes", 1_000, 100, 60)];
        let found = differences(&less, 1_000, 100);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("entries") && found[1].contains("outcomes"));
    }

    #[test]
    fn what_was_there_before_does_not_count() {
        let before = [rows("labels", 100, 0, 0)];
        let after = rows("labels", 100, 0, 0).since(&before);
        assert_eq!((after.service, after.service_bytes), (0, 0));
        assert_eq!(rows("texts", 7, 0, 0).since(&before).service, 7);
    }
}
