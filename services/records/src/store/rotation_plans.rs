//! The steps of a rotation read what they move and no more: behind the policies, and on tables of
//! which the planner knows nothing.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Text, Uuid as SqlUuid};
use shared::db::statement;
use shared::testing::{TestDatabase, plan};
use uuid::Uuid;

use super::plans::assert_by_key;
use super::{key_moves, reindexes, reseals, rotations};
use crate::SERVICE;

#[test]
fn steps_go_along_their_indexes() {
    let database = TestDatabase::new(SERVICE.schema);
    let tenant = database.tenant();
    let whose = || tenant.into_sql::<SqlUuid>();
    let id = || Uuid::now_v7().into_sql::<SqlUuid>();
    let (number, limit) = (7.into_sql::<Integer>(), 500_i64.into_sql::<BigInt>());

    let binds = (whose(), number, number, id(), number, limit);
    let query = plan(&database, tenant, statement(key_moves::UNMOVED, binds));
    assert_by_key(&query, &["subject_keys_epoch"]);
    let binds = (
        whose(),
        number,
        vec![Uuid::now_v7()].into_sql::<Array<SqlUuid>>(),
        vec![1].into_sql::<Array<Integer>>(),
        vec![vec![1_u8]].into_sql::<Array<Binary>>(),
        vec![vec![2_u8]].into_sql::<Array<Binary>>(),
    );
    let query = plan(&database, tenant, statement(key_moves::MOVE, binds));
    assert_by_key(&query, &["subject_keys_pkey"]);
    let binds = (whose(), number, number, id());
    let query = plan(&database, tenant, statement(reseals::NEXT_SUBJECT, binds));
    assert_by_key(&query, &["subject_keys_made"]);
    let binds = (whose(), id(), number, id(), 0_i64.into_sql::<BigInt>(), limit);
    let query = plan(&database, tenant, statement(reseals::VERSIONS, binds));
    assert_by_key(&query, &["records_subject", "record_versions_pkey"]);
    let binds = (whose(), "kyc-file".into_sql::<Text>(), id(), limit);
    let query = plan(&database, tenant, statement(reindexes::OF_KIND, binds));
    assert_by_key(&query, &["records_kind"]);
    let binds = (whose(), number, id(), limit);
    let query = plan(&database, tenant, statement(reindexes::UNDER_VERSION, binds));
    assert_by_key(&query, &["record_index_key"]);
    let query = plan(&database, tenant, statement(rotations::RUNNING, (whose(),)));
    assert_by_key(&query, &["rotations_running"]);
}
