//! The plans, behind the policies and as the runtime role.

use diesel::connection::SimpleConnection as _;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use super::*;
use crate::db::Schema;
use crate::sequence::store::unsequenced_query;
use crate::testing::{TestDatabase, plan};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/migrations");
const SCHEMA: Schema = Schema { name: "transactions", migrations: &MIGRATIONS, binary: 1 };

/// Forty thousand changes of two events each; the last hundred have no position yet.
const FILL: &str = "
    SET strongroom.tenant = '{tenant}';
    INSERT INTO changes (tenant_id, id, kind, names, create_time, position)
        SELECT '{tenant}', ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'made',
               ARRAY['a' || n, 'b' || n], now(), CASE WHEN n <= 39900 THEN 2 * n END
        FROM generate_series(1, 40000) n;";

#[test]
fn every_look_has_its_index_from_the_first_row_on() {
    let database = TestDatabase::new(SCHEMA);
    let (tenant, other) = (database.tenant(), database.tenant());
    assert_indexed(&database, tenant, "of an empty table");
    for tenant in [tenant, other] {
        let fill = FILL.replace("{tenant}", &tenant.uuid().to_string());
        database.owner().batch_execute(&fill).unwrap();
    }
    assert_indexed(&database, tenant, "of a table that was never analysed");
    database.owner().batch_execute("ANALYZE changes").unwrap();
    assert_indexed(&database, tenant, "of an analysed table");
}

fn assert_indexed(database: &TestDatabase, tenant: TenantId, which: &str) {
    let (position, id) = ("using changes_by_position ", "using changes_pkey ");
    let assert = |plan: String, index: &str| {
        assert!(plan.contains(index), "{which}\n{plan}");
        assert!(!plan.contains("Seq Scan"), "{which}\n{plan}");
    };
    let time = Timestamp::from_micros(1);
    let span = Span {
        id: uuid::Uuid::nil(),
        kind: "made".to_owned(),
        position: 0,
        count: 2,
        create_time: time,
    };
    for (range, limit) in [(7..8, 1), (60_000..60_050, 50), (40_000..48_192, 2_000)] {
        assert(plan(database, tenant, spans_query(tenant, &range, limit)), position);
    }
    assert(plan(database, tenant, slices_query(tenant, &[(&span, 1, 2)])), id);
    assert(plan(database, tenant, first_since_query(tenant, time)), id);
    // However it comes by them, it reads the changes of some seconds and no more.
    let located = plan(database, tenant, located_query(tenant, "things/1", time));
    assert!(located.contains("id < '"), "{which}\n{located}");
    assert(located, "changes_pkey");
    let unsequenced = "using changes_unsequenced ";
    assert(plan(database, tenant, unsequenced_query(tenant, 256)), unsequenced);
}
