//! The plans, behind the policies and as the runtime role.

use diesel::connection::SimpleConnection as _;
use shared::testing::{TestDatabase, plan};

use super::*;
use crate::SERVICE;

/// Ten thousand entries about a hundred subjects, over a year.
const FILL: &str = "
    SET strongroom.tenant = '{tenant}';
    INSERT INTO accesses (tenant_id, time, id, principal, action, subject_id, decision, trace_id)
        SELECT '{tenant}', now() + n * interval '50 minutes',
               ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'test:ada', 'a',
               ('00000000-0000-7000-9000-' || lpad(to_hex(n % 100), 12, '0'))::uuid, 1, 't'
        FROM generate_series(1, 10000) n;";

#[test]
fn every_list_has_its_index_in_every_month() {
    let database = TestDatabase::new(SERVICE.schema);
    let tenant = database.tenant();
    assert_indexed(&database, tenant, "of an empty table");
    let fill = FILL.replace("{tenant}", &tenant.uuid().to_string());
    database.owner().batch_execute(&fill).unwrap();
    assert_indexed(&database, tenant, "of a table that was never analysed");
    database.owner().batch_execute("ANALYZE accesses").unwrap();
    assert_indexed(&database, tenant, "of an analysed table");
}

fn assert_indexed(database: &TestDatabase, tenant: TenantId, which: &str) {
    let assert = |plan: String, index: &str| {
        assert!(plan.contains(index), "{which}\n{plan}");
        assert!(!plan.contains("Seq Scan") && !plan.contains("->  Sort"), "{which}\n{plan}");
    };
    let place = Place { time: LATEST, id: Uuid::nil() };
    let subject = SubjectId::from_uuid(Uuid::nil());
    let listed = plan(database, tenant, by_time(tenant, EARLIEST, place, 51));
    assert(listed, "_pkey on accesses_2");
    let listed = plan(database, tenant, by_subject(tenant, subject, EARLIEST, place, 51));
    assert(listed, "_tenant_id_subject_id_time_idx on accesses_2");
    let one = plan(database, tenant, by_ids(tenant, &[Uuid::now_v7()]));
    assert(one, "_pkey on accesses_2");
}
