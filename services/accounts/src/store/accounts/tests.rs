//! The plans of lists, behind the policies and as the runtime role.

use diesel::connection::SimpleConnection as _;
use shared::money::Currency;
use shared::testing::{TestDatabase, plan};
use shared::time::Timestamp;

use super::page;
use crate::SERVICE;
use crate::domain::{AccountFilter, AccountId, AccountPosition, AccountState, CustomerId, HeldBy};

/// Four thousand accounts of four hundred customers; one in a hundred is CHF, one is PENDING.
const FILL: &str = "
    SET strongroom.tenant = '{tenant}';
    INSERT INTO customers
        SELECT '{tenant}', lpad(to_hex(n), 32, '0')::uuid, 1, 2, 1, now(), now()
        FROM generate_series(1, 400) n;
    INSERT INTO accounts
        SELECT '{tenant}', gen_random_uuid(), lpad(to_hex(n % 400 + 1), 32, '0')::uuid,
               'product-' || n % 100, CASE n % 100 WHEN 0 THEN 'CHF' ELSE 'EUR' END, 2, '', 0,
               CASE n % 100 WHEN 1 THEN 1 ELSE 2 END, 1, now() + n * interval '1 s', now()
        FROM generate_series(1, 4000) n;";

#[test]
fn every_list_has_its_index() {
    let database = TestDatabase::new(SERVICE.schema);
    let (tenant, other) = (database.tenant(), database.tenant());
    let mut owner = database.owner();
    for tenant in [tenant, other] {
        owner.batch_execute(&FILL.replace("{tenant}", &tenant.uuid().to_string())).unwrap();
    }
    owner.batch_execute("ANALYZE customers, accounts").unwrap();

    let all = AccountFilter::default;
    let customer = CustomerId::from_uuid(uuid::Uuid::from_u128(7));
    let mine = Some(HeldBy::Customer(customer));
    let after = AccountPosition { create_time: Timestamp::from_micros(1), id: AccountId::generate() };
    for (filter, index) in [
        (all(), "accounts_time"),
        (AccountFilter { customer: mine, ..all() }, "accounts_customer"),
        (AccountFilter { customer: Some(HeldBy::House), ..all() }, "accounts_customer"),
        (AccountFilter { currency: Currency::iso("CHF"), ..all() }, "accounts_currency"),
        (AccountFilter { state: Some(AccountState::Pending), ..all() }, "accounts_state"),
        (AccountFilter { product: Some("product-7".to_owned()), ..all() }, "accounts_product"),
    ] {
        for after in [None, Some(after)] {
            let plan = plan(&database, tenant, page(tenant, &filter, after, 51));
            assert!(plan.contains(&format!("using {index} ")), "{filter:?}\n{plan}");
            assert!(!plan.contains("Seq Scan"), "{filter:?}\n{plan}");
            if after.is_some() {
                let condition = plan.lines().find(|line| line.contains("Index Cond"));
                assert!(condition.is_some_and(|line| line.contains("create_time >=")), "{plan}");
            }
        }
    }
}
