//! `relationships`, and the locks under which those without circles are added.

use diesel::prelude::*;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::{relationship_graphs, relationships};
use crate::domain::{
    CustomerId, Relationship, RelationshipId, RelationshipKind, RelationshipPosition, Span,
};

#[derive(Debug, Queryable, Insertable, Selectable)]
#[diesel(table_name = relationships)]
struct Row {
    tenant_id: TenantId,
    id: RelationshipId,
    customer_id: CustomerId,
    kind: i16,
    other_id: CustomerId,
    share_basis_points: Option<i32>,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    create_time: Timestamp,
}

impl Row {
    fn new(tenant: TenantId, relationship: &Relationship) -> Self {
        Self {
            tenant_id: tenant,
            id: relationship.id,
            customer_id: relationship.customer,
            kind: relationship.kind.number(),
            other_id: relationship.other,
            share_basis_points: relationship.share,
            start_time: relationship.span.start,
            end_time: relationship.span.end,
            create_time: relationship.create_time,
        }
    }

    fn relationship(self) -> Result<Relationship, DbError> {
        let kind = RelationshipKind::from_number(self.kind);
        let fault = || DbError::Fault(format!("{} has no usable kind", self.id));
        Ok(Relationship {
            id: self.id,
            customer: self.customer_id,
            kind: kind.ok_or_else(fault)?,
            other: self.other_id,
            share: self.share_basis_points,
            span: Span { start: self.start_time, end: self.end_time },
            create_time: self.create_time,
        })
    }
}

/// Inserts a relationship; false where the id is in use.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    relationship: &Relationship,
) -> QueryResult<bool> {
    let inserted = diesel::insert_into(relationships::table)
        .values(Row::new(tenant, relationship))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(inserted == 1)
}

/// Reads a relationship of a customer.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: RelationshipId,
) -> Result<Option<Relationship>, DbError> {
    let row = relationships::table.find((tenant, id)).select(Row::as_select());
    let row: Option<Row> = row.first(conn).optional()?;
    row.map(Row::relationship).transpose()
}

/// Reads a relationship to change it.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: RelationshipId,
) -> Result<Option<Relationship>, DbError> {
    let row = relationships::table.find((tenant, id)).select(Row::as_select());
    let row: Option<Row> = row.for_no_key_update().first(conn).optional()?;
    row.map(Row::relationship).transpose()
}

/// Writes the end of a locked relationship.
pub(crate) fn update_end(
    conn: &mut PgConnection,
    tenant: TenantId,
    relationship: &Relationship,
) -> QueryResult<()> {
    diesel::update(relationships::table.find((tenant, relationship.id)))
        .set(relationships::end_time.eq(relationship.span.end))
        .execute(conn)?;
    Ok(())
}

/// Waits until nobody else adds a relationship of a kind, and keeps others from it until the end of
/// the transaction.
pub(crate) fn lock_graph(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: RelationshipKind,
) -> QueryResult<()> {
    use relationship_graphs::{kind as kind_column, table, tenant_id};
    let graph = table.find((tenant, kind.number())).select(kind_column);
    if graph.for_update().first::<i16>(conn).optional()?.is_none() {
        let row = (tenant_id.eq(tenant), kind_column.eq(kind.number()));
        diesel::insert_into(table).values(row).on_conflict_do_nothing().execute(conn)?;
        graph.for_update().first::<i16>(conn)?;
    }
    Ok(())
}

/// Reads the relationships of a kind that some customers have within a span; none where they are
/// more than `max`.
pub(crate) fn within(
    conn: &mut PgConnection,
    tenant: TenantId,
    customers: &[CustomerId],
    kind: RelationshipKind,
    span: Span,
    max: usize,
) -> Result<Option<Vec<Relationship>>, DbError> {
    let ends_later = relationships::end_time.gt(span.start);
    let mut query = relationships::table
        .filter(relationships::tenant_id.eq(tenant))
        .filter(relationships::customer_id.eq_any(customers))
        .filter(relationships::kind.eq(kind.number()))
        .filter(relationships::end_time.is_null().or(ends_later.assume_not_null()))
        .limit(i64::try_from(max).unwrap_or(i64::MAX).saturating_add(1))
        .select(Row::as_select())
        .into_boxed();
    if let Some(end) = span.end {
        query = query.filter(relationships::start_time.lt(end));
    }
    let rows: Vec<Row> = query.load(conn)?;
    if rows.len() > max {
        return Ok(None);
    }
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let relationship = row.relationship()?;
        if relationship.span.meets(span) {
            found.push(relationship);
        }
    }
    Ok(Some(found))
}

/// Reads at most `limit` relationships from and to a customer behind a position, the oldest first.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: CustomerId,
    after: Option<&RelationshipPosition>,
    limit: i64,
) -> Result<Vec<Relationship>, DbError> {
    let behind = || {
        let order = (relationships::create_time, relationships::id);
        let all = relationships::table.select(Row::as_select()).order(order).limit(limit);
        let mut query = all.into_boxed().filter(relationships::tenant_id.eq(tenant));
        if let Some(RelationshipPosition { create_time, id }) = after.copied() {
            let later = relationships::create_time.gt(create_time).or(relationships::id.gt(id));
            query = query.filter(relationships::create_time.ge(create_time)).filter(later);
        }
        query
    };
    let mut rows: Vec<Row> = behind().filter(relationships::customer_id.eq(customer)).load(conn)?;
    rows.extend(behind().filter(relationships::other_id.eq(customer)).load::<Row>(conn)?);
    let found = rows.into_iter().map(Row::relationship);
    let mut found = found.collect::<Result<Vec<_>, _>>()?;
    found.sort_by_key(Relationship::position);
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}
