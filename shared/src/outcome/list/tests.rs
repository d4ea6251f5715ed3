//! The plans of the list, behind the policies and as the runtime role.

use diesel::connection::SimpleConnection as _;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use super::*;
use crate::db::Schema;
use crate::testing::{TestDatabase, plan};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/migrations");
const SCHEMA: Schema = Schema { name: "transactions", migrations: &MIGRATIONS, binary: 1 };

/// Forty thousand outcomes, of which one in five is a refusal, about one of eight accounts.
const FILL: &str = "
    SET strongroom.tenant = '{tenant}';
    INSERT INTO outcomes (tenant_id, operation, request_id, request_hash, state, account,
                          principal, trace_id, create_time)
        SELECT '{tenant}', 'create-thing', 'request-' || n, '', CASE n % 5 WHEN 0 THEN 4 ELSE 3 END,
               CASE n % 5 WHEN 0 THEN 'accounts/' || n / 5 % 8 END, 'p', 't',
               now() + n * interval '1 s'
        FROM generate_series(1, 40000) n;";

#[test]
fn the_list_has_its_indexes_from_the_first_row_on() {
    let database = TestDatabase::new(SCHEMA);
    let (tenant, other) = (database.tenant(), database.tenant());
    assert_indexed(&database, tenant, "of an empty table");
    for tenant in [tenant, other] {
        let fill = FILL.replace("{tenant}", &tenant.uuid().to_string());
        database.owner().batch_execute(&fill).unwrap();
    }
    assert_indexed(&database, tenant, "of a table that was never analysed");
    database.owner().batch_execute("ANALYZE outcomes").unwrap();
    assert_indexed(&database, tenant, "of an analysed table");
}

fn assert_indexed(database: &TestDatabase, tenant: TenantId, which: &str) {
    let time = Timestamp::from_micros(4_000_000_000_000_000);
    let period = Period { from: Some(Timestamp::from_micros(1)), before: Some(time) };
    let place = |request_id: &str| Place {
        create_time: time,
        operation: "create-thing".to_owned(),
        request_id: request_id.to_owned(),
    };
    for (account, index) in
        [(None, "outcomes_by_time"), (Some("accounts/7"), "outcomes_by_account")]
    {
        for (period, after, limit) in [
            (Period::default(), None, 51),
            (period, None, 51),
            (Period::default(), Some(place("request-7")), 2),
            (period, Some(place("request-7")), 408),
        ] {
            let plan =
                plan(database, tenant, query(tenant, account, period, after.as_ref(), limit));
            assert!(plan.contains(&format!("using {index} ")), "{which}\n{plan}");
            assert!(!plan.contains("Seq Scan"), "{which}\n{plan}");
            if after.is_some() {
                let condition = plan.lines().find(|line| line.contains("Index Cond"));
                assert!(condition.is_some_and(|line| line.contains("create_time <=")), "{plan}");
            }
        }
    }
}
