//! The plans, behind the policies and as the runtime role.

use diesel::connection::SimpleConnection as _;
use shared::testing::{TestDatabase, plan};

use super::*;
use crate::SERVICE;

/// One account in four hundred is not registered yet.
const FILL: &str = "
    SET strongroom.tenant = '{tenant}';
    INSERT INTO accounts
        SELECT '{tenant}', lpad(to_hex(n), 32, '0')::uuid, NULL, 'x', 'EUR', 2, '', 0, 2, 1,
               now(), now()
        FROM generate_series(1, 4000) n;
    INSERT INTO ledger_intents
        SELECT '{tenant}', id, 1, CASE pending WHEN true THEN 1 ELSE 2 END, 'x', id::text, 0,
               CASE pending WHEN true THEN now() END, now()
        FROM (SELECT id, row_number() OVER () % 400 = 0 AS pending FROM accounts) a;
    ANALYZE ledger_intents;";

#[test]
fn what_is_due_is_found_without_what_is_done() {
    let database = TestDatabase::new(SERVICE.schema);
    let tenant = database.tenant();
    let fill = FILL.replace("{tenant}", &tenant.uuid().to_string());
    database.owner().batch_execute(&fill).unwrap();
    let plan = plan(&database, tenant, due(tenant, Timestamp::from_micros(1), 16));
    assert!(plan.contains("using ledger_intents_due "), "{plan}");
    assert!(plan.contains("due_time <="), "{plan}");
}

#[test]
fn what_is_undelivered_is_listed_without_what_is_done() {
    let database = TestDatabase::new(SERVICE.schema);
    let tenant = database.tenant();
    let assert = |which: &str| {
        let plan = plan(&database, tenant, undelivered(tenant, FIRST, 51));
        assert!(plan.contains("using ledger_intents_age "), "{which}\n{plan}");
        assert!(!plan.contains("Sort"), "{which}\n{plan}");
    };
    assert("of an empty table");
    let fill = FILL.replace("{tenant}", &tenant.uuid().to_string());
    database.owner().batch_execute(&fill).unwrap();
    assert("of an analysed table");
}
