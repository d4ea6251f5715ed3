//! The rules that the books of a ledger keep whatever happens, checked in the database.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use shared::ids::TenantId;

use crate::setup::Ledger;

#[derive(QueryableByName)]
struct Broken {
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Text)]
    example: String,
}

/// What must find no row.
const RULES: [(&str, &str); 14] = [
    (
        "each currency sums to zero",
        "SELECT currency FROM ledger_accounts GROUP BY currency \
         HAVING sum(posted_debits) <> sum(posted_credits)",
    ),
    (
        "each transaction sums to zero in each currency, and is complete",
        "SELECT t.id FROM transactions t LEFT JOIN entries e ON e.transaction_id = t.id \
         GROUP BY t.id, t.entry_count, e.currency \
         HAVING sum(CASE direction WHEN 1 THEN amount ELSE -amount END) IS DISTINCT FROM 0 \
             OR (SELECT count(*) FROM entries o WHERE o.transaction_id = t.id) <> t.entry_count",
    ),
    (
        "an account has what its entries say, without a gap",
        "SELECT a.id FROM ledger_accounts a LEFT JOIN entries e ON e.account_id = a.id \
         GROUP BY a.id, a.posted_debits, a.posted_credits, a.entry_seq \
         HAVING coalesce(sum(e.amount) FILTER (WHERE e.direction = 1), 0) <> a.posted_debits \
             OR coalesce(sum(e.amount) FILTER (WHERE e.direction = 2), 0) <> a.posted_credits \
             OR count(e.entry_seq) <> a.entry_seq \
             OR coalesce(max(e.entry_seq), 0) <> a.entry_seq",
    ),
    (
        "each entry goes on from the one before it",
        "SELECT e.entry_seq FROM (SELECT e.*, a.class IN (1, 5) AS debit_normal, \
             lag(e.posted_after, 1, 0) OVER o AS before, \
             lag(e.version_after, 1, 1) OVER o AS version_before \
             FROM entries e JOIN ledger_accounts a ON a.id = e.account_id \
             WINDOW o AS (PARTITION BY e.account_id ORDER BY e.entry_seq)) e \
         WHERE e.posted_after <> e.before \
                 + CASE WHEN (e.direction = 1) = e.debit_normal THEN e.amount ELSE -e.amount END \
             OR e.version_after <= e.version_before",
    ),
    (
        "record times go on with the entries of each account",
        "SELECT transaction_id FROM (SELECT e.transaction_id, t.record_time, \
             lag(t.record_time) OVER o AS before, lag(e.transaction_id) OVER o AS earlier \
             FROM entries e JOIN transactions t ON t.id = e.transaction_id \
             WINDOW o AS (PARTITION BY e.account_id ORDER BY e.entry_seq)) e \
         WHERE earlier <> transaction_id AND before >= record_time",
    ),
    (
        "what is held is what open holds keep",
        "SELECT a.id FROM ledger_accounts a \
         LEFT JOIN holds h ON h.account_id = a.id AND h.state = 1 \
         GROUP BY a.id, a.held HAVING coalesce(sum(h.remaining), 0) <> a.held",
    ),
    (
        "an account looks for expired holds in time",
        "SELECT h.id FROM holds h JOIN ledger_accounts a ON a.id = h.account_id \
         WHERE h.state = 1 AND h.expire_time IS NOT NULL \
             AND (a.next_expiry IS NULL OR a.next_expiry > h.expire_time)",
    ),
    (
        "a hold is what its events say, without a gap",
        "SELECT h.id FROM holds h LEFT JOIN hold_events e ON e.hold_id = h.id \
         GROUP BY h.id, h.amount, h.captured, h.released, h.event_seq, h.remaining \
         HAVING coalesce(sum(e.amount) FILTER (WHERE e.type IN (1, 5)), 0) <> h.amount \
             OR coalesce(sum(e.amount) FILTER (WHERE e.type = 2), 0) <> h.captured \
             OR coalesce(sum(e.amount) FILTER (WHERE e.type IN (3, 6)), 0) <> h.released \
             OR count(*) <> h.event_seq OR max(e.seq) <> h.event_seq",
    ),
    (
        "a capture is a transaction of its hold, once",
        "SELECT coalesce(t.id, e.transaction_id) FROM \
             (SELECT id, hold_id FROM transactions WHERE hold_id IS NOT NULL) t \
         FULL JOIN (SELECT transaction_id, hold_id FROM hold_events WHERE type = 2) e \
             ON e.transaction_id = t.id AND e.hold_id = t.hold_id \
         WHERE t.id IS NULL OR e.transaction_id IS NULL",
    ),
    (
        "days add up: what is stored of them is what the entries say",
        "SELECT coalesce(s.account_id, e.account_id) FROM (SELECT account_id, booking_date, \
                 value_date, sum(debits) AS debits, sum(credits) AS credits FROM ( \
                     SELECT account_id, booking_date, value_date, debits, credits FROM day_totals \
                     UNION ALL SELECT id, day, day, day_debits, day_credits FROM ledger_accounts \
                         WHERE day IS NOT NULL) s \
             GROUP BY account_id, booking_date, value_date) s \
         FULL JOIN (SELECT e.account_id, t.booking_date, \
                 coalesce(e.value_date, t.booking_date) AS value_date, \
                 coalesce(sum(amount) FILTER (WHERE direction = 1), 0) AS debits, \
                 coalesce(sum(amount) FILTER (WHERE direction = 2), 0) AS credits \
             FROM entries e JOIN transactions t ON t.id = e.transaction_id GROUP BY 1, 2, 3) e \
             USING (account_id, booking_date, value_date) \
         WHERE s.debits IS DISTINCT FROM e.debits OR s.credits IS DISTINCT FROM e.credits",
    ),
    (
        "booking and value dates are the days of their times",
        "SELECT t.id FROM transactions t JOIN entries e ON e.transaction_id = t.id \
         WHERE t.booking_date <> (t.record_time AT TIME ZONE 'Europe/Zurich')::date \
             OR coalesce(e.value_date, t.booking_date) \
                 <> (t.effective_time AT TIME ZONE 'Europe/Zurich')::date",
    ),
    (
        "what is taken of an entry is what its links say",
        "SELECT coalesce(t.transaction_id, l.to_transaction_id) FROM link_totals t \
         FULL JOIN (SELECT to_transaction_id, to_entry_index, \
                 coalesce(sum(amount) FILTER (WHERE type <> 4), 0) AS taken, \
                 coalesce(sum(amount) FILTER (WHERE type = 4), 0) AS fees \
             FROM links GROUP BY 1, 2) l \
             ON l.to_transaction_id = t.transaction_id AND l.to_entry_index = t.entry_index \
         WHERE coalesce(t.taken, 0) <> coalesce(l.taken, 0) \
             OR coalesce(t.fees, 0) <> coalesce(l.fees, 0)",
    ),
    (
        "what succeeded is there, and what was posted has succeeded",
        "SELECT o.request_id FROM outcomes o \
         WHERE o.operation IN ('create-transaction', 'reverse-transaction', 'capture-hold') \
             AND o.state = 3 AND NOT EXISTS (SELECT FROM transactions t \
                 WHERE 'transactions/' || t.id = o.resource) \
         UNION ALL SELECT t.id::text FROM transactions t \
         WHERE t.batch_id IS NULL AND NOT EXISTS (SELECT FROM outcomes o \
             WHERE o.resource = 'transactions/' || t.id AND o.state = 3)",
    ),
    (
        "whatever happened is told of once",
        "SELECT coalesce(h.name, c.name) FROM ( \
             SELECT id::text AS name FROM transactions \
             UNION ALL SELECT hold_id || '/' || seq FROM hold_events \
             UNION ALL SELECT operation || '/' || request_id FROM outcomes \
                 WHERE state = 4 AND operation <> 'close-ledger-account') h \
         FULL JOIN (SELECT name, count(*) FROM ( \
             SELECT unnest(ids)::text AS name FROM changes WHERE data IS NULL \
             UNION ALL SELECT unnest(names) FROM changes WHERE data IS NULL) c \
             GROUP BY name) c USING (name) \
         WHERE h.name IS NULL OR c.name IS NULL OR c.count <> 1",
    ),
];

/// The owner of the tables, inside a tenant. Blocks.
pub(crate) fn owner(ledger: &Ledger, tenant: TenantId) -> PgConnection {
    let mut owner = ledger.database.owner();
    let inside = format!("SET strongroom.tenant = '{}'", tenant.uuid());
    owner.batch_execute(&inside).unwrap();
    owner
}

/// Checks all rules in the ledger's own tenant.
pub(crate) fn assert_books(ledger: &Ledger) {
    assert_books_of(ledger, ledger.tenant);
}

/// Checks all rules in a tenant.
pub(crate) fn assert_books_of(ledger: &Ledger, tenant: TenantId) {
    tokio::task::block_in_place(|| {
        let mut owner = owner(ledger, tenant);
        for (rule, sql) in RULES {
            let query = format!(
                "SELECT count(*) AS count, coalesce(min(b::text), '') AS example FROM ({sql}) b"
            );
            let broken: Broken = diesel::sql_query(query).get_result(&mut owner).unwrap();
            let Broken { count, example } = broken;
            assert_eq!(count, 0, "{rule}: not so for {count}, such as {example}");
        }
    });
}
