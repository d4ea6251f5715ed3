//! Tenants do not see each other, and the runtime role cannot rewrite history.

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use shared::problem::Reason;
use strongroom_proto::records::v1 as wire;
use wire::RecordView as View;

use crate::world::{World, create, id_of, reason};

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_data_does_not_exist() {
    let world = World::new().await;
    let (caller, other_tenant) = (world.caller(), world.database.tenant());
    let stranger = world.caller_in(other_tenant, &["*"]);
    let subject = caller.subject().await;
    let record = caller.record(&subject, "text/plain", b"secret").await;

    for view in [View::Basic, View::Masked, View::Full] {
        assert_eq!(reason(stranger.read(&record.name, view).await), Reason::ResourceNotFound);
    }
    let request = create(&subject, "text/plain", b"more");
    assert_eq!(reason(stranger.create_record(request).await), Reason::ResourceNotFound);

    // The same ids in another tenant are another subject and another record, under other keys.
    let subject_id = id_of(&subject).to_owned();
    let request = wire::CreateSubjectRequest { subject_id, ..Default::default() };
    stranger.create_subject(request).await.unwrap();
    let mut request = create(&subject, "text/plain", b"theirs");
    request.record_id = id_of(&record.name).to_owned();
    stranger.create_record(request).await.unwrap();
    assert_eq!(stranger.content(&record.name).await.unwrap(), b"theirs");
    assert_eq!(caller.content(&record.name).await.unwrap(), b"secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_are_checked() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "text/plain", b"secret").await;
    let clerk = world.caller_in(world.tenant, &["records.subjects.*", "records.records.*:own"]);
    clerk.subject().await;
    let request = create(&subject, "text/plain", b"more");
    assert_eq!(reason(clerk.create_record(request).await), Reason::PermissionMissing);
    assert_eq!(reason(clerk.read(&record.name, View::Basic).await), Reason::PermissionMissing);
    let own = ["records.records.get", "records.records.getFull:own", "records.purposes.*"];
    let own = world.caller_in(world.tenant, &own);
    assert_eq!(reason(own.read(&record.name, View::Full).await), Reason::PermissionMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runtime_role_only_adds() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    caller.record(&subject, "text/plain", b"secret").await;
    let mut runtime = world.database.runtime();
    let tenant = world.tenant.uuid();
    runtime.batch_execute(&format!("SET strongroom.tenant = '{tenant}'")).unwrap();
    for statement in [
        "UPDATE record_versions SET version = 2",
        "DELETE FROM record_versions",
        "UPDATE accesses SET purpose = 'KYC'",
        "DELETE FROM accesses",
        "TRUNCATE accesses",
        "UPDATE records SET kind = 'x'",
        "DELETE FROM subjects",
        "SELECT * FROM accesses_rest",
        "ALTER TABLE accesses DISABLE ROW LEVEL SECURITY",
    ] {
        let refused = diesel::sql_query(statement).execute(&mut runtime).unwrap_err().to_string();
        let expected = ["permission denied", "must be owner"];
        assert!(expected.iter().any(|text| refused.contains(text)), "{statement}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_hides_what_is_another_tenants() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let mut request = create(&subject, "text/plain", b"secret");
    request.record.as_mut().unwrap().labels.insert("k".to_owned(), "v".to_owned());
    caller.create_record(request).await.unwrap();
    let tables = [
        "tenant_keys",
        "subjects",
        "subject_keys",
        "records",
        "record_versions",
        "record_labels",
        "accesses",
    ];
    for table in tables {
        assert!(world.count(table) > 0, "{table}");
        for role in ["owner", "runtime"] {
            let mut conn = match role {
                "owner" => world.database.owner(),
                _ => world.database.runtime(),
            };
            for tenant in [String::new(), world.database.tenant().uuid().to_string()] {
                conn.batch_execute(&format!("SET strongroom.tenant = '{tenant}'")).unwrap();
                let seen = diesel::sql_query(format!("SELECT 1 FROM {table}")).execute(&mut conn);
                assert_eq!(seen.unwrap(), 0, "{table} as {role}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_read_only_is_read_and_not_written() {
    let mut world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "text/plain", b"secret").await;
    world.owner_sql("UPDATE tenants SET state = 2");
    let kek = world.folder.path().join("kek.json");
    world.restart(&kek).await;
    let caller = world.caller();
    assert_eq!(caller.content(&record.name).await.unwrap(), b"secret");
    let request = create(&subject, "text/plain", b"more");
    assert_eq!(reason(caller.create_record(request).await), Reason::TenantState);
}
