//! A page reads what it needs, however much there is: with plans that were made while the tables
//! were empty, on tables that were never analysed, and on analysed ones.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;

use crate::setup::{Client, Ledger};

const TRANSACTIONS: i64 = 20_000;
const PAGE: i32 = 20;
/// Postgres plans a statement for its values five times, and then may have one plan for all.
const TIMES: i64 = 7;
/// Rows of tables and indexes that a page may read: thirty for each resource on it.
const FEW: i64 = 600;
/// The same where a page examines all the 2,000 candidates that it may, for what is rare.
const MANY: i64 = 14_000;

/// One account has an entry of every transaction, twenty others share their other sides; a thousand
/// more have none. Every transaction has a group, labels and an id of the caller's own.
const FILL: &str = "
    SET strongroom.tenant = '{tenant}';
    CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql AS
        $$ SELECT (kind || lpad(n::text, 31, '0'))::uuid $$;
    INSERT INTO ledger_accounts (tenant_id, id, currency, decimals, class, gl_code, posted_debits,
                                 posted_credits, held, entry_seq, version, create_time,
                                 record_time, customer_id, parent_id)
        SELECT '{tenant}', pg_temp.id('a', n), 'EUR', 2, 2, 'gl-' || n % 50, 0, 0, 0,
               CASE WHEN n = 0 THEN {count} WHEN n <= 20 THEN {count} / 20 ELSE 0 END, 1,
               now(), now(), pg_temp.id('c', n % 100), pg_temp.id('a', n % 10)
        FROM generate_series(0, 5000) n;
    INSERT INTO transactions (tenant_id, id, kind, entry_count, effective_time, record_time,
                              booking_date, group_id)
        SELECT '{tenant}', pg_temp.id('b', n), CASE n % 10000 WHEN 7 THEN 'RARE' ELSE 'PAY' END,
               2, now(), '2026-01-01Z'::timestamptz + n * interval '1 s', '2026-01-01',
               'group-' || n % 100
        FROM generate_series(1, {count}) n;
    INSERT INTO entries (tenant_id, transaction_id, entry_index, account_id, entry_seq, direction,
                         amount, currency, posted_after, version_after)
        SELECT '{tenant}', pg_temp.id('b', n), side, pg_temp.id('a', side * (n % 20 + 1)),
               CASE side WHEN 0 THEN n ELSE (n - 1) / 20 + 1 END, side + 1, 1, 'EUR', 0, n
        FROM generate_series(1, {count}) n, generate_series(0, 1) side;
    INSERT INTO labels (tenant_id, transaction_id, key, value, record_time)
        SELECT '{tenant}', pg_temp.id('b', n), key,
               CASE key WHEN 'app' THEN 'shop' ELSE key || '-' || n % 1000 END,
               '2026-01-01Z'::timestamptz + n * interval '1 s'
        FROM generate_series(1, {count}) n, unnest(ARRAY['app', 'run']) key;
    INSERT INTO external_ids (tenant_id, collection, kind, value, holder_id, salt, commitment)
        SELECT '{tenant}', 1, 'PSP', 'psp-' || n, pg_temp.id('b', n), '', ''
        FROM generate_series(1, {count}) n;
    INSERT INTO texts (tenant_id, transaction_id, entry_index, text)
        SELECT '{tenant}', pg_temp.id('b', n), i, 'text'
        FROM generate_series(1, {count}) n, generate_series(-1, 0) i;
    INSERT INTO holds (tenant_id, id, account_id, kind, amount, over_capture, remaining, captured,
                       released, state, expire_time, event_seq, create_time, record_time)
        SELECT '{tenant}', pg_temp.id('d', n), pg_temp.id('a', n % 20 + 1), 'HOLD', 1, 0,
               CASE n % 400 WHEN 0 THEN 1 ELSE 0 END, 0, 0, CASE n % 400 WHEN 0 THEN 1 ELSE 3 END,
               '2099-01-01', 1, '2026-01-01Z'::timestamptz + n * interval '1 s', now()
        FROM generate_series(1, {count}) n;
    INSERT INTO external_ids (tenant_id, collection, kind, value, holder_id, salt, commitment)
        SELECT '{tenant}', 2, 'ARN', 'arn-' || n, pg_temp.id('d', n), '', ''
        FROM generate_series(1, {count}) n;";

