//! Key-encryption keys across restarts.

use std::process::Command;

use records::seal::FileProvider;
use shared::clock::Clock;
use shared::problem::Reason;
use shared::testing::{config, listener};
use tokio_util::sync::CancellationToken;

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
    arguments.extend(["--kek-file", "/nowhere/kek.json"]);
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
