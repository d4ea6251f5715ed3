use diesel::connection::SimpleConnection as _;
use shared::testing::TestDatabase;

use super::*;
use crate::SERVICE;
use crate::domain::subject::{Subject, SubjectState};
use crate::store::subjects;

const NOW: Timestamp = Timestamp::from_micros(1_795_338_000_000_000);

fn tenant_row(tenant: TenantId, epoch: i32) -> TenantKeyRow {
    TenantKeyRow {
        tenant_id: tenant,
        epoch,
        wrapped: Some(vec![7]),
        create_time: NOW,
        keks: Vec::new(),
        retire_time: None,
        destroy_time: None,
    }
}

fn subject_row(conn: &mut PgConnection, tenant: TenantId, epoch: i32) -> SubjectKeyRow {
    let (id, state) = (SubjectId::generate(), SubjectState::Active);
    let subject = Subject { id, state, create_time: NOW, revision: 1 };
    assert!(subjects::insert(conn, tenant, &subject).unwrap());
    SubjectKeyRow {
        tenant_id: tenant,
        subject_id: id,
        generation: 1,
        tenant_key_epoch: epoch,
        wrapped: vec![7],
        create_time: NOW,
        first_epoch: Some(epoch),
        made_epoch: epoch,
    }
}

fn connect(database: &TestDatabase, tenant: TenantId) -> PgConnection {
    let mut conn = database.runtime();
    let scope = format!("SET strongroom.tenant = '{}'", tenant.uuid());
    conn.batch_execute(&scope).unwrap();
    conn
}

#[test]
fn nothing_new_comes_under_an_epoch_that_has_ended() {
    let database = TestDatabase::new(SERVICE.schema);
    let tenant = database.tenant();
    let mut conn = connect(&database, tenant);
    assert!(insert_tenant_key(&mut conn, &tenant_row(tenant, 1)).unwrap());
    let row = subject_row(&mut conn, tenant, 1);
    assert!(insert_subject_key(&mut conn, &row).unwrap());
    assert!(insert_tenant_key(&mut conn, &tenant_row(tenant, 2)).unwrap());
    retire_tenant_keys(&mut conn, tenant, 2, NOW).unwrap();
    let row = subject_row(&mut conn, tenant, 1);
    assert!(!insert_subject_key(&mut conn, &row).unwrap());
    let row = subject_row(&mut conn, tenant, 2);
    assert!(insert_subject_key(&mut conn, &row).unwrap());
    assert!(is_used(&mut conn, tenant, 1).unwrap() && is_used(&mut conn, tenant, 2).unwrap());
}

/// An epoch does not end while somebody stores a key under it.
#[test]
fn the_end_of_an_epoch_waits_for_those_who_use_it() {
    let database = TestDatabase::new(SERVICE.schema);
    let tenant = database.tenant();
    let (mut user, mut ender) = (connect(&database, tenant), connect(&database, tenant));
    assert!(insert_tenant_key(&mut user, &tenant_row(tenant, 1)).unwrap());
    user.batch_execute("BEGIN").unwrap();
    assert!(keep_current(&mut user, tenant, 1).unwrap());
    ender.batch_execute("SET lock_timeout = '50ms'").unwrap();
    let refused = retire_tenant_keys(&mut ender, tenant, 2, NOW).unwrap_err();
    assert!(refused.to_string().contains("lock timeout"), "{refused}");
    user.batch_execute("COMMIT").unwrap();
    retire_tenant_keys(&mut ender, tenant, 2, NOW).unwrap();
    assert!(!keep_current(&mut user, tenant, 1).unwrap());
}
