//! A posting reads what it needs, however much there is: on tables that were never analysed too.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::setup::Ledger;

const POSTINGS: i64 = 150;

#[derive(QueryableByName, Debug)]
struct Reads {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    scans: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// What the indexes of the hot tables have been asked for, and how many rows they gave.
fn reads(ledger: &Ledger) -> Vec<Reads> {
    let sql = "SELECT indexrelname::text AS name, idx_scan AS scans, idx_tup_read AS rows \
               FROM pg_stat_user_indexes WHERE schemaname = current_schema() AND indexrelname IN \
               ('outcomes_pkey', 'ledger_accounts_pkey', 'transactions_pkey') ORDER BY 1";
    tokio::task::block_in_place(|| {
        diesel::sql_query(sql).load(&mut ledger.database.owner()).unwrap()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_look_up_finds_its_row_and_no_others() {
    let ledger = Ledger::start_with(&["--audit-interval", "0"]).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("1").await;
    // More accounts than a posting touches, so that reading all of them would show.
    for _ in 0..20 {
        client.account(None).await;
    }
    for _ in 0..POSTINGS {
        client.pay(&house, &account, "0.01").await.unwrap();
    }
    // A session tells its counts once a second at most, and only when it does something.
    let mut counted = Vec::new();
    for _ in 0..100 {
        client.pay(&house, &account, "0.01").await.unwrap();
        counted = reads(&ledger);
        if counted.len() == 3 && counted.iter().all(|index| index.scans >= POSTINGS) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for index in counted {
        let Reads { name, scans, rows } = index;
        assert!(scans >= POSTINGS, "{name} was looked into {scans} times");
        assert!(rows <= scans * 4, "{name} gave {rows} rows to {scans} look-ups");
    }
}
