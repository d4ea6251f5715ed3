//! `hold_events`: what happened to holds.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Nullable, Numeric, SmallInt, Timestamptz, Uuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::Timestamp;

use super::schema::hold_events;
use super::{column, hold_texts};
use crate::domain::{BatchId, HoldEvent, HoldEventType, HoldId, Overrides, TransactionId};

fn event_column(kind: HoldEventType) -> i16 {
    match kind {
        HoldEventType::Created => 1,
        HoldEventType::Captured => 2,
        HoldEventType::Released => 3,
        HoldEventType::Extended => 4,
        HoldEventType::Increased => 5,
        HoldEventType::Expired => 6,
    }
}

fn event_from_column(column: i16) -> HoldEventType {
    match column {
        1 => HoldEventType::Created,
        2 => HoldEventType::Captured,
        3 => HoldEventType::Released,
        4 => HoldEventType::Extended,
        5 => HoldEventType::Increased,
        _ => HoldEventType::Expired,
    }
}

#[derive(Debug, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = hold_events)]
struct Row {
    hold_id: HoldId,
    seq: i32,
    #[diesel(column_name = type_)]
    kind: i16,
    amount: Units,
    remaining_after: Units,
    transaction_id: Option<TransactionId>,
    expire_time: Option<Timestamp>,
    overrides: Option<i16>,
    record_time: Timestamp,
    batch_id: Option<BatchId>,
    batch_index: Option<i32>,
}

impl From<Row> for HoldEvent {
    fn from(row: Row) -> Self {
        Self {
            hold: row.hold_id,
            seq: row.seq,
            kind: event_from_column(row.kind),
            amount: row.amount,
            remaining: row.remaining_after,
            transaction: row.transaction_id,
            expire_time: row.expire_time,
            overrides: row.overrides.map_or(Overrides::default(), Overrides::from_number),
            reason: String::new(),
            record_time: row.record_time,
            batch: row.batch_id.zip(row.batch_index),
        }
    }
}

/// Writes what happened to holds.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    events: &[HoldEvent],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO hold_events (tenant_id, hold_id, seq, type, amount, remaining_after, \
            transaction_id, expire_time, overrides, record_time, batch_id, batch_index) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS n";
    if events.is_empty() {
        return Ok(());
    }
    let e = events;
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(e, |e| e.hold).into_sql::<Array<Uuid>>(),
        column(e, |e| e.seq).into_sql::<Array<Integer>>(),
        column(e, |e| event_column(e.kind)).into_sql::<Array<SmallInt>>(),
        column(e, |e| e.amount).into_sql::<Array<Numeric>>(),
        column(e, |e| e.remaining).into_sql::<Array<Numeric>>(),
        column(e, |e| e.transaction).into_sql::<Array<Nullable<Uuid>>>(),
        column(e, |e| e.expire_time).into_sql::<Array<Nullable<Timestamptz>>>(),
        column(e, |e| e.overrides.number()).into_sql::<Array<Nullable<SmallInt>>>(),
        column(e, |e| e.record_time).into_sql::<Array<Timestamptz>>(),
        column(e, |e| e.batch.map(|batch| batch.0)).into_sql::<Array<Nullable<Uuid>>>(),
        column(e, |e| e.batch.map(|batch| batch.1)).into_sql::<Array<Nullable<Integer>>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

/// What happened to a hold, in order.
pub(crate) fn of_hold(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: HoldId,
) -> QueryResult<Vec<HoldEvent>> {
    let rows: Vec<Row> = hold_events::table
        .filter(hold_events::tenant_id.eq(tenant).and(hold_events::hold_id.eq(id)))
        .order(hold_events::seq)
        .select(Row::as_select())
        .load(conn)?;
    let mut texts = hold_texts::select_all(conn, tenant, vec![id])?;
    let event = |row: Row| {
        let reason = texts.remove(&(id, row.seq)).unwrap_or_default();
        HoldEvent { reason, ..row.into() }
    };
    Ok(rows.into_iter().map(event).collect())
}

/// What happened to holds at some places, without why. Unknown places are left out.
pub(super) fn select_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    places: &[(HoldId, i32)],
) -> QueryResult<BTreeMap<(HoldId, i32), HoldEvent>> {
    const READ: &str = "\
        SELECT e.* FROM unnest($2, $3) AS n (id, seq), LATERAL ( \
            SELECT hold_id, seq, type AS type_, amount, remaining_after, transaction_id, \
                expire_time, overrides, record_time, batch_id, batch_index \
            FROM hold_events WHERE tenant_id = $1 AND hold_id = n.id AND seq = n.seq LIMIT 1) e";
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(places, |place| place.0).into_sql::<Array<Uuid>>(),
        column(places, |place| place.1).into_sql::<Array<Integer>>(),
    );
    let rows: Vec<Row> = statement(READ, binds).load(conn)?;
    Ok(rows.into_iter().map(|row| ((row.hold_id, row.seq), row.into())).collect())
}

/// The holds that a batch has made or released, by their places in it.
pub(crate) fn of_batch(
    conn: &mut PgConnection,
    tenant: TenantId,
    batch: BatchId,
) -> QueryResult<Vec<(i32, HoldId)>> {
    let rows: Vec<(Option<i32>, HoldId)> = hold_events::table
        .filter(hold_events::tenant_id.eq(tenant).and(hold_events::batch_id.eq(batch)))
        .order(hold_events::batch_index)
        .select((hold_events::batch_index, hold_events::hold_id))
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(index, hold)| Some((index?, hold))).collect())
}
