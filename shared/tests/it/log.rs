//! The log and its proofs, as somebody sees them who does not trust the server.

use std::path::PathBuf;

use diesel::connection::SimpleConnection as _;
use shared::boot::BootError;
use shared::problem::Reason;
use shared::testing::{Running, listener, refusal};
use shared::transparency::{
    Hash, RestoredError, Root, check_consistency, check_inclusion, leaf_hash, open_note, read_notes,
};
use strongroom_proto::transparency::v1 as wire;
use tokio_util::sync::CancellationToken;
use wire::get_inclusion_proof_request::Leaf as Asked;

use crate::setup::serve;
use crate::world::{Log, World, data, enter};

const COUNT: usize = 600;

fn hash(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap()
}

fn hashes(proof: &[Vec<u8>]) -> Vec<Hash> {
    proof.iter().map(|bytes| hash(bytes)).collect()
}

fn root(size: usize) -> Hash {
    let mut root = Root::default();
    (0..size).for_each(|n| root.push(leaf_hash(&data(&format!("things/{n}")))));
    root.finish()
}

async fn filled() -> (World, Running, Log) {
    let world = World::new().await;
    let server = world.serve(&[]).await;
    world.things(COUNT);
    world.sequenced(COUNT.try_into().unwrap()).await;
    let mut log = world.log(&server);
    checkpoint(&mut log, COUNT).await;
    (world, server, log)
}

