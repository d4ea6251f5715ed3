//! The database's own defence, attacked by SQL as the runtime role.

use diesel::connection::SimpleConnection as _;
use shared::ids::TenantId;
use shared::testing::TestDatabase;
use strongroom_proto::transactions::v1 as wire;
use transactions::SERVICE;

use crate::requests::{hold, reversal};
use crate::setup::{Ledger, eur, transfer};

/// Runs SQL as the runtime role inside a tenant, and gives the refusal.
pub(crate) fn attack(ledger: &Ledger, sql: &str) -> String {
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

/// What only grows, and which columns of the rest may change.
#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_a_posting_cannot_be_changed_either() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    client.hold(&hold(&account, &house, "1")).await.unwrap();
    for table in ["hold_events", "hold_texts", "links", "evidence", "external_ids"] {
        let refused = format!("permission denied for table {table}");
        assert_eq!(attack(&ledger, &format!("DELETE FROM {table}")), refused);
        assert_eq!(attack(&ledger, &format!("UPDATE {table} SET tenant_id = tenant_id")), refused);
        assert_eq!(attack(&ledger, &format!("TRUNCATE {table}")), refused);
    }
    for table in ["holds", "link_totals", "day_totals", "limit_usages", "ledger_accounts"] {
        let refused = format!("permission denied for table {table}");
        assert_eq!(attack(&ledger, &format!("DELETE FROM {table}")), refused);
        assert_eq!(attack(&ledger, &format!("TRUNCATE {table}")), refused);
    }
    for (table, column, value) in [
        ("holds", "account_id", "gen_random_uuid()"),
        ("holds", "destination_id", "gen_random_uuid()"),
        ("holds", "over_capture", "1000"),
        ("holds", "overrides", "15"),
        ("holds", "create_time", "now()"),
        ("link_totals", "amount", "1000"),
        ("changes", "kind", "'other'"),
        ("changes", "ids", "NULL"),
        ("changes", "create_time", "now()"),
    ] {
        let change = format!("UPDATE {table} SET {column} = {value}");
        assert_eq!(attack(&ledger, &change), format!("permission denied for table {table}"));
    }
    for sql in ["DELETE FROM changes", "TRUNCATE changes", "DELETE FROM outcomes"] {
        assert!(attack(&ledger, sql).starts_with("permission denied for table"), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_account_passes_its_bound_without_a_record_of_it() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let debit = |amount: i64, more: &str| {
        let id = account.strip_prefix("accounts/").unwrap();
        format!(
            "UPDATE ledger_accounts SET posted_debits = posted_debits + {amount}{more} \
             WHERE id = '{id}'"
        )
    };
    let bound = "ledger_accounts_bound";
    assert!(attack(&ledger, &debit(1_001, "")).contains(bound));
    assert!(attack(&ledger, &debit(1, ", held = 1000")).contains(bound));
    assert!(attack(&ledger, &debit(1_002, ", excess = 1")).contains(bound));
    assert!(attack(&ledger, &debit(0, ", excess = -1")).contains("ledger_accounts_excess_check"));
    assert!(attack(&ledger, &debit(0, ", held = -1")).contains("ledger_accounts_held_check"));
    assert!(attack(&ledger, &debit(-1, "")).contains("ledger_accounts_posted_debits_check"));
    // An asset is bounded on its other side.
    let asset = wire::RegisterLedgerAccountRequest {
        account: Some(wire::LedgerAccount {
            currency: "EUR".to_owned(),
            class: wire::AccountClass::Asset.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let asset = client.ledger.register_ledger_account(asset).await.unwrap().into_inner().name;
    let credit = "UPDATE ledger_accounts SET posted_credits = 1 WHERE class = 1";
    assert!(attack(&ledger, credit).contains(bound));
    // Closed is empty, and stays so.
    let closed = "ledger_accounts_closed";
    assert!(attack(&ledger, &debit(0, ", close_time = now()")).contains(closed));
    let close = wire::CloseLedgerAccountRequest { name: asset, ..Default::default() };
    client.ledger.close_ledger_account(close).await.unwrap();
    let reopened = "UPDATE ledger_accounts SET posted_debits = 1 WHERE close_time IS NOT NULL";
    assert!(attack(&ledger, reopened).contains(closed));
    client.pay(&account, &house, "10").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hold_gives_more_than_it_may() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let mut request = hold(&account, &house, "5");
    request.hold.as_mut().unwrap().over_capture = Some(eur("1"));
    client.hold(&request).await.unwrap();
    for change in [
        "captured = 601",
        "remaining = 501",
        "remaining = 400, released = 101",
        "remaining = -1",
        "released = -1",
        "state = 2",
        "state = 5",
        "amount = 0, remaining = 0",
    ] {
        let refused = attack(&ledger, &format!("UPDATE holds SET {change}"));
        assert!(refused.contains("violates check constraint"), "{change}: {refused}");
    }
    let event = |seq: i32, kind: i32, transaction: &str| {
        format!(
            "INSERT INTO hold_events SELECT tenant_id, id, {seq}, {kind}, 1, 0, {transaction}, \
             NULL, NULL, now() FROM holds"
        )
    };
    assert!(attack(&ledger, &event(1, 3, "NULL")).contains("hold_events_pkey"));
    assert!(attack(&ledger, &event(2, 2, "NULL")).contains("violates check constraint"));
    assert!(attack(&ledger, &event(2, 3, "id")).contains("violates check constraint"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_takes_more_than_its_entry_has() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    let paid = client.pay(&account, &house, "10").await.unwrap().name;
    let back = wire::CreateTransferRequest {
        links: vec![wire::Link {
            r#type: wire::link::Type::RefundOf.into(),
            transaction: paid.clone(),
            entry_index: 0,
            amount: Some(eur("6")),
        }],
        ..transfer(&house, &account, "6")
    };
    client.transactions.create_transfer(back).await.unwrap();
    let id = paid.strip_prefix("transactions/").unwrap();
    let add = |kind: i32, entry: i32, amount: i32| {
        format!(
            "INSERT INTO links SELECT tenant_id, gen_random_uuid(), 0, {kind}, id, {entry}, \
             {amount} FROM transactions WHERE id = '{id}'"
        )
    };
    let refused = "links exceed their entry";
    for kind in [1, 2, 3, 5] {
        assert_eq!(attack(&ledger, &add(kind, 0, 401)), refused);
    }
    // What would fit too, if the totals do not say so: at their rows two sessions meet.
    assert_eq!(attack(&ledger, &add(1, 0, 1)), refused);
    // Fees are a sum of their own, and what is not there has nothing to give.
    assert_eq!(attack(&ledger, &add(4, 0, 1_001)), refused);
    assert_eq!(attack(&ledger, &add(1, 2, 1)), refused);
    assert_eq!(attack(&ledger, &format!("{}; {}", add(1, 0, 400), add(2, 0, 1))), refused);
    // Totals of the session's own making do not help, and neither do tables of its own.
    let forget = format!("UPDATE link_totals SET taken = 0; {}", add(1, 0, 401));
    assert_eq!(attack(&ledger, &forget), refused);
    for table in ["entries", "links"] {
        let shadow = format!(
            "CREATE TEMP TABLE {table} AS SELECT * FROM {table}; \
             UPDATE pg_temp.{table} SET amount = amount * 1000; {}",
            add(1, 0, 401).replace("INTO links", &format!("INTO {}.links", ledger.database.name))
        );
        assert_eq!(attack(&ledger, &shadow), refused);
    }
    let beyond = "UPDATE link_totals SET taken = amount + 1";
    assert!(attack(&ledger, beyond).contains("link_totals_check"));
    // By its own ways it is still as it was.
    let rest = wire::ReverseTransactionRequest {
        parts: [0, 1]
            .map(|entry_index| wire::ReversalPart { entry_index, amount: Some(eur("4")) })
            .into(),
        ..reversal(&paid)
    };
    client.reverse(&rest).await.unwrap();
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

/// A batch of several tenants sees the rows of those, in the tables that it works on for all at
/// once; any other table refuses it, so that it never takes what it does not see for missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_about_several_tenants_sees_those_and_only_where_it_may() {
    let ledger = Ledger::start().await;
    let [one, other, third] = tokio::task::block_in_place(|| {
        [ledger.tenant, ledger.database.tenant(), ledger.database.tenant()]
    });
    for tenant in [one, other, third] {
        ledger.client_of(tenant, &["*"]).funded("10").await;
    }
    let (one, other, third) = (one.uuid(), other.uuid(), third.uuid());
    let inside = format!(
        "BEGIN; SET LOCAL strongroom.tenant = 'several'; \
         SET LOCAL strongroom.tenants = '{one},{other}'"
    );
    let ask = |sql: &str| {
        tokio::task::block_in_place(|| {
            ledger.database.runtime().batch_execute(&format!("{inside}; {sql}; COMMIT"))
        })
    };
    for table in ["ledger_accounts", "calendars", "transactions", "entries", "outcomes", "changes"]
    {
        // A division by zero says that the tenants are others than these.
        ask(&format!(
            "SELECT 1 / (count(*) = 2 AND bool_and(tenant_id IN ('{one}', '{other}')))::integer \
             FROM (SELECT DISTINCT tenant_id FROM {table} WHERE tenant_id <> '{third}') t"
        ))
        .unwrap();
        let refused = ask(&format!("SELECT FROM {table}")).unwrap_err().to_string();
        assert!(refused.contains("invalid input syntax for type uuid"), "{table}: {refused}");
    }
    for table in ["holds", "texts", "labels", "links", "limit_usages", "day_totals"] {
        let sql = format!("INSERT INTO {table} SELECT * FROM {table}");
        let read = ask(&format!("SELECT FROM {table} WHERE tenant_id = '{one}'"));
        let refused = read.and_then(|()| ask(&sql)).unwrap_err().to_string();
        assert!(refused.contains("invalid input syntax for type uuid"), "{table}: {refused}");
    }
    let foreign = format!("INSERT INTO calendars (tenant_id) VALUES ('{}')", TenantId::generate());
    let refused = ask(&foreign).unwrap_err().to_string();
    assert!(refused.contains("invalid input syntax for type uuid"), "{refused}");
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
