//! How a statement is made: from the figures of one snapshot, and checked as it will be read.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Date, Numeric, SmallInt, Text, Uuid};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::money::Units;
use shared::problem::{Problem, Reason};
use shared::time::{Day, Timestamp};

use super::{insert, of_account};
use crate::domain::{
    Direction, LINES_MAX, NewStatement, Statement, StatementId, StatementName, Tally,
};
use crate::error::Error;
use crate::store::schema::statements;
use crate::store::statement_lines;

/// How many lines are hashed at a time.
const LINES_AT_ONCE: i64 = 1_000;

/// A statement that is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) name: StatementName,
    pub(crate) start: Day,
    pub(crate) end: Day,
    pub(crate) time: Timestamp,
}

#[derive(Debug, QueryableByName)]
struct Figures {
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = SmallInt)]
    decimals: i16,
    #[diesel(sql_type = SmallInt)]
    class: i16,
    #[diesel(sql_type = BigInt)]
    entry_seq: i64,
    #[diesel(sql_type = Numeric)]
    debits_before: Units,
    #[diesel(sql_type = Numeric)]
    credits_before: Units,
    #[diesel(sql_type = Numeric)]
    debits: Units,
    #[diesel(sql_type = Numeric)]
    credits: Units,
    #[diesel(sql_type = Bool)]
    is_final: bool,
}

/// The head of a statement without its lines. All figures are of the snapshot of one query: what
/// is posted later has a later place, and so is not in the lines either. Nobody waits for a lock.
pub(crate) fn head(
    conn: &mut PgConnection,
    tenant: TenantId,
    asked: Asked,
) -> Result<NewStatement, Error> {
    const FIGURES: &str = "\
        SELECT a.currency, a.decimals, a.class, a.entry_seq, d.*, coalesce( \
            (SELECT closed_through >= $4 FROM calendars WHERE tenant_id = $1), false) AS is_final \
        FROM (SELECT currency, decimals, class, entry_seq, day, day_debits, day_credits \
              FROM ledger_accounts WHERE tenant_id = $1 AND id = $2) a, \
        LATERAL (SELECT \
            coalesce(sum(debits) FILTER (WHERE booking_date < $3), 0) AS debits_before, \
            coalesce(sum(credits) FILTER (WHERE booking_date < $3), 0) AS credits_before, \
            coalesce(sum(debits) FILTER (WHERE booking_date >= $3), 0) AS debits, \
            coalesce(sum(credits) FILTER (WHERE booking_date >= $3), 0) AS credits \
            FROM (SELECT booking_date, debits, credits FROM day_totals \
                  WHERE tenant_id = $1 AND account_id = $2 AND booking_date <= $4 \
                  UNION ALL \
                  SELECT a.day, a.day_debits, a.day_credits WHERE a.day <= $4) t) d";
    let Asked { name, start, end, time } = asked;
    // Before the figures, so that a later version never has older ones.
    let latest = latest(conn, tenant, asked)?;
    let binds = (
        tenant.into_sql::<Uuid>(),
        name.account.into_sql::<Uuid>(),
        start.into_sql::<Date>(),
        end.into_sql::<Date>(),
    );
    let found: Option<Figures> = statement(FIGURES, binds).get_result(conn).optional()?;
    let found = found.ok_or_else(|| name.account.not_found())?;
    let (currency, normal_side) =
        of_account(name.account, &found.currency, found.decimals, found.class)?;
    let on_normal_side = |debits: Units, credits: Units| match normal_side {
        Direction::Debit => debits.checked_sub(credits),
        Direction::Credit => credits.checked_sub(debits),
    };
    let opening = on_normal_side(found.debits_before, found.credits_before);
    let change = on_normal_side(found.debits, found.credits);
    let closing = opening.zip(change).and_then(|(opening, change)| opening.checked_add(change));
    let (opening, closing) = opening.zip(closing).ok_or_else(|| mismatch(name))?;
    Ok(NewStatement {
        name,
        start,
        end,
        version: latest.map_or(1, |(_, version)| version.saturating_add(1)),
        supersedes: latest.map(|(id, _)| id),
        currency,
        normal_side,
        opening,
        debits: found.debits,
        credits: found.credits,
        closing,
        line_count: 0,
        entry_seq: found.entry_seq,
        is_final: found.is_final,
        create_time: time,
    })
}

/// The last statement of an account for the same days.
fn latest(
    conn: &mut PgConnection,
    tenant: TenantId,
    Asked { name, start, end, .. }: Asked,
) -> QueryResult<Option<(StatementId, i32)>> {
    statements::table
        .filter(statements::tenant_id.eq(tenant).and(statements::account_id.eq(name.account)))
        .filter(statements::start_date.eq(start).and(statements::end_date.eq(end)))
        .order(statements::version.desc())
        .select((statements::id, statements::version))
        .first(conn)
        .optional()
}

/// Writes a statement: its lines first, which are then read back, added up and hashed as anybody
/// else will read them.
pub(crate) fn create(
    conn: &mut PgConnection,
    tenant: TenantId,
    asked: Asked,
) -> Result<Statement, Error> {
    let mut head = head(conn, tenant, asked)?;
    head.line_count = fits(statement_lines::insert(conn, tenant, &head)?)?;
    let hash = hash(conn, tenant, &head)?.ok_or_else(|| mismatch(head.name))?;
    let statement = Statement { head, hash };
    if !insert(conn, tenant, &statement)? {
        // Somebody else made this version: make the next one.
        return Err(DbError::Contention.into());
    }
    Ok(statement)
}

/// The same, without writing anything.
pub(crate) fn preview(
    conn: &mut PgConnection,
    tenant: TenantId,
    asked: Asked,
) -> Result<Statement, Error> {
    let mut head = head(conn, tenant, asked)?;
    head.line_count = fits(statement_lines::count(conn, tenant, &head)?)?;
    Ok(Statement { head, hash: Vec::new() })
}

fn fits(count: i64) -> Result<i64, Problem> {
    if count <= LINES_MAX {
        return Ok(count);
    }
    let sentence = format!("must be earlier: a statement has at most {LINES_MAX} lines");
    let problem = Problem::new(Reason::TooManyEntries, sentence).in_field("end_date");
    Err(problem.figure("limit", LINES_MAX))
}

fn mismatch(name: StatementName) -> Problem {
    tracing::error!(account = %name.account, "the entries are not what the totals of days say");
    let message = "The books of the account do not match.";
    Problem::new(Reason::BooksMismatch, message).figure("account", name.account)
}

fn hash(
    conn: &mut PgConnection,
    tenant: TenantId,
    head: &NewStatement,
) -> QueryResult<Option<Vec<u8>>> {
    let mut tally = Tally::begin(head, tenant);
    let mut after = 0;
    while after < head.line_count {
        let lines = statement_lines::select(conn, tenant, head.name.id, after, LINES_AT_ONCE)?;
        if lines.iter().try_for_each(|line| tally.add(line)).is_none() {
            return Ok(None);
        }
        after += LINES_AT_ONCE;
    }
    Ok(tally.end())
}
