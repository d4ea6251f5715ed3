//! Content on its way out.

use std::fs;
use std::path::PathBuf;

use shared::problem::Reason;
use shared::testing::refusal;

use crate::streams::{KIB, SEGMENT, Streamer, content, header, next_version, objects};
use crate::world::{World, id_of};

/// A record of two segments and a bit.
async fn large(streamer: &Streamer, seed: u64) -> (String, Vec<u8>) {
    let subject = streamer.caller.subject().await;
    let body = content(2 * SEGMENT + SEGMENT / 4 + 5, seed);
    let record = streamer.upload(header(&subject, "application/pdf"), &body).await.unwrap();
    (record.into_inner().name, body)
}

fn of(world: &World, name: &str) -> Vec<PathBuf> {
    let files = objects(world).into_iter();
    files.filter(|file| file.to_str().unwrap().contains(id_of(name))).collect()
}

/// What somebody does to a store, and how.
type Change<'a> = (&'a str, Box<dyn Fn() + 'a>);

fn flip(file: &PathBuf, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_range_is_what_it_is_of_the_whole() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let (name, body) = large(&streamer, 21).await;
    let borders = [0, 16 * KIB, 256 * KIB, SEGMENT, SEGMENT + 16 * KIB, 2 * SEGMENT, body.len()];
    let near = |border: usize| [border.saturating_sub(1), border, border + 1];
    let places: Vec<usize> = borders.into_iter().flat_map(near).collect();
    let mut ranges: Vec<(usize, usize)> =
        places.iter().zip(places.iter().skip(4)).map(|(from, to)| (*from, to - from)).collect();
    ranges.extend(places.iter().map(|from| (*from, 1)));
    ranges.extend([(0, 0), (SEGMENT - 7, 0), (1, body.len()), (7, usize::MAX / 2)]);
    // And some more that nobody thought of.
    let more = content(16 * 16, 22);
    let number = |bytes: &[u8]| usize::from_le_bytes(bytes.try_into().unwrap());
    ranges.extend(
        more.chunks(16).map(|chunk| {
            (number(&chunk[..8]) % body.len(), number(&chunk[8..]) % (SEGMENT / 2) + 1)
        }),
    );
    for (offset, length) in ranges {
        let download = streamer.download(&name, 0, (offset, length)).await;
        if offset >= body.len() {
            assert_eq!(download.reason(), Reason::FieldInvalid);
            continue;
        }
        let end = if length == 0 { body.len() } else { body.len().min(offset + length) };
        let header = download.header.clone().unwrap();
        assert_eq!(usize::try_from(header.offset).unwrap(), offset);
        assert_eq!(usize::try_from(header.length).unwrap(), end - offset);
        assert!(download.complete() == body[offset..end], "{offset} {length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_content_has_ranges_too() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let body = content(600 * KIB, 23);
    let record = streamer.caller.record(&subject, "text/plain", &body).await;
    for (offset, length) in [(0, 0), (0, 1), (256 * KIB - 1, 2), (600 * KIB - 1, 9)] {
        let end = if length == 0 { body.len() } else { body.len().min(offset + length) };
        let read = streamer.download(&record.name, 1, (offset, length)).await.complete();
        assert!(read == body[offset..end], "{offset} {length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_beyond_the_end_gives_nothing_and_the_log_says_so() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let subject = streamer.caller.subject().await;
    let record = streamer.caller.record(&subject, "text/plain", b"four").await;
    let download = streamer.download(&record.name, 0, (4, 0)).await;
    let (reason, field, _) = refusal(download.end.as_ref().unwrap_err());
    assert_eq!((reason, field.as_str()), (Reason::FieldInvalid, "offset"));
    let log = world.accesses();
    assert_eq!(log.last().unwrap().reason.as_deref(), Some("FIELD_INVALID"));
    let none = streamer.download(&record.name, 2, (0, 0)).await;
    assert_eq!(none.reason(), Reason::ResourceNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_never_leaves() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let (name, body) = large(&streamer, 24).await;
    let files = of(&world, &name);
    let original: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let last = original[2].len();
    let changes: [Change<'_>; 9] = [
        ("its last byte", Box::new(|| flip(&files[2], last - 1))),
        ("the header of the last", Box::new(|| flip(&files[2], 30))),
        ("the last, cut", Box::new(|| fs::write(&files[2], &original[2][..last - 1]).unwrap())),
        (
            "the last, longer",
            Box::new(|| fs::write(&files[2], [&original[2][..], b"x"].concat()).unwrap()),
        ),
        ("the last, gone", Box::new(|| fs::remove_file(&files[2]).unwrap())),
        ("the first, gone", Box::new(|| fs::remove_file(&files[0]).unwrap())),
        ("the first, cut", Box::new(|| fs::write(&files[0], &original[0][..SEGMENT]).unwrap())),
        ("the first in place of the second", Box::new(|| drop(fs::copy(&files[0], &files[1])))),
        ("a byte of the second", Box::new(|| flip(&files[1], SEGMENT / 2))),
    ];
    for (what, change) in changes {
        change();
        let denied = || {
            let log = world.accesses();
            log.iter().filter(|entry| entry.reason.as_deref() == Some("SEAL_BROKEN")).count()
        };
        let before = denied();
        let download = streamer.download(&name, 0, (0, 0)).await;
        let status = download.end.as_ref().unwrap_err();
        assert_eq!(refusal(status).0, Reason::SealBroken, "{what}");
        assert_eq!(status.message(), "What is stored does not open.");
        // Whole segments before it may have left, and nothing of the one that is broken.
        assert!(body.starts_with(&download.content) && download.content.len() % SEGMENT == 0);
        assert!(download.content.len() < body.len(), "{what}");
        if what.contains("last") {
            assert!(download.header.is_none(), "{what}");
        }
        assert_eq!(denied() - before, 1, "{what}");
        for (file, bytes) in files.iter().zip(&original) {
            fs::write(file, bytes).unwrap();
        }
        assert!(streamer.content(&name).await == body, "{what}");
    }
    // What is not asked for is not read.
    flip(&files[0], SEGMENT / 2);
    let part = streamer.download(&name, 0, (SEGMENT + 9, SEGMENT)).await.complete();
    assert!(part == body[SEGMENT + 9..2 * SEGMENT + 9]);
    let beside = streamer.download(&name, 0, (0, 16 * KIB)).await.complete();
    assert!(beside == body[..16 * KIB]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_opens_in_its_own_version_and_record_only() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let (one, body) = large(&streamer, 25).await;
    let (other, _) = large(&streamer, 25).await;
    streamer.upload(next_version(&one, ""), &body).await.unwrap();
    let files = of(&world, &one);
    let (first, second) = files.split_at(3);
    for source in [second, &of(&world, &other)[..]] {
        for number in 0..3 {
            let kept = fs::read(&first[number]).unwrap();
            fs::copy(&source[number], &first[number]).unwrap();
            let download = streamer.download(&one, 1, (0, 0)).await;
            assert_eq!(download.reason(), Reason::SealBroken);
            assert_eq!(download.content.len(), if number == 2 { 0 } else { number * SEGMENT });
            fs::write(&first[number], kept).unwrap();
        }
    }
    assert!(streamer.download(&one, 1, (0, 0)).await.complete() == body);
    // Fewer segments than there are, or another size.
    for lie in ["segments = 2", "size_bytes = size_bytes - 1", "segments = 2, size_bytes = 8388608"]
    {
        world.owner_sql(&format!(
            "CREATE TABLE kept AS SELECT * FROM record_versions; UPDATE record_versions SET {lie}"
        ));
        assert_eq!(streamer.download(&one, 1, (0, 0)).await.reason(), Reason::SealBroken, "{lie}");
        world.owner_sql(
            "UPDATE record_versions v SET segments = k.segments, size_bytes = k.size_bytes \
             FROM kept k WHERE (k.record_id, k.version) = (v.record_id, v.version); \
             DROP TABLE kept",
        );
    }
    assert!(streamer.download(&one, 1, (0, 0)).await.complete() == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_a_full_read() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let (name, _) = large(&streamer, 26).await;
    streamer.content(&name).await;
    let log = world.accesses();
    let entry = log.last().unwrap();
    assert_eq!((entry.action.as_str(), entry.view), ("records.records.get", Some(3)));
    assert_eq!((entry.purpose.as_deref(), entry.decision), (Some("KYC"), 1));
    world.owner_sql("UPDATE subjects SET state = 2");
    let restricted = streamer.download(&name, 0, (0, 0)).await;
    assert_eq!(restricted.reason(), Reason::SubjectRestricted);
    assert!(restricted.header.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_destroyed_while_it_is_read_is_no_alarm() {
    let world = World::new().await;
    let streamer = Streamer::new(&world);
    let (name, body) = large(&streamer, 27).await;
    // The caller reads nothing yet, so that not all of it is on its way.
    let frames = streamer.start_download(&name, 0, (0, 0)).await.unwrap();
    world.owner_sql("UPDATE record_versions SET data_key = NULL");
    for file in of(&world, &name) {
        fs::remove_file(file).unwrap();
    }
    let download = crate::streams::drain(frames).await;
    assert!(body.starts_with(&download.content) && download.content.len() < body.len());
    assert_eq!(download.reason(), Reason::Contention);
    let log = world.accesses();
    assert!(log.iter().all(|entry| entry.reason.is_none()));
}