const HOUSE: &str = "accounts/a0000000-0000-0000-0000-000000000000";
const ACCOUNT: &str = "accounts/a0000000-0000-0000-0000-000000000001";
const CUSTOMER: &str = "customers/c0000000-0000-0000-0000-000000000007";
const TEN_MINUTES: &str =
    "record_time >= \"2026-01-01T00:50:00Z\" AND record_time < \"2026-01-01T01:00:00Z\"";

/// A call for a page.
#[derive(Debug)]
enum Call {
    Transactions(String),
    Entries(String),
    Holds(String),
    Accounts(String),
    Balances,
    Explanation,
}

impl Call {
    /// Asks for a page, and gives how many there are on it and the token of the next one.
    async fn page(&self, client: &mut Client, token: &str) -> Result<(usize, String), Status> {
        let (page_size, page_token) = (PAGE, token.to_owned());
        Ok(match self {
            Self::Transactions(filter) => {
                let filter = filter.clone();
                let request = wire::ListTransactionsRequest { page_size, page_token, filter };
                let page = client.transactions.list_transactions(request).await?.into_inner();
                (page.transactions.len(), page.next_page_token)
            }
            Self::Entries(filter) => {
                let (account, filter) = (HOUSE.to_owned(), filter.clone());
                let request = wire::ListEntriesRequest { account, page_size, page_token, filter };
                let page = client.balances.list_entries(request).await?.into_inner();
                (page.entries.len(), page.next_page_token)
            }
            Self::Holds(filter) => {
                let filter = filter.clone();
                let request = wire::ListHoldsRequest { page_size, page_token, filter };
                let page = client.holds.list_holds(request).await?.into_inner();
                (page.holds.len(), page.next_page_token)
            }
            Self::Accounts(filter) => {
                let filter = filter.clone();
                let request = wire::ListLedgerAccountsRequest { page_size, page_token, filter };
                let page = client.ledger.list_ledger_accounts(request).await?.into_inner();
                (page.accounts.len(), page.next_page_token)
            }
            Self::Balances => {
                let name = |n| format!("accounts/a0000000-0000-0000-0000-{n:012}");
                let accounts = (1..=PAGE).map(name).collect();
                let request = wire::BatchGetBalancesRequest { accounts };
                let found = client.balances.batch_get_balances(request).await?.into_inner();
                (found.balances.len(), String::new())
            }
            Self::Explanation => {
                let request = wire::ExplainBalanceRequest { account: ACCOUNT.to_owned() };
                let found = client.balances.explain_balance(request).await?.into_inner();
                (found.holds.len(), String::new())
            }
        })
    }
}

