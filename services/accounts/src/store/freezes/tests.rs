//! The plans of the queries, behind the policies and as the runtime role.

use diesel::connection::SimpleConnection as _;
use shared::testing::{TestDatabase, plan};

use super::*;
use crate::SERVICE;

/// Four thousand freezes: of forty accounts, and of forty customers.
const FILL: &str = "
    SET strongroom.tenant = '{tenant}';
    INSERT INTO customers (tenant_id, id, kind, state, version, create_time, update_time)
        SELECT '{tenant}', lpad(to_hex(n), 32, '0')::uuid, 1, 2, 1, now(), now()
        FROM generate_series(0, 39) n;
    INSERT INTO accounts (tenant_id, id, product, currency, class, gl_code, state, version,
            create_time, update_time)
        SELECT '{tenant}', lpad(to_hex(n), 32, '0')::uuid, 'current', 'EUR', 2, '', 2, 1, now(),
               now()
        FROM generate_series(0, 39) n;
    INSERT INTO freezes (tenant_id, id, account_id, customer_id, direction, reason_code, authority,
            honour_holds, principal, create_time, version)
        SELECT '{tenant}', gen_random_uuid(),
               CASE n % 2 WHEN 0 THEN lpad(to_hex(n / 2 % 40), 32, '0')::uuid END,
               CASE n % 2 WHEN 1 THEN lpad(to_hex(n / 2 % 40), 32, '0')::uuid END,
               3, 'COURT_ORDER', 'court', false, 'someone', now() + n * interval '1 s', 1
        FROM generate_series(1, 4000) n;";

#[test]
fn freezes_are_found_by_what_is_frozen_in_the_order_of_time() {
    let database = TestDatabase::new(SERVICE.schema);
    let (tenant, other) = (database.tenant(), database.tenant());
    let mut owner = database.owner();
    for tenant in [tenant, other] {
        owner.batch_execute(&FILL.replace("{tenant}", &tenant.uuid().to_string())).unwrap();
    }
    owner.batch_execute("ANALYZE customers, accounts, freezes").unwrap();

    let id = uuid::Uuid::from_u128(7);
    let account = Frozen::Account(AccountId::from_uuid(id));
    let customer = Frozen::Customer(CustomerId::from_uuid(id));
    let after = FreezePosition { create_time: Timestamp::from_micros(1), id: FreezeId::generate() };
    for (of, index) in [(account, "freezes_account"), (customer, "freezes_customer")] {
        for after in [None, Some(&after)] {
            let plan = plan(&database, tenant, page(tenant, of, after, 51));
            assert!(plan.contains(&format!("using {index} ")), "{of:?}\n{plan}");
            assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{of:?}\n{plan}");
            let condition = plan.lines().find(|line| line.contains("Index Cond")).unwrap();
            assert_eq!(condition.contains("create_time <="), after.is_some(), "{plan}");
        }
    }
}
