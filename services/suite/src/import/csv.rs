//! Rows of CSV (RFC 4180), behind a header that names the columns in any order.

use std::collections::BTreeMap;

use csv::{Reader, ReaderBuilder, StringRecord};

use super::fault::Fault;
use super::row::{AccountRow, EntryRow, TransactionRow};
use super::source::Metered;

const ACCOUNT_COLUMNS: [&str; 9] = [
    "id",
    "currency",
    "class",
    "gl_code",
    "overdraft",
    "customer",
    "parent",
    "opening_balance",
    "opening_date",
];
const TRANSACTION_COLUMNS: [&str; 11] = [
    "id",
    "type",
    "booking_date",
    "effective_time",
    "description",
    "group_id",
    "account",
    "direction",
    "amount",
    "currency",
    "memo",
];
/// The beginnings of columns for labels and external ids, which end with a key or a kind.
const LABEL: &str = "label.";
const EXTERNAL_ID: &str = "external_id.";

/// A table, a row at a time.
struct Table {
    reader: Reader<Metered>,
    /// The names of the columns; none before the header is read.
    columns: Vec<String>,
    row: StringRecord,
    line: u64,
    is_broken: bool,
}

impl Table {
    fn new(file: Metered) -> Self {
        Self {
            reader: ReaderBuilder::new().from_reader(file),
            columns: Vec::new(),
            row: StringRecord::new(),
            line: 1,
            is_broken: false,
        }
    }

    /// Reads the header, where that is not done yet.
    fn head(&mut self, known: &[&str], families: &[&str]) -> Result<(), Fault> {
        if !self.columns.is_empty() {
            return Ok(());
        }
        let header = match self.reader.headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(self.broken(&error)),
        };
        for (index, name) in header.iter().enumerate() {
            let of_family = |family: &&str| name.len() > family.len() && name.starts_with(*family);
            let repeated = header.iter().take(index).any(|other| other == name);
            let sentence = match known.contains(&name) || families.iter().any(of_family) {
                true if !repeated => continue,
                true => "is there twice",
                false => "is no column of such a file",
            };
            self.is_broken = true;
            return Err(Fault::new(1, &format!("{name:?}"), sentence));
        }
        let is_missing =
            |name: &&&str| !is_optional(name) && !header.iter().any(|column| column == **name);
        if let Some(missing) = known.iter().find(is_missing) {
            self.is_broken = true;
            return Err(Fault::new(1, missing, "is missing in the header"));
        }
        self.columns = header.iter().map(str::to_owned).collect();
        Ok(())
    }

    /// Goes to the next row; false at the end.
    fn advance(&mut self) -> Result<bool, Fault> {
        if self.is_broken {
            return Ok(false);
        }
        match self.reader.read_record(&mut self.row) {
            Ok(more) => {
                self.reader.get_mut().row_ended();
                self.line = self.row.position().map_or(self.line, csv::Position::line);
                Ok(more)
            }
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn broken(&mut self, error: &csv::Error) -> Fault {
        let line = error.position().map_or(self.line, csv::Position::line);
        let sentence = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("has {len} columns, and the header has {expected_len}")
            }
            csv::ErrorKind::Utf8 { err, .. } => {
                return Fault::new(line, &self.column(err.field()), "is not UTF-8");
            }
            csv::ErrorKind::Io(error) => {
                self.is_broken = true;
                error.to_string()
            }
            _ => error.to_string(),
        };
        Fault::new(line, "", sentence)
    }

    fn column(&self, index: usize) -> String {
        self.columns.get(index).cloned().unwrap_or_else(|| format!("column {}", index + 1))
    }

    fn cell(&self, name: &str) -> String {
        let index = self.columns.iter().position(|column| column == name);
        index.and_then(|index| self.row.get(index)).unwrap_or_default().to_owned()
    }

    /// The cells that are not empty of the columns with this beginning, by the rest of their names.
    fn family(&self, prefix: &str) -> BTreeMap<String, String> {
        let cells = self.columns.iter().zip(&self.row);
        let of_family = cells.filter_map(|(column, cell)| {
            let key = column.strip_prefix(prefix)?;
            Some((key.to_owned(), cell.to_owned())).filter(|_| !cell.is_empty())
        });
        of_family.collect()
    }
}

/// Whether a file may be without a column.
fn is_optional(column: &str) -> bool {
    !matches!(
        column,
        "id" | "currency" | "class" | "type" | "booking_date" | "account" | "direction" | "amount"
    )
}

/// A table of accounts.
pub(super) struct AccountTable(Table);

