//! What is asked about the past reads the totals of days and the entries of one, however many there
//! are: with plans that were made while the tables were empty, and on tables that were never
//! analysed.

use diesel::connection::SimpleConnection as _;
use strongroom_proto::transactions::v1 as wire;
use wire::get_balance_request::AsOf;

use crate::list_plans::{end_sessions, reads};
use crate::periods::noon;
use crate::setup::{Client, Ledger};
use crate::statements::of_days;

/// Postgres plans a statement for its values five times, and then may have one plan for all.
const TIMES: i64 = 7;
/// Of 20,000 entries on 500 days. Each day has two rows of totals, which are read from an index and
/// from the table; of the entries there are those of two days.
const MOST: i64 = 3_500;

/// Two accounts with 40 entries a day, of which the last one has another value date.
const FILL: &str = "
    SET strongroom.tenant = '{tenant}';
    CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql AS
        $$ SELECT (kind || lpad(n::text, 31, '0'))::uuid $$;
    INSERT INTO ledger_accounts (tenant_id, id, currency, decimals, class, gl_code, posted_debits,
                                 posted_credits, held, entry_seq, version, create_time, record_time,
                                 overdraft_limit)
        SELECT '{tenant}', pg_temp.id('a', n), 'EUR', 2, 2, '', 20000 * (1 - n), 20000 * n, 0,
               20000, 1, now(), now(), NULL
        FROM generate_series(0, 1) n;
    INSERT INTO transactions (tenant_id, id, kind, entry_count, effective_time, record_time,
                              booking_date)
        SELECT '{tenant}', pg_temp.id('b', n), 'PAY', 2,
               '2025-01-01Z'::timestamptz + n * interval '36 min',
               '2025-01-01Z'::timestamptz + n * interval '36 min',
               ('2025-01-01Z'::timestamptz + n * interval '36 min') AT TIME ZONE 'Europe/Zurich'
        FROM generate_series(1, 20000) n;
    INSERT INTO entries (tenant_id, transaction_id, entry_index, account_id, entry_seq, direction,
                         amount, currency, posted_after, version_after, value_date)
        SELECT '{tenant}', pg_temp.id('b', n), side, pg_temp.id('a', side), n, side + 1, 1, 'EUR',
               n, n, CASE n % 40 WHEN 0 THEN date '2025-01-01' + (n / 40)::int - 3 END
        FROM generate_series(1, 20000) n, generate_series(0, 1) side;
    INSERT INTO day_totals (tenant_id, account_id, booking_date, value_date, debits, credits)
        SELECT '{tenant}'::uuid, e.account_id, t.booking_date,
               coalesce(e.value_date, t.booking_date),
               coalesce(sum(e.amount) FILTER (WHERE e.direction = 1), 0),
               coalesce(sum(e.amount) FILTER (WHERE e.direction = 2), 0)
        FROM entries e
        JOIN transactions t ON t.id = e.transaction_id
        GROUP BY 1, 2, 3, 4;";

const ACCOUNT: &str = "accounts/a0000000-0000-0000-0000-000000000001";

/// A question about the past.
#[derive(Debug)]
enum Ask {
    Balance(AsOf),
    Statement,
    Lines,
    Statements,
}

impl Ask {
    async fn ask(&self, client: &mut Client, statement: &str) -> Result<(), tonic::Status> {
        match self {
            Self::Balance(as_of) => {
                let as_of = Some(as_of.clone());
                let request = wire::GetBalanceRequest { account: ACCOUNT.to_owned(), as_of };
                client.balances.get_balance(request).await.map(drop)
            }
            Self::Statement => {
                client.state(&of_days(ACCOUNT, "2025-10-01", "2025-10-01")).await.map(drop)
            }
            Self::Lines => {
                let (name, page_size) = (statement.to_owned(), 20);
                let page_token = String::new();
                let request = wire::ListStatementLinesRequest { name, page_size, page_token };
                client.statements.list_statement_lines(request).await.map(drop)
            }
            Self::Statements => {
                let account = ACCOUNT.to_owned();
                let request = wire::ListStatementsRequest { account, ..Default::default() };
                client.statements.list_statements(request).await.map(drop)
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_costs_what_its_day_has() {
    // One session, so that every statement is asked for often enough.
    let quiet = ["--expiry-interval", "3600", "--audit-interval", "0"];
    let arguments = [&["--pool-size", "1"][..], &quiet].concat();
    let ledger = Ledger::start_at(noon().clock(), &arguments).await;
    let mut client = ledger.client();
    let time = prost_types::Timestamp { seconds: 1_759_320_000, nanos: 0 };
    let asks = [
        (Ask::Balance(AsOf::BookingDate("2025-10-01".to_owned())), MOST),
        (Ask::Balance(AsOf::EffectiveTime(time)), MOST),
        (Ask::Balance(AsOf::RecordTime(time)), 300),
        (Ask::Statement, MOST),
        (Ask::Lines, 600),
        (Ask::Statements, 600),
    ];
    let nothing = format!("{ACCOUNT}/statements/00000000-0000-0000-0000-000000000000");
    for (ask, _) in &asks {
        for _ in 0..TIMES {
            // Nothing is there yet, not even the account.
            let _ = ask.ask(&mut client, &nothing).await;
        }
    }
    let mut owner = tokio::task::block_in_place(|| ledger.database.owner());
    let fill = FILL.replace("{tenant}", &ledger.tenant.uuid().to_string());
    tokio::task::block_in_place(|| owner.batch_execute(&fill).unwrap());
    let request = of_days(ACCOUNT, "2025-10-01", "2025-10-31");
    let statement = client.state(&request).await.unwrap();
    assert_eq!((statement.line_count, statement.version), (1_242, 1));
    // The sessions go on with the plans that they have, and tell their counts when they end.
    let before = reads(&ledger);
    for (ask, _) in &asks {
        for _ in 0..TIMES {
            ask.ask(&mut client, &statement.name).await.unwrap();
        }
    }
    end_sessions(&ledger).await;
    let rows = (reads(&ledger) - before) / TIMES;
    assert!(rows <= asks.iter().map(|(_, most)| most).sum(), "{rows} rows with old plans");
    for which in ["never analysed", "analysed"] {
        if which == "analysed" {
            tokio::task::block_in_place(|| owner.batch_execute("ANALYZE").unwrap());
        }
        for (ask, most) in &asks {
            let before = reads(&ledger);
            for _ in 0..TIMES {
                ask.ask(&mut client, &statement.name).await.unwrap();
            }
            end_sessions(&ledger).await;
            let rows = (reads(&ledger) - before) / TIMES;
            assert!(rows <= *most, "{ask:?} read {rows} rows of tables that were {which}");
        }
    }
}
