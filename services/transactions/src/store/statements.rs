//! `statements`: what was booked on accounts on some days, as it was when the statement was made.

mod create;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, SmallInt, Text, Timestamptz, Uuid};
use serde::{Deserialize, Serialize};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::money::{Currency, Units};
use shared::time::{Day, Timestamp};

use super::LATEST;
use super::ledger_accounts::class_from_column;
use super::schema::statements;
use crate::domain::{
    AccountClass, AccountId, Direction, NewStatement, Statement, StatementId, StatementName,
};

pub(crate) use create::{Asked, create, preview};

#[derive(Debug, Insertable, QueryableByName)]
#[diesel(table_name = statements)]
struct Row {
    tenant_id: TenantId,
    id: StatementId,
    account_id: AccountId,
    start_date: Day,
    end_date: Day,
    version: i32,
    supersedes: Option<StatementId>,
    opening: Units,
    debits: Units,
    credits: Units,
    closing: Units,
    line_count: i64,
    entry_seq: i64,
    hash: Vec<u8>,
    #[diesel(column_name = final_)]
    is_final: bool,
    create_time: Timestamp,
}

/// Inserts a statement; false where its days have this version.
fn insert(conn: &mut PgConnection, tenant: TenantId, statement: &Statement) -> QueryResult<bool> {
    let head = &statement.head;
    let row = Row {
        tenant_id: tenant,
        id: head.name.id,
        account_id: head.name.account,
        start_date: head.start,
        end_date: head.end,
        version: head.version,
        supersedes: head.supersedes,
        opening: head.opening,
        debits: head.debits,
        credits: head.credits,
        closing: head.closing,
        line_count: head.line_count,
        entry_seq: head.entry_seq,
        hash: statement.hash.clone(),
        is_final: head.is_final,
        create_time: head.create_time,
    };
    let inserted = diesel::insert_into(statements::table).values(row).on_conflict_do_nothing();
    Ok(inserted.execute(conn)? == 1)
}

/// A statement with what its account says of its amounts.
#[derive(Debug, QueryableByName)]
struct Read {
    #[diesel(embed)]
    stored: Row,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = SmallInt)]
    decimals: i16,
    #[diesel(sql_type = SmallInt)]
    class: i16,
}

impl TryFrom<Read> for Statement {
    type Error = DbError;

    fn try_from(read: Read) -> Result<Self, DbError> {
        let Read { stored: row, currency, decimals, class } = read;
        let (currency, normal_side) = of_account(row.account_id, &currency, decimals, class)?;
        let head = NewStatement {
            name: StatementName { account: row.account_id, id: row.id },
            start: row.start_date,
            end: row.end_date,
            version: row.version,
            supersedes: row.supersedes,
            currency,
            normal_side,
            opening: row.opening,
            debits: row.debits,
            credits: row.credits,
            closing: row.closing,
            line_count: row.line_count,
            entry_seq: row.entry_seq,
            is_final: row.is_final,
            create_time: row.create_time,
        };
        Ok(Self { head, hash: row.hash })
    }
}

fn of_account(
    account: AccountId,
    currency: &str,
    decimals: i16,
    class: i16,
) -> Result<(Currency, Direction), DbError> {
    let decimals = u8::try_from(decimals).ok();
    let currency = decimals.and_then(|decimals| Currency::new(currency, decimals));
    let class = class_from_column(class);
    let found = currency.zip(class.map(AccountClass::normal_side));
    found.ok_or_else(|| DbError::Fault(format!("{account} has no usable currency or class")))
}

/// Reads a statement.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    name: StatementName,
) -> Result<Option<Statement>, DbError> {
    const READ: &str = "\
        SELECT s.*, a.currency, a.decimals, a.class FROM ( \
            SELECT *, final AS final_ FROM statements \
            WHERE tenant_id = $1 AND id = $2 AND account_id = $3 LIMIT 1) s, \
        LATERAL (SELECT currency, decimals, class FROM ledger_accounts \
            WHERE tenant_id = $1 AND id = s.account_id LIMIT 1) a";
    let binds =
        (tenant.into_sql::<Uuid>(), name.id.into_sql::<Uuid>(), name.account.into_sql::<Uuid>());
    let found: Option<Read> = statement(READ, binds).get_result(conn).optional()?;
    found.map(Statement::try_from).transpose()
}

/// When a statement was made; `None` for what is none.
pub(super) fn create_time(
    conn: &mut PgConnection,
    tenant: TenantId,
    resource: &str,
) -> Result<Option<Timestamp>, DbError> {
    let Ok(name) = StatementName::parse(resource) else { return Ok(None) };
    Ok(select(conn, tenant, name)?.map(|found| found.head.create_time))
}

/// A place in a list: the latest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    create_time: Timestamp,
    id: StatementId,
}

impl Place {
    pub(crate) fn of(statement: &Statement) -> Self {
        Self { create_time: statement.head.create_time, id: statement.head.name.id }
    }
}

/// Reads the statements of an account behind a place in the list.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Statement>, DbError> {
    // The limit is a query, so that the planner does not know it: it would else sort what it takes
    // for a few rows.
    const LIST: &str = "\
        SELECT s.*, a.currency, a.decimals, a.class FROM ( \
            SELECT *, final AS final_ FROM statements \
            WHERE tenant_id = $1 AND account_id = $2 AND (create_time, id) < ($3, $4) \
            ORDER BY create_time DESC, id DESC LIMIT (SELECT $5)) s, \
        LATERAL (SELECT currency, decimals, class FROM ledger_accounts \
            WHERE tenant_id = $1 AND id = s.account_id LIMIT 1) a \
        ORDER BY s.create_time DESC, s.id DESC";
    let begin = Place { create_time: LATEST, id: StatementId::from_uuid(uuid::Uuid::nil()) };
    let after = after.unwrap_or(begin);
    let binds = (
        tenant.into_sql::<Uuid>(),
        account.into_sql::<Uuid>(),
        after.create_time.into_sql::<Timestamptz>(),
        after.id.into_sql::<Uuid>(),
        limit.into_sql::<BigInt>(),
    );
    let rows: Vec<Read> = statement(LIST, binds).load(conn)?;
    rows.into_iter().map(Statement::try_from).collect()
}
