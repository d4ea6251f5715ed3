//! The end of an epoch of a tenant's key.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::KeyScope as Scope;
use wire::key::State;

use crate::key_caller::{KeyCaller, put_keks};
use crate::world::{Answer, World, id_of, is_replayed, reason};

/// The reason, and the state or the key that it names.
fn why(answer: Answer<wire::Key>) -> (Reason, String) {
    let (reason, _, mut figures) = refusal(&answer.unwrap_err());
    let what = figures.remove("kek").or_else(|| figures.remove("state"));
    (reason, what.unwrap_or_default())
}

async fn states(keys: &KeyCaller, scope: Scope) -> Vec<(String, State, i64)> {
    let keys = keys.list_keys(scope).await;
    keys.iter().map(|key| (key.id.clone(), key.state(), key.uses)).collect()
}

fn state(id: &str, state: State, uses: i64) -> (String, State, i64) {
    (id.to_owned(), state, uses)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_is_destroyed_once_nothing_can_open_it() {
    let mut world = World::with_keks(&[]).await;
    let subject = world.caller().subject().await;
    let record = world.caller().record(&subject, "text/plain", b"secret").await.name;
    world.owner_sql(
        "CREATE TABLE backup AS TABLE tenant_keys; CREATE TABLE backup_keys AS TABLE subject_keys",
    );
    let invalid = |what: &str| (Reason::InvalidTransition, what.to_owned());
    let keys = world.keys();
    assert_eq!(why(keys.destroy_epoch(7, "").await).0, Reason::ResourceNotFound);
    assert_eq!(why(keys.destroy_epoch(1, "").await), invalid("ACTIVE"));

    // While its keys cannot be moved, it is in use.
    world.owner_sql("REVOKE UPDATE ON subject_keys FROM strongroom_records");
    let rotation = keys.rotate(Scope::TenantKey, "").await.unwrap().into_inner();
    assert_eq!(why(keys.destroy_epoch(1, "").await), invalid("IN_USE"));
    world.owner_sql("GRANT UPDATE ON subject_keys TO strongroom_records");
    keys.ended(&rotation.name).await;
    // The operator does not vouch for anything.
    assert_eq!(why(keys.destroy_epoch(1, "").await), invalid("RETIRED"));

    world.restart_with(&["--kek-destroyable"]).await;
    let keys = world.keys();
    assert_eq!(why(keys.destroy_epoch(1, "").await), invalid("a"));
    put_keks(&world.kek(), &["a", "b"]);
    keys.rotated(Scope::Kek, false).await;
    assert_eq!(why(keys.destroy_epoch(1, "").await), invalid("a"));
    put_keks(&world.kek(), &["b"]);
    assert_eq!(reason(keys.destroy_epoch(1, "").await), Reason::Retention);
    crate::key_caller::put(&world.kek(), "no keys");
    let away = reason(keys.destroy_epoch(1, "end").await);
    assert_eq!(away, Reason::KeyProviderUnavailable);
    put_keks(&world.kek(), &["b"]);
    world.owner_sql("UPDATE tenant_keys SET retire_time = retire_time - interval '30 days'");

    let gone = keys.destroy_epoch(1, "end").await.unwrap().into_inner();
    assert_eq!((gone.state(), gone.id.as_str()), (State::Destroyed, "1"));
    assert!(gone.destroy_time.is_some() && gone.retire_time.is_some());
    assert!(is_replayed(&keys.destroy_epoch(1, "end").await.unwrap()));
    assert_eq!(why(keys.destroy_epoch(1, "").await), invalid("DESTROYED"));
    assert_eq!(
        states(&keys, Scope::TenantKey).await,
        [state("1", State::Destroyed, 0), state("2", State::Active, 1)]
    );
    assert_eq!(
        states(&keys, Scope::Kek).await,
        [state("a", State::Destroyed, 0), state("b", State::Active, 1)]
    );
    assert_eq!(world.caller().content(&record).await.unwrap(), b"secret");
    for (kind, count) in [
        ("key.epochCreated", 1),
        ("key.epochDestroyed", 1),
        ("rotation.started", 2),
        ("rotation.done", 2),
    ] {
        assert_eq!(world.count(&format!("changes WHERE kind = '{kind}'")), count, "{kind}");
    }
    let entries = "accesses WHERE action = 'records.keys.destroy' AND resource = 'tenantKeys/1'";
    assert_eq!(world.count(entries), 1);
    assert_eq!(world.count("accesses WHERE action = 'records.keys.rotate'"), 2);

    // What a backup has of it opens nothing.
    world.owner_sql(
        "UPDATE tenant_keys k SET wrapped = b.wrapped FROM backup b WHERE b.epoch = k.epoch; \
         UPDATE subject_keys k SET wrapped = b.wrapped, tenant_key_epoch = 1 FROM backup_keys b \
             WHERE b.subject_id = k.subject_id",
    );
    assert_eq!(world.caller().content(&record).await, Err(Reason::SealBroken));
    assert_eq!(world.count(&format!("subject_keys WHERE subject_id = '{}'", id_of(&subject))), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_destroys_nothing() {
    let world = World::with_keks(&["--kek-destroyable"]).await;
    world.caller().subject().await;
    let keys = world.keys();
    keys.rotated(Scope::TenantKey, false).await;
    assert_eq!(reason(keys.destroy_epoch(0, "").await), Reason::FieldInvalid);
    let status = keys.destroy(1, 2).await.unwrap_err();
    assert_eq!(refusal(&status).1, "confirm_epoch");
    assert_eq!(world.count("tenant_keys WHERE wrapped IS NULL"), 0);
}
