//! The plans of lists, behind the policies and as the runtime role.

use diesel::connection::SimpleConnection as _;
use shared::testing::{TestDatabase, plan};

use super::*;
use crate::SERVICE;
use crate::domain::{CustomerKind, CustomerState};

/// Four thousand customers: one in a hundred is an organisation, one PENDING, one IN_REVIEW, and
/// one approved until yesterday.
const FILL: &str = "
    SET strongroom.tenant = '{tenant}';
    INSERT INTO customers (tenant_id, id, kind, state, version, create_time, update_time,
            kyc_state, kyc_expire_time)
        SELECT '{tenant}', gen_random_uuid(), CASE n % 100 WHEN 0 THEN 2 ELSE 1 END,
               CASE n % 100 WHEN 1 THEN 1 ELSE 2 END, 1, now() + n * interval '1 s', now(),
               CASE n % 100 WHEN 2 THEN 2 ELSE 3 END,
               CASE n % 100 WHEN 2 THEN NULL WHEN 3 THEN now() - interval '1 day'
                   ELSE now() + interval '1 year' END
        FROM generate_series(1, 4000) n;
    INSERT INTO customer_labels (tenant_id, customer_id, key, value, create_time)
        SELECT tenant_id, id, 'segment', 's-' || (extract(epoch FROM create_time)::bigint % 100),
               create_time
        FROM customers WHERE tenant_id = '{tenant}';";

#[test]
fn every_list_has_its_index() {
    let database = TestDatabase::new(SERVICE.schema);
    let (tenant, other) = (database.tenant(), database.tenant());
    let mut owner = database.owner();
    for tenant in [tenant, other] {
        owner.batch_execute(&FILL.replace("{tenant}", &tenant.uuid().to_string())).unwrap();
    }
    owner.batch_execute("ANALYZE customers, customer_labels").unwrap();

    let all = CustomerFilter::default;
    let now = Timestamp::from_micros(1);
    let after = CustomerPosition { create_time: now, id: CustomerId::generate() };
    for (filter, index) in [
        (all(), "customers_time"),
        (CustomerFilter { kind: Some(CustomerKind::Organisation), ..all() }, "customers_kind"),
        (CustomerFilter { state: Some(CustomerState::Pending), ..all() }, "customers_state"),
        (CustomerFilter { kyc_state: Some(KycState::InReview), ..all() }, "customers_kyc"),
    ] {
        let walk = Walk { tenant, filter: &filter, now };
        for after in [None, Some(&after)] {
            let plan = plan(&database, tenant, walk.page(after, 51));
            assert!(plan.contains(&format!("using {index} ")), "{filter:?}\n{plan}");
            assert!(!plan.contains("Seq Scan"), "{filter:?}\n{plan}");
            if after.is_some() {
                let condition = plan.lines().find(|line| line.contains("Index Cond"));
                assert!(condition.is_some_and(|line| line.contains("create_time >=")), "{plan}");
            }
        }
    }
    let filter = all();
    let walk = Walk { tenant, filter: &filter, now };
    let expired = plan(&database, tenant, walk.expired(None, 51));
    assert!(expired.contains("customers_kyc_expire"), "{expired}");
    let (key, value) = ("segment".to_owned(), "s-7".to_owned());
    let labelled = plan(&database, tenant, walk.labelled((&key, &value), Some(&after), 51));
    assert!(labelled.contains("using customer_labels_value "), "{labelled}");
    assert!(labelled.contains("create_time >="), "{labelled}");
}
