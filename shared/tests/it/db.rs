//! Units of work: retried, bounded, detached, and inside one tenant.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Uuid};
use shared::db::{Config, Db, DbError, Scope};
use shared::deadline::Deadline;
use shared::ids::TenantId;
use shared::testing::{TestDatabase, config};
use tokio::sync::Barrier;

use crate::setup::database;

fn scope(tenant: TenantId) -> Scope {
    Scope::tenant(tenant, Deadline::after(Duration::from_secs(30)))
}

fn small(database: &TestDatabase, arguments: &[&str]) -> Db {
    database.db_with(config::<Config>(arguments))
}

fn insert(conn: &mut PgConnection, tenant: TenantId, id: i32, value: i32) -> Result<(), DbError> {
    diesel::sql_query("INSERT INTO things VALUES ($1, $2, $3)")
        .bind::<Uuid, _>(tenant)
        .bind::<Integer, _>(id)
        .bind::<Integer, _>(value)
        .execute(conn)?;
    Ok(())
}

fn touch(conn: &mut PgConnection, id: i32) -> Result<(), DbError> {
    diesel::sql_query("UPDATE things SET value = value + 1 WHERE id = $1")
        .bind::<Integer, _>(id)
        .execute(conn)?;
    Ok(())
}

async fn count(db: &Db, tenant: TenantId) -> usize {
    let read = |conn: &mut PgConnection| {
        Ok::<_, DbError>(diesel::sql_query("SELECT 1 FROM things").execute(conn)?)
    };
    db.read("count", scope(tenant), read).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deadlock_is_retried_until_both_are_done() {
    let database = database().await;
    let (db, tenant) = (database.db(), database.tenant());
    db.write("fill", scope(tenant), move |conn| {
        insert(conn, tenant, 1, 0)?;
        insert(conn, tenant, 2, 0)
    })
    .await
    .unwrap();
    let attempts = Arc::new(AtomicU32::new(0));
    let both_have_one = Arc::new(std::sync::Barrier::new(2));
    let mut units = tokio::task::JoinSet::new();
    for (first, second) in [(1, 2), (2, 1)] {
        let (db, attempts, both) = (db.clone(), Arc::clone(&attempts), Arc::clone(&both_have_one));
        units.spawn(async move {
            db.write("cross", scope(tenant), move |conn| {
                let attempt = attempts.fetch_add(1, Ordering::SeqCst);
                touch(conn, first)?;
                if attempt < 2 {
                    both.wait();
                }
                touch(conn, second)
            })
            .await
        });
    }
    for result in units.join_all().await {
        result.unwrap();
    }
    // The victim may come back before the other has woken up, and be the victim again.
    assert!(attempts.load(Ordering::SeqCst) >= 3, "one of the two was the victim");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_went_wrong_is_told_apart() {
    let database = database().await;
    let tenant = database.tenant();
    let db = small(&database, &["--lock-timeout", "0.2", "--statement-timeout", "0.5"]);
    db.write("fill", scope(tenant), move |conn| insert(conn, tenant, 1, 0)).await.unwrap();

    let twice = db.write("twice", scope(tenant), move |conn| insert(conn, tenant, 1, 0)).await;
    assert!(matches!(twice, Err(DbError::Unique(name)) if name == "things_pkey"));
    let nobody = TenantId::generate();
    let orphan = db.write("orphan", scope(nobody), move |conn| insert(conn, nobody, 1, 0)).await;
    assert!(matches!(orphan, Err(DbError::ForeignKey(_))));
    let large = db.write("large", scope(tenant), move |conn| insert(conn, tenant, 2, 5_000)).await;
    // The text of the violation would hold the row.
    assert!(matches!(large, Err(DbError::Fault(text)) if text == "value_is_small was violated"));

    let slow =
        db.write("slow", scope(tenant), |conn| Ok(conn.batch_execute("SELECT pg_sleep(5)")?)).await;
    assert!(matches!(slow, Err(DbError::Deadline)), "{slow:?}");

    let mut holder = tokio::task::block_in_place(|| database.runtime());
    let lock = format!(
        "BEGIN; SET LOCAL strongroom.tenant = '{}'; SELECT FROM things FOR UPDATE",
        tenant.uuid()
    );
    tokio::task::block_in_place(|| holder.batch_execute(&lock)).unwrap();
    let waited = db.write("wait", scope(tenant), |conn| touch(conn, 1)).await;
    assert!(matches!(waited, Err(DbError::LockTimeout)), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_statement_ends_at_the_callers_deadline() {
    let database = database().await;
    let scope = Scope::tenantless(Deadline::after(Duration::from_millis(300)));
    let (db, since) = (database.db(), Instant::now());
    let late = db
        .write("late", scope, |conn| Ok::<_, DbError>(conn.batch_execute("SELECT pg_sleep(20)")?));
    assert!(matches!(late.await, Err(DbError::Deadline)));
    assert!(since.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_that_goes_away_neither_undoes_nor_blocks() {
    let database = database().await;
    let tenant = database.tenant();
    let db = small(&database, &["--pool-size", "1"]);
    let begun = Arc::new(Barrier::new(2));
    let (unit, signal) = (db.clone(), Arc::clone(&begun));
    let caller = tokio::spawn(async move {
        let runtime = tokio::runtime::Handle::current();
        unit.write("slow", scope(tenant), move |conn| {
            insert(conn, tenant, 1, 0)?;
            runtime.block_on(signal.wait());
            Ok::<_, DbError>(conn.batch_execute("SELECT pg_sleep(0.2)")?)
        })
        .await
    });
    begun.wait().await;
    caller.abort();
    // The only connection comes back once the unit has committed, and serves the next one.
    assert_eq!(count(&db, tenant).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_that_died_in_the_pool_cost_nothing() {
    let database = database().await;
    let (db, tenant) = (database.db(), database.tenant());
    let mut units = tokio::task::JoinSet::new();
    for id in 0..8 {
        let db = db.clone();
        units.spawn(async move {
            db.write("fill", scope(tenant), move |conn| {
                insert(conn, tenant, id, 0)?;
                Ok::<_, DbError>(conn.batch_execute("SELECT pg_sleep(0.05)")?)
            })
            .await
        });
    }
    units.join_all().await.into_iter().collect::<Result<(), _>>().unwrap();
    let kill = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'strongroom-{}' AND pid <> pg_backend_pid()",
        database.name
    );
    tokio::task::block_in_place(|| {
        let mut admin = database.admin();
        // The administrator's own connection has the same name, and spares itself.
        admin.batch_execute(&kill).unwrap();
    });
    for _ in 0..8 {
        assert_eq!(count(&db, tenant).await, 8);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_lost_in_commit_is_unknown_and_not_repeated() {
    let database = database().await;
    let attempts = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&attempts);
    let scope = Scope::tenantless(Deadline::after(Duration::from_secs(30)));
    let result = database
        .db()
        .write("broken", scope, move |conn| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok::<_, DbError>(conn.batch_execute("INSERT INTO broken_commits VALUES (1)")?)
        })
        .await;
    assert!(matches!(result, Err(DbError::CommitUnknown)), "{result:?}");
    assert_eq!(attempts.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn retries_are_bounded() {
    let database = database().await;
    let attempts = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&attempts);
    let db = small(&database, &["--db-retries", "3"]);
    let scope = Scope::tenantless(Deadline::after(Duration::from_secs(30)));
    let never = move |_: &mut PgConnection| {
        counter.fetch_add(1, Ordering::SeqCst);
        Err::<(), _>(DbError::Contention)
    };
    assert!(matches!(db.write("never", scope, never).await, Err(DbError::Contention)));
    assert_eq!(attempts.load(Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tenants_share_a_connection_and_see_nothing_of_each_other() {
    let database = database().await;
    let db = small(&database, &["--pool-size", "1"]);
    let tenants = [database.tenant(), database.tenant()];
    for round in 0..20 {
        let tenant = tenants[round % 2];
        let id = i32::try_from(round).unwrap();
        db.write("fill", scope(tenant), move |conn| insert(conn, tenant, id, 0)).await.unwrap();
        // A unit that fails, and one without a tenant, leave nothing behind for the next.
        let failed = db.write("fail", scope(tenant), move |conn| insert(conn, tenant, id, 0));
        assert!(failed.await.is_err());
        let none = Scope::tenantless(Deadline::after(Duration::from_secs(5)));
        let seen = db
            .read("none", none, |conn| {
                Ok::<_, DbError>(diesel::sql_query("SELECT 1 FROM things").execute(conn)?)
            })
            .await;
        assert_eq!(seen.unwrap(), 0);
    }
    for tenant in tenants {
        assert_eq!(count(&db, tenant).await, 10);
    }
    let other = tenants[1];
    let crossing = db.write("cross", scope(tenants[0]), move |conn| insert(conn, other, 99, 0));
    assert!(crossing.await.is_err(), "a row of another tenant cannot be written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_cannot_write_and_sees_one_moment() {
    let database = database().await;
    let (db, tenant) = (database.db(), database.tenant());
    let written = db.read("sneak", scope(tenant), move |conn| insert(conn, tenant, 1, 0)).await;
    assert!(written.is_err());
    let writer = db.clone();
    let runtime = tokio::runtime::Handle::current();
    let (before, after) = db
        .read("snapshot", scope(tenant), move |conn| {
            let seen =
                |conn: &mut PgConnection| diesel::sql_query("SELECT 1 FROM things").execute(conn);
            let before = seen(conn)?;
            let write =
                writer.write("beside", scope(tenant), move |conn| insert(conn, tenant, 1, 0));
            runtime.block_on(write)?;
            Ok::<_, DbError>((before, seen(conn)?))
        })
        .await
        .unwrap();
    assert_eq!((before, after), (0, 0));
    assert_eq!(count(&db, tenant).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn prepared_statements_can_be_switched_off_for_a_pooler() {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = Integer)]
        count: i32,
    }
    let database = database().await;
    let tenant = database.tenant();
    for (prepared, expected) in [("true", true), ("false", false)] {
        let db = small(&database, &["--pool-size", "1", "--prepared-statements", prepared]);
        db.read("typed", scope(tenant), |conn| Ok::<_, DbError>(shared::tenants::all(conn)?))
            .await
            .unwrap();
        let left = db.read("left", scope(tenant), |conn| {
            let count = "SELECT count(*)::integer AS count FROM pg_prepared_statements";
            Ok::<_, DbError>(diesel::sql_query(count).get_result::<Count>(conn)?.count)
        });
        assert_eq!(left.await.unwrap() > 0, expected);
    }
}
