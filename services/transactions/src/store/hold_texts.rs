//! `hold_texts`: what people wrote about holds, with commitments that outlive it.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Integer, Text, Uuid};
use shared::commitment::Commitment;
use shared::db::statement;
use shared::ids::TenantId;

use super::schema::hold_texts;
use super::{column, texts};
use crate::domain::{Hold, HoldEvent, HoldId};

#[derive(Debug, QueryableByName)]
#[diesel(table_name = hold_texts)]
struct Row {
    hold_id: HoldId,
    event_seq: i32,
    text: String,
}

/// Writes the descriptions of new holds, and why events override rules.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    new: &[&Hold],
    events: &[HoldEvent],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO hold_texts (tenant_id, hold_id, event_seq, text, salt, commitment) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6) AS n";
    let descriptions = new.iter().map(|hold| (hold.id, 0, &hold.description));
    let reasons = events.iter().map(|event| (event.hold, event.seq, &event.reason));
    let written = descriptions.chain(reasons).filter(|(_, _, text)| !text.is_empty());
    let rows: Vec<(HoldId, i32, &String, Commitment)> = written
        .map(|(id, seq, text)| (id, seq, text, Commitment::new(&format!("hold_texts/{seq}"), text)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(&rows, |row| row.0).into_sql::<Array<Uuid>>(),
        column(&rows, |row| row.1).into_sql::<Array<Integer>>(),
        column(&rows, |row| row.2.clone()).into_sql::<Array<Text>>(),
        column(&rows, |row| row.3.salt.clone()).into_sql::<Array<Binary>>(),
        column(&rows, |row| row.3.value.clone()).into_sql::<Array<Binary>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = hold_texts)]
struct Committed {
    hold_id: HoldId,
    event_seq: i32,
    salt: Option<Vec<u8>>,
    commitment: Vec<u8>,
}

/// The commitments to the texts of holds.
pub(super) fn commitments(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<HoldId>,
) -> QueryResult<BTreeMap<(HoldId, i32), Commitment>> {
    const READ: &str = "\
        SELECT t.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT hold_id, event_seq, salt, commitment FROM hold_texts \
            WHERE tenant_id = $1 AND hold_id = n.id OFFSET 0) t";
    let binds = (tenant.into_sql::<Uuid>(), ids.into_sql::<Array<Uuid>>());
    let rows: Vec<Committed> = statement(READ, binds).load(conn)?;
    let committed = rows.into_iter().filter_map(|row| {
        let commitment = texts::stored(row.salt, Some(row.commitment))?;
        Some(((row.hold_id, row.event_seq), commitment))
    });
    Ok(committed.collect())
}

/// The texts of holds: 0 is the description, and n is why event n overrode rules.
pub(super) fn select_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<HoldId>,
) -> QueryResult<BTreeMap<(HoldId, i32), String>> {
    // A look-up for each, whatever the planner believes of the table.
    const READ: &str = "\
        SELECT t.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT hold_id, event_seq, text FROM hold_texts \
            WHERE tenant_id = $1 AND hold_id = n.id OFFSET 0) t";
    let binds = (tenant.into_sql::<Uuid>(), ids.into_sql::<Array<Uuid>>());
    let rows: Vec<Row> = statement(READ, binds).load(conn)?;
    Ok(rows.into_iter().map(|row| ((row.hold_id, row.event_seq), row.text)).collect())
}
