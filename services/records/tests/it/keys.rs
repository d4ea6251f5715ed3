//! Where key-encryption keys come from, and which keys there are.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use records::seal::FileProvider;
use shared::clock::Clock;
use shared::problem::Reason;
use shared::testing::{config, listener};
use strongroom_proto::records::v1 as wire;
use tokio_util::sync::CancellationToken;
use wire::KeyScope as Scope;
use wire::key::State;
use wire::rotation::State as RotationState;

use crate::key_caller::put;
use crate::world::{World, create, reason};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_keys_open_after_a_restart_and_others_do_not() {
    let mut world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "text/plain", b"secret").await;
    let kek = world.folder.path().join("kek.json");
    let other = world.folder.path().join("other.json");
    FileProvider::create(&other).unwrap();

    world.restart(&other).await;
    let caller = world.caller();
    assert_eq!(caller.content(&record.name).await, Err(Reason::SealBroken));
    let request = create(&subject, "text/plain", b"more");
    assert_eq!(reason(caller.create_record(request).await), Reason::SealBroken);

    world.restart(&kek).await;
    assert_eq!(world.caller().content(&record.name).await.unwrap(), b"secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_file_the_service_does_not_start() {
    let world = World::new().await;
    let mut arguments = world.database.arguments();
    arguments.extend(["--kek-file", "/nowhere/kek.json", "--object-store", "file:///tmp"]);
    let config = config(&arguments);
    let (clock, shutdown) = (Clock::system(), CancellationToken::new());
    let error = records::serve(listener().await, config, clock, shutdown).await.unwrap_err();
    assert!(error.to_string().starts_with("key file /nowhere/kek.json: "), "{error}");
}

#[test]
fn keygen_makes_a_key_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kek.json");
    let keygen = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_records"));
        let output = command.arg("keygen").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let path = file.to_str().unwrap();
    assert_eq!(keygen(&[path]), (Some(0), String::new()));
    FileProvider::open(&file).unwrap();
    let (code, message) = keygen(&[path]);
    assert!(code == Some(1) && message.starts_with("error: key file"), "{message}");
    assert_eq!(keygen(&[]).0, Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_a_mounted_folder() {
    let mut world = World::with_keks(&[]).await;
    let subject = world.caller().subject().await;
    let record = world.caller().record(&subject, "text/plain", b"secret").await.name;
    let folder = world.folder.path().join("keks");
    std::fs::create_dir(&folder).unwrap();
    put(&folder.join("a"), &STANDARD.encode([b'a'; 32]));
    put(&folder.join("active"), "a\n");
    let path = folder.to_str().unwrap().to_owned();
    world.restart_with(&["--kek-folder", &path]).await;
    assert_eq!(world.caller().content(&record).await.unwrap(), b"secret");

    put(&folder.join("b"), &STANDARD.encode([b'b'; 32]));
    put(&folder.join("active"), "b\n");
    let rotation = world.keys().rotated(Scope::Kek, false).await;
    assert_eq!((rotation.state(), rotation.done), (RotationState::Done, 1));
    let keks = world.keys().list_keys(Scope::Kek).await;
    let keks: Vec<_> = keks.iter().map(|key| (key.id.as_str(), key.state(), key.uses)).collect();
    assert_eq!(keks, [("a", State::Retired, 0), ("b", State::Active, 1)]);
    std::fs::remove_file(folder.join("a")).unwrap();
    world.restart_with(&["--kek-folder", &path]).await;
    assert_eq!(world.caller().content(&record).await.unwrap(), b"secret");
}

#[test]
fn keys_come_from_one_place() {
    let parse = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_records"));
        let output = command.env_clear().args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let rest = [
        "serve",
        "--database-url",
        "postgres://nobody@localhost/x",
        "--object-store",
        "file:///tmp",
    ];
    let (code, message) = parse(&rest);
    assert!(code == Some(64) && message.contains("--kek-file"), "{message}");
    let both = ["--kek-file", "/a", "--kek-folder", "/b"];
    let (code, message) = parse(&[&rest[..], &both].concat());
    assert!(code == Some(64) && message.contains("cannot be used with"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_by_scope_and_version() {
    let world = World::new().await;
    let (caller, keys) = (world.caller(), world.keys());
    caller.subject().await;
    let all = keys.list_keys(Scope::Unspecified).await;
    let scopes: Vec<_> = all.iter().map(|key| (key.scope(), key.state(), key.uses)).collect();
    assert_eq!(
        scopes,
        [
            (Scope::Kek, State::Active, 1),
            (Scope::TenantKey, State::Active, 1),
            (Scope::LogKey, State::Active, 0)
        ]
    );
    assert_eq!(all[1].id, "1");
    let verifier = world.verifier_key();
    let key = all[2].id.as_str();
    assert!(verifier.starts_with(&format!("{key}+")) && key.starts_with("strongroom+"), "{key}");
    let other = world.keys_in(world.database.tenant()).list_keys(Scope::TenantKey).await;
    assert!(other.is_empty());
}
