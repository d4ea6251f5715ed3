//! Lists and looks of the worker read what they need and no more: behind the policies, and on
//! tables of which the planner knows nothing.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use shared::db::statement;
use shared::testing::{TestDatabase, plan};
use shared::time::Timestamp;
use uuid::Uuid;

use super::latest::latest;
use super::plans::assert_by_key;
use super::{break_glass_leases, erasures, expired, subjects};
use crate::SERVICE;

/// The lists with the latest first, and the index of each.
const LISTS: [(&str, &str); 10] = [
    (latest!("legal_holds"), "legal_holds_time"),
    (latest!("retention_interests"), "retention_interests_time"),
    (latest!("consents"), "consents_time"),
    (latest!("break_glass_leases"), "break_glass_leases_time"),
    (latest!("erasures"), "erasures_time"),
    (latest!("legal_holds", "subject_id"), "legal_holds_subject"),
    (latest!("legal_holds", "record_id"), "legal_holds_record"),
    (latest!("retention_interests", "subject_id"), "retention_interests_subject"),
    (latest!("consents", "subject_id"), "consents_subject"),
    (latest!("erasures", "subject_id"), "erasures_subject"),
];

#[test]
fn lists_go_along_their_indexes() {
    let database = TestDatabase::new(SERVICE.schema);
    let tenant = database.tenant();
    let whose = || tenant.into_sql::<SqlUuid>();
    let id = || Uuid::now_v7().into_sql::<SqlUuid>();
    let time = || Timestamp::from_micros(1).into_sql::<Timestamptz>();
    let limit = || 51_i64.into_sql::<BigInt>();
    for (select, index) in LISTS {
        // All binds have their place in the statement, whether or not it needs the last one.
        let query =
            plan(&database, tenant, statement(select, (whose(), time(), id(), limit(), id())));
        assert_by_key(&query, &[index]);
    }
    let query = statement(subjects::LIST, (whose(), id(), limit()));
    assert_by_key(&plan(&database, tenant, query), &["subjects_pkey"]);
    let query = statement(subjects::RECORD_IDS, (whose(), id(), id(), limit()));
    assert_by_key(&plan(&database, tenant, query), &["records_subject"]);
    let query = statement(erasures::DUE, (whose(), time(), limit()));
    assert_by_key(&plan(&database, tenant, query), &["erasures_next"]);
    let query = statement(expired::LIST, (whose(), time(), time(), id(), limit()));
    assert_by_key(&plan(&database, tenant, query), &["records_expire"]);
    let query = statement(break_glass_leases::LATE, (whose(), time(), limit()));
    assert_by_key(&plan(&database, tenant, query), &["break_glass_leases_untold"]);
}
