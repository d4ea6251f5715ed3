//! Texts that are looked for wherever something is kept.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use diesel::prelude::*;
use diesel::sql_types::Text;
use uuid::Uuid;

use crate::dump::Dumper;

/// Texts that are nowhere but where the test puts them, and how they are found in any form.
#[derive(Default)]
pub(crate) struct Markers(BTreeMap<&'static str, String>);

impl Markers {
    /// The text for a place.
    pub(crate) fn text(&mut self, place: &'static str) -> String {
        let new = || format!("{place}{}", Uuid::new_v4().simple());
        self.0.entry(place).or_insert_with(new).clone()
    }

    /// The places for which there are texts.
    pub(crate) fn places(&self) -> Vec<&'static str> {
        self.0.keys().copied().collect()
    }

    /// The places whose texts are in a dump: as they are, in UTF-16, in hexadecimal digits of both,
    /// or in base64.
    pub(crate) fn found(&self, dump: &str) -> Vec<&'static str> {
        let has = |text: &String| forms(text).iter().any(|form| dump.contains(form));
        self.0.iter().filter(|(_, text)| has(text)).map(|(place, _)| *place).collect()
    }
}

fn forms(text: &str) -> Vec<String> {
    // Every character is a byte. What stands before the first and behind the last one depends on
    // the byte order.
    let wide: Vec<String> = text.chars().map(String::from).collect();
    let wide = wide.join("\0");
    let mut forms = vec![text.to_owned(), text.to_uppercase(), wide.clone()];
    for bytes in [text, &wide] {
        let hex = hex(bytes.as_bytes());
        forms.extend([hex.to_uppercase(), hex]);
    }
    for before in 0..3 {
        // Where it stands in the middle of something, its first and last digits depend on that.
        // Letters and digits have the same base64 in every alphabet.
        let encoded = STANDARD_NO_PAD.encode([vec![0; before], text.as_bytes().to_vec()].concat());
        forms.push(encoded[4..encoded.len() - 4].to_owned());
    }
    forms
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// All rows of all tables as text, each behind the name of its table.
pub(crate) fn rows(dumper: &Dumper) -> String {
    let mut conn = dumper.admin();
    let tables = "SELECT format('%I.%I', table_schema, table_name) AS line \
                  FROM information_schema.tables WHERE table_type = 'BASE TABLE' \
                  AND table_schema IN ('accounts', 'records', 'transactions')";
    let tables: Vec<Line> = diesel::sql_query(tables).load(&mut conn).unwrap();
    let mut all = String::new();
    for Line { line: table } in &tables {
        let rows = format!("SELECT '{table} ' || t::text AS line FROM {table} t");
        let rows: Vec<Line> = diesel::sql_query(rows).load(&mut conn).unwrap();
        all.extend(rows.into_iter().map(|row| row.line + "\n"));
    }
    all
}

/// Everything that is kept anywhere: tables, dumps, and what was written to files.
pub(crate) fn everything(dumper: &Dumper, state: &Path) -> String {
    let mut all = rows(dumper) + &dumper.server_log();
    if dumper.can_dump() {
        for schema in ["accounts", "records", "transactions"] {
            all += &dumper.sql(schema);
        }
    }
    let mut folders = vec![state.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => folders.push(entry),
                false => all += &String::from_utf8_lossy(&std::fs::read(entry).unwrap()),
            }
        }
    }
    all
}
