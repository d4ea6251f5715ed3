//! The plans of lists, behind the policies and as the runtime role.

use diesel::connection::SimpleConnection as _;
use shared::testing::{TestDatabase, plan};

use super::*;
use crate::SERVICE;

/// Accounts as they come to be: the oldest are closed, the newest are pending, one in a hundred is
/// the house's or in CHF, and few products are sold often. Each has a label of one of a hundred
/// values, and a customer has ten of them.
const FILL: &str = "
    SET search_path = {schema};
    SET session_replication_role = replica;
    INSERT INTO accounts
        SELECT '{tenant}', md5('{tenant}' || n)::uuid,
               CASE n % 100 WHEN 0 THEN NULL
               ELSE lpad(to_hex(n % ({count} / 10)), 32, '0')::uuid END,
               'product-' || floor(sqrt(n % 10000)),
               CASE n % 100 WHEN 1 THEN 'CHF' ELSE 'EUR' END, 2, '', 0,
               CASE WHEN n < {count} / 20 THEN 5 WHEN n > {count} * 0.999 THEN 1 ELSE 2 END, 1,
               now() + n * interval '1 s', now()
        FROM generate_series(1, {count}) n;
    INSERT INTO account_labels
        SELECT tenant_id, id, 'segment', 's-' || row_number() OVER () % 100, create_time
        FROM accounts WHERE tenant_id = '{tenant}';
    INSERT INTO account_holders
        SELECT tenant_id, id, customer_id, 1, create_time, NULL, create_time, create_time
        FROM accounts WHERE tenant_id = '{tenant}' AND customer_id IS NOT NULL;";

#[test]
fn every_list_has_its_index() {
    let database = TestDatabase::new(SERVICE.schema);
    let (large, small) = (database.tenant(), database.tenant());
    for tenant in [large, small] {
        assert_indexed(&database, tenant, "of an empty table");
    }
    let mut admin = database.admin();
    for (tenant, count) in [(large, "200000"), (small, "4000")] {
        let fill = FILL.replace("{tenant}", &tenant.uuid().to_string());
        let fill = fill.replace("{schema}", &database.name).replace("{count}", count);
        admin.batch_execute(&fill).unwrap();
    }
    for tenant in [large, small] {
        assert_indexed(&database, tenant, "of a table that was never analysed");
    }
    admin.batch_execute("ANALYZE accounts, account_labels, account_holders").unwrap();
    for tenant in [large, small] {
        assert_indexed(&database, tenant, "of an analysed table");
    }
}

fn assert_indexed(database: &TestDatabase, tenant: TenantId, which: &str) {
    let assert = |plan: String, index: &str| {
        assert!(plan.contains(&format!("using {index} ")), "{index}, {which}\n{plan}");
        assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{which}\n{plan}");
        let condition = plan.lines().find(|line| line.contains("Index Cond"));
        assert!(condition.is_some_and(|line| line.contains("create_time, ")), "{which}\n{plan}");
    };
    let customer = CustomerId::from_uuid(uuid::Uuid::from_u128(7));
    let middle = AccountPosition {
        create_time: shared::clock::Clock::system().now(),
        id: AccountId::from_uuid(uuid::Uuid::from_u128(1 << 127)),
    };
    for (after, limit) in [(FIRST, 51), (middle, 51), (middle, 1_408)] {
        let from = Behind { tenant, after, limit };
        assert(plan(database, tenant, from.all()), "accounts_time");
        assert(plan(database, tenant, from.of(customer)), "accounts_customer");
        assert(plan(database, tenant, from.of_house()), "accounts_customer");
        for state in AccountState::ALL {
            assert(plan(database, tenant, from.in_state(*state)), "accounts_state");
        }
        for product in ["product-0", "product-99", "none"] {
            assert(plan(database, tenant, from.sold_as(product)), "accounts_product");
        }
        for currency in ["EUR", "CHF", "JPY"] {
            assert(plan(database, tenant, from.in_currency(currency)), "accounts_currency");
        }
        let label = (&"segment".to_owned(), &"s-7".to_owned());
        assert(plan(database, tenant, from.labelled(label)), "account_labels_value");
        assert(plan(database, tenant, from.held_by(customer)), "account_holders_customer");
    }
}