impl AccountTable {
    pub(super) fn new(file: Metered) -> Self {
        Self(Table::new(file))
    }

    pub(super) fn next(&mut self) -> Option<Result<AccountRow, Fault>> {
        let table = &mut self.0;
        match table.head(&ACCOUNT_COLUMNS, &[]).and_then(|()| table.advance()) {
            Ok(true) => Some(Ok(AccountRow {
                line: table.line,
                id: table.cell("id"),
                currency: table.cell("currency"),
                class: table.cell("class"),
                gl_code: table.cell("gl_code"),
                overdraft: table.cell("overdraft"),
                customer: table.cell("customer"),
                parent: table.cell("parent"),
                opening_balance: table.cell("opening_balance"),
                opening_date: table.cell("opening_date"),
            })),
            Ok(false) => None,
            Err(fault) => Some(Err(fault)),
        }
    }

    pub(super) fn file(&self) -> &Metered {
        self.0.reader.get_ref()
    }
}

/// A table of entries. Those of one transaction stand together; what they have in common is said on
/// the first of them, and may be repeated.
pub(super) struct TransactionTable {
    table: Table,
    /// The first row of the next transaction.
    next: Option<TransactionRow>,
    /// The transaction that a bad row is of: what is left of it says nothing.
    spoilt: Option<String>,
}

impl TransactionTable {
    pub(super) fn new(file: Metered) -> Self {
        Self { table: Table::new(file), next: None, spoilt: None }
    }

    pub(super) fn next(&mut self) -> Option<Result<TransactionRow, Fault>> {
        if let Err(fault) = self.table.head(&TRANSACTION_COLUMNS, &[LABEL, EXTERNAL_ID]) {
            return Some(Err(fault));
        }
        let mut fault = None;
        let mut whole = self.next.take();
        loop {
            let row = match self.table.advance() {
                Ok(true) => self.row(),
                Ok(false) => break,
                Err(found) => {
                    // The row may have been of this transaction, which is not judged without it.
                    self.spoilt = whole.map(|whole| whole.id);
                    return Some(Err(fault.unwrap_or(found)));
                }
            };
            if self.spoilt.as_ref() == Some(&row.id) {
                continue;
            }
            self.spoilt = None;
            match &mut whole {
                None => whole = Some(row),
                Some(whole) if whole.id == row.id => {
                    let differs = join(whole, row);
                    fault = fault.or(differs);
                }
                Some(_) => {
                    self.next = Some(row);
                    break;
                }
            }
        }
        match fault {
            Some(fault) => Some(Err(fault)),
            None => whole.map(Ok),
        }
    }

    fn row(&self) -> TransactionRow {
        let table = &self.table;
        TransactionRow {
            line: table.line,
            is_table: true,
            id: table.cell("id"),
            r#type: table.cell("type"),
            booking_date: table.cell("booking_date"),
            effective_time: table.cell("effective_time"),
            description: table.cell("description"),
            group_id: table.cell("group_id"),
            labels: table.family(LABEL),
            external_ids: table.family(EXTERNAL_ID),
            entries: vec![EntryRow {
                line: table.line,
                account: table.cell("account"),
                direction: table.cell("direction"),
                amount: table.cell("amount"),
                currency: table.cell("currency"),
                memo: table.cell("memo"),
            }],
        }
    }

    pub(super) fn file(&self) -> &Metered {
        self.table.reader.get_ref()
    }
}

/// Puts a row to the transaction that it is of.
fn join(whole: &mut TransactionRow, row: TransactionRow) -> Option<Fault> {
    let pairs = [
        ("type", &whole.r#type, &row.r#type),
        ("booking_date", &whole.booking_date, &row.booking_date),
        ("effective_time", &whole.effective_time, &row.effective_time),
        ("description", &whole.description, &row.description),
        ("group_id", &whole.group_id, &row.group_id),
    ];
    let differs = |first: &str, other: &str| !other.is_empty() && first != other;
    let texts = pairs.into_iter().find(|(_, first, other)| differs(first, other));
    let differs_in = |first: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
        other.iter().any(|(key, value)| first.get(key) != Some(value))
    };
    let column = match texts {
        Some((column, ..)) => Some(column),
        None if differs_in(&whole.labels, &row.labels) => Some("label"),
        None if differs_in(&whole.external_ids, &row.external_ids) => Some("external_id"),
        None => None,
    };
    let sentence = || format!("is not that of line {}, of the same transaction", whole.line);
    let fault = column.map(|column| Fault::new(row.line, column, sentence()));
    whole.entries.extend(row.entries);
    fault
}
