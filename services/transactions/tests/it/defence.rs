//! The database's own defence, attacked by SQL as the runtime role.

use diesel::connection::SimpleConnection as _;
use shared::testing::TestDatabase;
use transactions::SERVICE;

use crate::setup::Ledger;

/// Runs SQL as the runtime role inside a tenant, and gives the refusal.
fn attack(ledger: &Ledger, sql: &str) -> String {
    tokio::task::block_in_place(|| {
        let mut conn = ledger.database.runtime();
        let tenant = ledger.tenant.uuid();
        let inside = format!("BEGIN; SET LOCAL strongroom.tenant = '{tenant}'; {sql}; COMMIT");
        conn.batch_execute(&inside).expect_err(sql).to_string()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_posted_cannot_be_changed_or_added_to() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (_, account) = client.funded("10").await;
    for table in ["transactions", "entries", "texts", "labels"] {
        let refused = format!("permission denied for table {table}");
        assert_eq!(attack(&ledger, &format!("DELETE FROM {table}")), refused);
        assert_eq!(attack(&ledger, &format!("UPDATE {table} SET tenant_id = tenant_id")), refused);
        assert_eq!(attack(&ledger, &format!("TRUNCATE {table} CASCADE")), refused);
    }
    let add = |amounts: [i32; 2]| {
        let id = account.strip_prefix("accounts/").unwrap();
        let tenant = ledger.tenant.uuid();
        format!(
            "INSERT INTO entries SELECT '{tenant}', t.id, n, '{id}', 100 + n, n - 4, \
             (ARRAY[{}, {}])[n - 4], 'EUR', 0, 0, 0 \
             FROM transactions t, generate_series(5, 6) n",
            amounts[0], amounts[1]
        )
    };
    assert_eq!(attack(&ledger, &add([1, 2])), "entries do not balance");
    // Balanced, and as many as the header says, but added later.
    assert_eq!(attack(&ledger, &add([1, 1])), "entries are not complete");
    // A table of the session's own does not stand in for the ledger's.
    let shadow = "CREATE TEMP TABLE ledger_accounts AS \
                  SELECT tenant_id, id, 'USD' AS currency FROM ledger_accounts; \
                  INSERT INTO transactions SELECT tenant_id, gen_random_uuid(), 'TEST', 2, now(), \
                  now(), now() FROM transactions";
    let foreign = add([1, 1]).replace("'EUR'", "'USD'").replace("t.id, n, ", "t.id, n - 5, ");
    let foreign = format!("{shadow}; {foreign} WHERE kind = 'TEST'");
    assert_eq!(attack(&ledger, &foreign), "entries name an unknown account");
    assert!(attack(&ledger, "ALTER TABLE entries DISABLE TRIGGER ALL").contains("must be owner"));
    assert!(attack(&ledger, "SET LOCAL session_replication_role = replica").contains("permission"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tenant_there_are_no_rows_and_none_can_be_made() {
    use diesel::RunQueryDsl as _;
    let ledger = Ledger::start().await;
    ledger.client().funded("10").await;
    tokio::task::block_in_place(|| {
        // The owner is under the policies too.
        for mut conn in [ledger.database.runtime(), ledger.database.owner()] {
            for table in ["transactions", "entries", "ledger_accounts", "outcomes"] {
                let rows = diesel::sql_query(format!("SELECT 1 FROM {table}")).execute(&mut conn);
                assert_eq!(rows.unwrap(), 0, "{table}");
            }
        }
    });
    let foreign = "INSERT INTO ledger_accounts SELECT gen_random_uuid(), id, currency, decimals, \
                   class, gl_code, overdraft_limit, 0, 0, 0, 0, 1, NULL, now(), now() \
                   FROM ledger_accounts";
    assert!(attack(&ledger, foreign).contains("row-level security"));
}

#[test]
fn every_table_of_a_tenant_has_a_forced_policy_and_the_tenant_first() {
    use diesel::prelude::*;
    use diesel::sql_types::Text;
    #[derive(QueryableByName)]
    struct Offender {
        #[diesel(sql_type = Text)]
        relname: String,
    }
    let database = TestDatabase::new(SERVICE.schema);
    let open: Vec<Offender> = diesel::sql_query(
        "SELECT relname::text FROM pg_class c \
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') \
         AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'tenant_id') \
         AND NOT (relrowsecurity AND relforcerowsecurity \
                  AND EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid))",
    )
    .load(&mut database.owner())
    .unwrap();
    assert!(open.is_empty(), "{:?}", open.iter().map(|o| &o.relname).collect::<Vec<_>>());
    let other_first: Vec<Offender> = diesel::sql_query(
        "SELECT i.relname::text FROM pg_index x \
         JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid \
         JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0] \
         WHERE t.relnamespace = current_schema()::regnamespace AND a.attname <> 'tenant_id' \
         AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = t.oid AND attname = 'tenant_id')",
    )
    .load(&mut database.owner())
    .unwrap();
    assert!(other_first.is_empty());
}

/// A release adds columns while the one before still serves.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_prepared_survives_a_migration_that_expands() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    tokio::task::block_in_place(|| {
        for table in ["ledger_accounts", "transactions", "entries", "outcomes"] {
            let expand = format!("ALTER TABLE {table} ADD COLUMN later integer");
            ledger.database.owner().batch_execute(&expand).unwrap();
        }
    });
    client.pay(&account, &house, "10").await.unwrap();
}
