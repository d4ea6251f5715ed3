//! The hot statements find their rows by key: behind the policies, and on tables of which the
//! planner knows nothing.

use std::collections::BTreeMap;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Array, Uuid as SqlUuid};
use shared::commitment::Commitment;
use shared::db::statement;
use shared::ids::TenantId;
use shared::testing::{TestDatabase, plan};
use shared::time::Timestamp;

use super::{accesses, key_chains, new_records, reading, subject_locks};
use crate::SERVICE;
use crate::domain::access::{Access, AccessId, Action, PRINCIPAL};
use crate::domain::content_type::ContentType;
use crate::domain::record::{Record, RecordId, RecordState};
use crate::domain::subject::SubjectId;
use crate::seal::{Key, TenantKey};
use crate::vault::Loose;

const NOW: Timestamp = Timestamp::from_micros(1_795_338_000_000_000);

/// Whether nothing is read but by key.
pub(super) fn assert_by_key(plan: &str, indexes: &[&str]) {
    let scans = plan.lines().filter(|line| line.contains("Scan on") || line.contains("Scan using"));
    for scan in scans {
        let is_function = scan.contains("Function Scan") || scan.contains("Values Scan");
        let is_plain = scan.contains("Subquery Scan") || scan.contains("CTE Scan");
        assert!(is_function || is_plain || scan.contains("Index"), "{scan}\n{plan}");
    }
    for index in indexes {
        assert!(plan.contains(index), "{index}\n{plan}");
    }
    assert!(!plan.contains("hashed SubPlan"), "{plan}");
}

fn ids(tenant: TenantId) -> impl QueryFragment<Pg> {
    let ids = vec![SubjectId::generate(), SubjectId::generate()];
    (tenant.into_sql::<SqlUuid>(), ids.into_sql::<Array<SqlUuid>>())
}

fn record() -> Record {
    Record {
        id: RecordId::generate(),
        subject: SubjectId::generate(),
        kind: "kyc-file".to_owned(),
        content_type: ContentType::parse("text/plain").unwrap(),
        labels: BTreeMap::from([("branch".to_owned(), "north".to_owned())]),
        event_time: None,
        version: 1,
        size: 1,
        create_time: NOW,
        update_time: NOW,
        revision: 1,
        state: RecordState::Active,
        delete_time: None,
        purge_time: None,
        expire_time: None,
    }
}

#[test]
fn reads_find_what_decides_by_key() {
    let database = TestDatabase::new(SERVICE.schema);
    let tenant = database.tenant();
    let target = reading::Target {
        id: RecordId::generate(),
        version: 0,
        principal: "ann",
        wants_content: true,
    };
    let query = statement(reading::FIND, reading::asked(tenant, &[target; 3], NOW));
    let indexes = [
        "records_pkey",
        "subjects_pkey",
        "record_versions_pkey",
        "subject_keys_pkey",
        "tenant_keys_pkey",
        "record_types_pkey",
        "consents_subject",
        "break_glass_leases_principal",
        "record_labels_pkey",
        "record_index_pkey",
    ];
    assert_by_key(&plan(&database, tenant, query), &indexes);
    let readers = [(SubjectId::generate(), "ann"), (SubjectId::generate(), "bob")];
    let query = statement(reading::CONSENTS, reading::of_readers(tenant, &readers, NOW));
    assert_by_key(&plan(&database, tenant, query), &["consents_subject"]);
}

#[test]
fn new_records_find_what_decides_by_key() {
    let database = TestDatabase::new(SERVICE.schema);
    let tenant = database.tenant();
    let query = statement(subject_locks::LOCK, ids(tenant));
    assert_by_key(&plan(&database, tenant, query), &["subjects_pkey"]);
    let query = statement(key_chains::LAST, ids(tenant));
    let indexes = ["subject_keys_pkey", "tenant_keys_pkey"];
    assert_by_key(&plan(&database, tenant, query), &indexes);
    let query = statement(new_records::TAKEN, ids(tenant));
    assert_by_key(&plan(&database, tenant, query), &["records_pkey"]);
}

#[test]
fn what_is_written_reads_nothing() {
    let database = TestDatabase::new(SERVICE.schema);
    let tenant = database.tenant();
    let record = record();
    let content = Loose::seal(tenant, &record, b"x").unwrap();
    let above = TenantKey::new(tenant.uuid(), 1, Key::random().unwrap());
    let (key, _) = above.new_subject_key(record.subject.uuid(), 1).unwrap();
    let wraps = content.wrap(&key).unwrap();
    let new = [new_records::NewRecord { record: &record, content: &content, wraps: &wraps }];
    let query = statement(new_records::INSERT, new_records::insertion(tenant, &new));
    assert_by_key(&plan(&database, tenant, query), &[]);
    let access = Access {
        id: AccessId::from_uuid(shared::changes::id(NOW)),
        time: NOW,
        principal: "ann".to_owned(),
        commitment: Commitment::new(PRINCIPAL, "ann"),
        workload: None,
        action: Action::GET_RECORD,
        subject: Some(record.subject),
        record: Some(record.id),
        version: Some(1),
        view: None,
        purpose: None,
        refusal: None,
        resource: None,
        grounds: None,
        trace_id: "0".repeat(32),
    };
    let accesses = [access];
    let query = statement(accesses::APPEND, accesses::insertion(tenant, &accesses, NOW));
    assert_by_key(&plan(&database, tenant, query), &[]);
}