/// Every way to look for pages, with how many there are on the first one, and how many rows a page
/// may read.
fn calls() -> Vec<(Call, usize, i64)> {
    use Call::{Accounts, Balances, Entries, Explanation, Holds, Transactions};
    let (of_house, of_account) = (format!("account = {HOUSE}"), format!("account = {ACCOUNT}"));
    let one_of_all = "labels.run = run-7";
    let transactions = [
        (String::new(), 20, FEW),
        ("external_ids.PSP = psp-777".to_owned(), 1, FEW),
        ("group_id = group-7".to_owned(), 20, FEW),
        ("labels.app = shop".to_owned(), 20, FEW),
        (one_of_all.to_owned(), 20, FEW),
        (format!("labels.app = shop AND {one_of_all}"), 2, MANY),
        (format!("{one_of_all} AND {of_house}"), 20, FEW),
        (format!("labels.app = shop AND {of_account}"), 20, FEW),
        (of_house.clone(), 20, FEW),
        (format!("{of_house} AND {TEN_MINUTES}"), 20, FEW),
        (TEN_MINUTES.to_owned(), 20, FEW),
        ("type = RARE".to_owned(), 0, MANY),
    ];
    let entries = [
        (String::new(), 20, FEW),
        (TEN_MINUTES.to_owned(), 20, FEW),
        ("type = RARE".to_owned(), 0, MANY),
    ];
    let holds = [
        (String::new(), 20, FEW),
        (of_account, 20, FEW),
        ("external_ids.ARN = arn-7".to_owned(), 1, FEW),
        ("state = OPEN".to_owned(), 5, MANY),
    ];
    let accounts = [
        (String::new(), 20, FEW),
        (format!("customer = {CUSTOMER}"), 20, FEW),
        (format!("parent = {ACCOUNT}"), 20, FEW),
        ("gl_code = gl-7".to_owned(), 20, FEW),
        ("currency = CHF".to_owned(), 0, MANY),
    ];
    let mut calls = vec![(Balances, 20, FEW), (Explanation, 50, FEW)];
    calls.extend(transactions.map(|(filter, count, most)| (Transactions(filter), count, most)));
    calls.extend(entries.map(|(filter, count, most)| (Entries(filter), count, most)));
    calls.extend(holds.map(|(filter, count, most)| (Holds(filter), count, most)));
    calls.extend(accounts.map(|(filter, count, most)| (Accounts(filter), count, most)));
    calls
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The rows that sessions have read, from tables and from indexes.
pub(crate) fn reads(ledger: &Ledger) -> i64 {
    const READS: &str = "
        SELECT sum(pg_stat_get_tuples_returned(oid) + pg_stat_get_tuples_fetched(oid))::bigint
            AS count
        FROM pg_class WHERE relnamespace = current_schema()::regnamespace
            AND relkind IN ('r', 'i')";
    tokio::task::block_in_place(|| {
        let found: Count =
            diesel::sql_query(READS).get_result(&mut ledger.database.owner()).unwrap();
        found.count
    })
}

/// Ends the sessions of the service, which tell their counts at the latest then.
pub(crate) async fn end_sessions(ledger: &Ledger) {
    const END: &str = "
        SELECT count(pg_terminate_backend(pid)) AS count FROM pg_stat_activity
        WHERE application_name = $1 AND usename = 'strongroom_transactions'";
    let name = format!("strongroom-{}", ledger.database.name);
    loop {
        let ended: Count = tokio::task::block_in_place(|| {
            let query = diesel::sql_query(END).bind::<Text, _>(&name);
            query.get_result(&mut ledger.database.admin()).unwrap()
        });
        if ended.count == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks for the first pages and the ones behind them, time and again.
async fn ask(client: &mut Client, call: &Call, count: usize) {
    for _ in 0..TIMES {
        let (found, token) = call.page(client, "").await.unwrap();
        assert_eq!(found, count, "{call:?}");
        call.page(client, &token).await.unwrap();
    }
}

/// Asks for every list, and gives how many rows all of them have read together.
async fn ask_each(ledger: &Ledger, which: &str) -> i64 {
    let mut client = ledger.client();
    let begin = reads(ledger);
    for (call, count, most) in calls() {
        let before = reads(ledger);
        ask(&mut client, &call, count).await;
        end_sessions(ledger).await;
        let rows = (reads(ledger) - before) / (2 * TIMES);
        assert!(rows <= most, "{call:?} read {rows} rows of {which} for a page");
    }
    reads(ledger) - begin
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_what_it_needs_and_no_more() {
    // One session, so that every statement is asked for often enough.
    // And nobody else who reads.
    let ledger = Ledger::start_with(&[
        "--pool-size",
        "1",
        "--expiry-interval",
        "3600",
        "--sequence-interval",
        "3600",
        "--audit-interval",
        "0",
    ])
    .await;
    let mut client = ledger.client();
    for (call, ..) in calls() {
        for _ in 0..TIMES {
            // Nothing is there yet, not even the accounts.
            let _ = call.page(&mut client, "").await;
        }
    }
    let mut owner = tokio::task::block_in_place(|| ledger.database.owner());
    let fill = FILL.replace("{tenant}", &ledger.tenant.uuid().to_string());
    let fill = fill.replace("{count}", &TRANSACTIONS.to_string());
    tokio::task::block_in_place(|| owner.batch_execute(&fill).unwrap());

    let begin = reads(&ledger);
    for (call, count, _) in calls() {
        ask(&mut client, &call, count).await;
    }
    end_sessions(&ledger).await;
    let with_old_plans = reads(&ledger) - begin;
    let rows = ask_each(&ledger, "tables that were never analysed").await;
    // None of the plans is another one. Had one of them read a table, it would be half as much
    // again.
    assert!(with_old_plans < rows + rows / 4, "{with_old_plans} rows, and {rows} with new plans");
    tokio::task::block_in_place(|| owner.batch_execute("ANALYZE").unwrap());
    ask_each(&ledger, "analysed tables").await;
}