/// The checkpoint of a size, once it is signed.
async fn checkpoint(log: &mut Log, size: usize) -> wire::Checkpoint {
    let size = Some(i64::try_from(size).unwrap());
    for _ in 0..600 {
        match log.get_checkpoint(wire::GetCheckpointRequest { size }).await {
            Ok(found) => return found.into_inner(),
            Err(status) => assert_eq!(refusal(&status).0, Reason::ResourceNotFound),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no checkpoint of {size:?} is signed");
}

fn notes_file(world: &World) -> PathBuf {
    let folder = world.folder.path().join("checkpoints/transactions");
    let mut files = std::fs::read_dir(folder).unwrap();
    files.next().unwrap().unwrap().path()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_signed_and_kept_outside() {
    let (world, _server, mut log) = filled().await;
    let latest = log.get_checkpoint(wire::GetCheckpointRequest { size: None }).await.unwrap();
    let latest = latest.into_inner();
    let opened = open_note(&latest.note, &world.verifier_key).unwrap();
    assert_eq!((opened.size, opened.root), (COUNT as u64, root(COUNT)));
    assert_eq!(hash(&latest.root_hash), opened.root);
    let origin = format!("strongroom/transactions/{}/", world.tenant.uuid());
    assert!(opened.origin.starts_with(&origin), "{}", opened.origin);
    let text = std::fs::read_to_string(notes_file(&world)).unwrap();
    let notes = read_notes(&text, &opened.origin);
    assert_eq!(notes.last(), Some(&latest.note.as_str()));
    let sizes: Vec<u64> =
        notes.iter().map(|note| open_note(note, &world.verifier_key).unwrap().size).collect();
    assert!(sizes.is_sorted(), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_proof_holds_without_trust_in_the_server() {
    let (_world, _server, mut log) = filled().await;
    for index in [0, 1, 255, 256, 511, 598, 599] {
        for size in [None, Some(600), Some(index + 1)] {
            let leaf = Some(Asked::Index(index));
            let request = wire::GetInclusionProofRequest { leaf, tree_size: size };
            let proof = log.get_inclusion_proof(request).await.unwrap().into_inner();
            let leaf = proof.leaf.unwrap();
            assert_eq!(leaf.data, data(&format!("things/{index}")));
            let (leaf, size) = (leaf_hash(&leaf.data), proof.tree_size.cast_unsigned());
            let (root, path) = (hash(&proof.root_hash), hashes(&proof.hashes));
            assert_eq!(root, self::root(usize::try_from(size).unwrap()));
            assert!(check_inclusion(leaf, index.cast_unsigned(), size, root, &path));
            assert_eq!(size == 600, proof.checkpoint.is_some_and(|one| one.size == 600));
        }
    }
    for (from, to) in [(1, 2), (1, 600), (255, 256), (256, 257), (257, 600), (600, 600)] {
        let request = wire::GetConsistencyProofRequest { from_size: from, to_size: Some(to) };
        let proof = log.get_consistency_proof(request).await.unwrap().into_inner();
        let end = |size: i64, root: &[u8]| (size.cast_unsigned(), hash(root));
        let (from, to) = (end(from, &proof.from_root_hash), end(to, &proof.to_root_hash));
        let root_of = |size: u64| root(size.try_into().unwrap());
        assert_eq!((from.1, to.1), (root_of(from.0), root_of(to.0)));
        assert!(check_consistency(from, to, &hashes(&proof.hashes)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_cannot_be_proved() {
    let world = World::new().await;
    let server = world.serve(&[]).await;
    let mut log = world.log(&server);
    let inclusion = |leaf, tree_size| wire::GetInclusionProofRequest { leaf, tree_size };
    let index = |index| Some(Asked::Index(index));
    // Of an empty log there is nothing yet.
    let none = log.get_checkpoint(wire::GetCheckpointRequest { size: None }).await.unwrap_err();
    assert_eq!(refusal(&none).0, Reason::ResourceNotFound);
    let none = log.get_inclusion_proof(inclusion(index(0), None)).await.unwrap_err();
    assert_eq!(refusal(&none).0, Reason::ResourceNotFound);
    world.things(5);
    world.sequenced(5).await;
    let resource = Some(Asked::Resource("things/1".to_owned()));
    for (request, reason, field) in [
        (inclusion(index(5), Some(5)), Reason::ResourceNotFound, ""),
        (inclusion(index(2), Some(2)), Reason::ResourceNotFound, ""),
        (inclusion(index(0), Some(6)), Reason::ResourceNotFound, ""),
        (inclusion(index(0), Some(0)), Reason::ResourceNotFound, ""),
        (inclusion(resource, Some(5)), Reason::ResourceNotFound, ""),
        (inclusion(index(-1), Some(5)), Reason::FieldInvalid, "index"),
        (inclusion(index(0), Some(-1)), Reason::FieldInvalid, "tree_size"),
        (inclusion(index(i64::MAX), Some(i64::MAX)), Reason::ResourceNotFound, ""),
        (inclusion(None, None), Reason::FieldInvalid, "leaf"),
    ] {
        let status = log.get_inclusion_proof(request.clone()).await.unwrap_err();
        let (found, path, _) = refusal(&status);
        assert_eq!((found, &*path), (reason, field), "{request:?}");
    }
    for (from_size, to_size, reason, field) in [
        (0, Some(5), Reason::FieldInvalid, "from_size"),
        (-1, Some(5), Reason::FieldInvalid, "from_size"),
        (3, Some(2), Reason::FieldInvalid, "to_size"),
        (3, Some(6), Reason::ResourceNotFound, ""),
        (6, None, Reason::ResourceNotFound, ""),
    ] {
        let request = wire::GetConsistencyProofRequest { from_size, to_size };
        let (found, path, _) = refusal(&log.get_consistency_proof(request).await.unwrap_err());
        assert_eq!((found, &*path), (reason, field), "{from_size} {to_size:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_show_what_was_changed_since() {
    let (world, _server, mut log) = filled().await;
    let damage = format!(
        "{}; UPDATE changes SET data = ARRAY['{{\"subject\":\"things/1\"}}'] WHERE position = 300",
        enter("SET", world.tenant)
    );
    tokio::task::block_in_place(|| world.database.owner().batch_execute(&damage)).unwrap();
    let (mut all, mut damaged) = (Vec::new(), Vec::new());
    while all.len() < COUNT {
        let request =
            wire::ListLeavesRequest { start_index: all.len().try_into().unwrap(), page_size: 250 };
        let page = log.list_leaves(request).await.unwrap().into_inner();
        assert_eq!(page.log_size, 600);
        for leaf in page.leaves {
            if leaf_hash(&leaf.data) != hash(&leaf.hash) {
                damaged.push(leaf.index);
            }
            all.push(hash(&leaf.hash));
        }
    }
    assert_eq!(damaged, [300]);
    let mut root = Root::default();
    for leaf in all {
        root.push(leaf);
    }
    assert_eq!(root.finish(), self::root(COUNT), "the tree is as it was signed");
    let request = wire::ListLeavesRequest { start_index: 600, page_size: 1 };
    assert!(log.list_leaves(request).await.unwrap().into_inner().leaves.is_empty());
}

/// Why a service does not start.
async fn refused(world: &World) -> BootError {
    let started = serve(listener().await, world.common(&[]), CancellationToken::new());
    tokio::time::timeout(std::time::Duration::from_secs(30), started).await.unwrap().unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_set_back_is_not_served_until_somebody_says_so() {
    let (world, server, _) = filled().await;
    server.stop().await.unwrap();
    let run = |sql: &str| {
        let sql = format!("{}; {sql}", enter("SET", world.tenant));
        tokio::task::block_in_place(|| world.database.owner().batch_execute(&sql)).unwrap();
    };
    // Other contents of the same size.
    run("UPDATE log_tiles SET hashes = overlay(hashes placing '\\x00'::bytea from 1 for 1) \
         WHERE level = 1");
    let error = refused(&world).await;
    let BootError::Restored(RestoredError::Differs { tenant, signed: 600, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(tenant, world.tenant);
    // An earlier state.
    run("UPDATE logs SET size = 100; DELETE FROM log_tiles; DELETE FROM checkpoints; \
         DELETE FROM changes WHERE position >= 100");
    let error = refused(&world).await;
    assert!(error.to_string().contains("`restore --confirm`"), "{error}");
    let BootError::Restored(RestoredError::Behind { size: 100, signed: 600, .. }) = error else {
        panic!("{error}");
    };
    run("DELETE FROM logs; DELETE FROM changes");
    tokio::task::block_in_place(|| {
        shared::db::restore(&world.database.owner_url, &world.database.name).unwrap();
    });
    let server = world.serve(&[]).await;
    world.things(2);
    let checkpoint = checkpoint(&mut world.log(&server), 2).await;
    assert_eq!(hash(&checkpoint.root_hash), root(2));
    server.stop().await.unwrap();
    world.serve(&[]).await;
}
