use uuid::Uuid;

use super::super::key::Key;
use super::super::{KeyError, SealBroken, SealFailed, commitment};
use super::*;

const TENANT: Uuid = Uuid::from_u128(1);
const SUBJECT: Uuid = Uuid::from_u128(2);
const RECORD: Uuid = Uuid::from_u128(3);
const DATA_KEY: Uuid = Uuid::from_u128(4);
const OTHER: Uuid = Uuid::from_u128(9);
const BROKEN: Option<KeyError> = Some(KeyError::Broken(SealBroken));

fn tenant_key(epoch: i32) -> TenantKey {
    TenantKey::new(TENANT, epoch, Key::random().unwrap())
}

fn subject_key(generation: i32) -> SubjectKey {
    tenant_key(1).new_subject_key(SUBJECT, generation).unwrap().0
}

fn data_key() -> DataKey {
    DataKey::random(TENANT, SUBJECT, RECORD, 1, DATA_KEY).unwrap()
}

/// The same secret in another owner's name, as after a row was moved.
fn renamed(key: &Key) -> Key {
    Key::fill_with(|bytes| {
        *bytes = *key.expose();
        Ok::<_, SealFailed>(())
    })
    .unwrap()
}

#[test]
fn a_body_goes_down_and_comes_up_the_ladder() {
    let tenant = tenant_key(1);
    let (subject, wrapped_subject) = tenant.new_subject_key(SUBJECT, 1).unwrap();
    let (data, wrapped_data) = subject.new_data_key(RECORD, 1, DATA_KEY).unwrap();
    let (salt, wrapped_salt) = subject.new_salt(RECORD, 1).unwrap();
    let ciphertext = data.seal("text/plain", b"secret").unwrap();

    let subject = tenant.open_subject_key(SUBJECT, 1, &wrapped_subject).unwrap();
    let data = subject.open_data_key(RECORD, 1, DATA_KEY, &wrapped_data).unwrap();
    assert_eq!(*data.open("text/plain", &ciphertext).unwrap(), b"secret");
    assert!(data.open("text/html", &ciphertext).is_err());
    let opened = subject.open_salt(RECORD, 1, &wrapped_salt).unwrap();
    assert_eq!(opened.expose(), salt.expose());
}

#[test]
fn a_wrap_opens_on_its_own_rung_and_for_its_own_owner_only() {
    let tenant = tenant_key(1);
    let (subject, wrapped) = tenant.new_subject_key(SUBJECT, 1).unwrap();
    assert!(tenant.open_subject_key(OTHER, 1, &wrapped).is_err());
    assert!(tenant.open_subject_key(SUBJECT, 2, &wrapped).is_err());
    assert!(tenant_key(1).open_subject_key(SUBJECT, 1, &wrapped).is_err());

    let (_, data) = subject.new_data_key(RECORD, 1, DATA_KEY).unwrap();
    let (_, salt) = subject.new_salt(RECORD, 1).unwrap();
    assert!(subject.open_data_key(OTHER, 1, DATA_KEY, &data).is_err());
    assert!(subject.open_data_key(RECORD, 2, DATA_KEY, &data).is_err());
    assert!(subject.open_data_key(RECORD, 1, OTHER, &data).is_err());
    assert!(subject.open_data_key(RECORD, 1, DATA_KEY, &salt).is_err());
    assert!(subject.open_salt(RECORD, 1, &data).is_err());
    assert!(subject.open_salt(RECORD, 2, &salt).is_err());
}

#[test]
fn a_key_of_another_tenant_does_not_open_under_the_same_secret() {
    let secret = Key::random().unwrap();
    let tenant = TenantKey::new(TENANT, 1, renamed(&secret));
    let (_, wrapped) = tenant.new_subject_key(SUBJECT, 1).unwrap();
    let other = TenantKey::new(OTHER, 1, secret);
    assert!(other.open_subject_key(SUBJECT, 1, &wrapped).is_err());
}

#[test]
fn a_body_opens_for_its_own_version_only() {
    let data = data_key();
    let ciphertext = data.seal("text/plain", b"secret").unwrap();
    let moved = [
        DataKey { tenant: OTHER, key: renamed(&data.key), ..data_key() },
        DataKey { subject: OTHER, key: renamed(&data.key), ..data_key() },
        DataKey { record: OTHER, key: renamed(&data.key), ..data_key() },
        DataKey { version: 2, key: renamed(&data.key), ..data_key() },
        DataKey { id: OTHER, key: renamed(&data.key), ..data_key() },
    ];
    for key in moved {
        assert!(key.open("text/plain", &ciphertext).is_err());
    }
    assert!(data.open("text/plain", &ciphertext).is_ok());
}

#[test]
fn a_body_may_be_sealed_before_its_subjects_key_is_there() {
    let data = data_key();
    let ciphertext = data.seal("text/plain", b"secret").unwrap();
    let subject = subject_key(1);
    let wrapped = subject.wrap_data_key(&data).unwrap();
    let opened = subject.open_data_key(RECORD, 1, DATA_KEY, &wrapped).unwrap();
    assert_eq!(*opened.open("text/plain", &ciphertext).unwrap(), b"secret");
    for strangers in [DataKey { tenant: OTHER, ..data_key() }, DataKey { subject: OTHER, ..data }] {
        assert_eq!(subject.wrap_data_key(&strangers).err(), Some(SealFailed));
    }
}

/// The number of a segment, and whether it is the last.
type Place = (u32, bool);

#[test]
fn a_segment_opens_in_its_place_only() {
    let data = data_key();
    let seal = |(number, is_last): Place| {
        data.seal_segment("text/plain", number, is_last, &number.to_be_bytes()).unwrap()
    };
    let places = [(0, false), (1, false), (2, false), (3, true)];
    let sealed = places.map(seal);
    for (place, segment) in places.into_iter().zip(&sealed) {
        let others = (0..6).flat_map(|number| [(number, false), (number, true)]);
        for (number, is_last) in others {
            let opened = data.open_segment("text/plain", number, is_last, segment);
            let expected = (place == (number, is_last)).then(|| number.to_be_bytes().to_vec());
            assert_eq!(opened.ok().as_deref(), expected.as_ref(), "{place:?}");
        }
        assert!(data.open("text/plain", segment).is_err(), "no segment is a whole body");
        assert!(data.open_segment("text/html", place.0, place.1, segment).is_err());
        assert!(data_key().open_segment("text/plain", place.0, place.1, segment).is_err());
        let other = DataKey { record: OTHER, key: renamed(&data.key), ..data_key() };
        assert!(other.open_segment("text/plain", place.0, place.1, segment).is_err());
    }
    let whole = data.seal("text/plain", b"secret").unwrap();
    assert!(data.open_segment("text/plain", 0, true, &whole).is_err(), "nor the other way");
    assert_ne!(seal((0, false)), sealed[0], "salts are fresh");
}

/// Reads segments as a reader does, who knows how many there should be.
fn read(data: &DataKey, segments: &[&Vec<u8>], count: u32) -> Result<Vec<u8>, SealBroken> {
    if segments.len() != count as usize {
        return Err(SealBroken);
    }
    let mut content = Vec::new();
    for (number, segment) in (0..count).zip(segments) {
        let is_last = number + 1 == count;
        content.extend(data.open_segment("text/plain", number, is_last, segment)?.iter());
    }
    Ok(content)
}

#[test]
fn segments_that_were_swapped_cut_dropped_or_appended_do_not_open() {
    let (data, foreign) = (data_key(), data_key());
    let seal = |data: &DataKey, number: u32, text: &str| {
        data.seal_segment("text/plain", number, number == 2, text.as_bytes()).unwrap()
    };
    let [a, b, c] = [(0, "a"), (1, "b"), (2, "c")].map(|(number, text)| seal(&data, number, text));
    let stranger = seal(&foreign, 1, "b");
    let cut = b[..b.len() - 1].to_vec();
    assert_eq!(read(&data, &[&a, &b, &c], 3).unwrap(), b"abc");
    for (segments, count) in [
        (vec![&b, &a, &c], 3),
        (vec![&a, &c, &b], 3),
        (vec![&a, &a, &c], 3),
        (vec![&a, &b, &b], 3),
        (vec![&a, &cut, &c], 3),
        (vec![&a, &stranger, &c], 3),
        // Whoever changes the count as well does not get further.
        (vec![&a, &b], 2),
        (vec![&a, &c], 2),
        (vec![&b, &c], 2),
        (vec![&a], 1),
        (vec![&c], 1),
        (vec![&a, &b, &c, &c], 4),
        (vec![&a, &b, &b, &c], 4),
    ] {
        assert_eq!(read(&data, &segments, count), Err(SealBroken));
    }
}

#[test]
fn a_segment_opens_in_chunks() {
    let data = data_key();
    let content = vec![7; 40_000];
    let sealed = data.seal_segment("text/plain", 5, true, &content).unwrap();
    let (header, length) = (sealed.first_chunk().unwrap(), sealed.len() as u64);
    let opener = data.segment_opener("text/plain", 5, true, header, length).unwrap();
    let place = opener.layout().chunk(1).unwrap();
    let (start, end) = (usize::try_from(place.start), usize::try_from(place.end));
    let mut chunk = Vec::new();
    opener.open_chunk(1, &sealed[start.unwrap()..end.unwrap()], &mut chunk).unwrap();
    assert_eq!(chunk, content[16_384..32_768]);
    assert!(data.segment_opener("text/plain", 5, false, header, length).is_err());
    assert!(data.segment_opener("text/plain", 4, true, header, length).is_err());
}

#[test]
fn a_rewrapped_subject_key_is_the_same_and_the_old_wrap_is_of_no_use_with_the_new_key() {
    let (old, new) = (tenant_key(1), tenant_key(2));
    let (subject, wrapped) = old.new_subject_key(SUBJECT, 1).unwrap();
    let (_, data) = subject.new_data_key(RECORD, 1, DATA_KEY).unwrap();
    let rewrapped = new.rewrap_subject_key(&old, SUBJECT, 1, &wrapped).unwrap();
    assert_eq!(rewrapped.key_id().as_str(), "epoch-2");
    let opened = new.open_subject_key(SUBJECT, 1, &rewrapped).unwrap();
    assert!(opened.open_data_key(RECORD, 1, DATA_KEY, &data).is_ok());
    assert!(new.open_subject_key(SUBJECT, 1, &wrapped).is_err());
    assert!(old.open_subject_key(SUBJECT, 1, &rewrapped).is_err());

    let refused = |to: &TenantKey, from: &TenantKey, subject, generation| {
        to.rewrap_subject_key(from, subject, generation, &wrapped).err()
    };
    assert_eq!(refused(&new, &old, OTHER, 1), BROKEN);
    assert_eq!(refused(&new, &old, SUBJECT, 2), BROKEN);
    assert_eq!(refused(&old, &new, SUBJECT, 1), BROKEN);
    let stranger = TenantKey::new(OTHER, 2, Key::random().unwrap());
    assert_eq!(refused(&stranger, &old, SUBJECT, 1), BROKEN, "to another tenant");
}

#[test]
fn a_rewrapped_salt_opens_the_same_commitment() {
    let (old, new) = (subject_key(1), subject_key(2));
    let (salt, wrapped) = old.new_salt(RECORD, 1).unwrap();
    let commitment = commitment::commit(&salt, b"content");
    let rewrapped = new.rewrap_salt(&old, RECORD, 1, &wrapped).unwrap();
    assert_eq!(rewrapped.key_id().as_str(), "generation-2");
    let salt = new.open_salt(RECORD, 1, &rewrapped).unwrap();
    assert!(commitment::verify(&salt, b"content", &commitment).is_ok());
    assert_eq!(new.rewrap_salt(&old, RECORD, 2, &wrapped).err(), BROKEN);
    assert_eq!(new.rewrap_salt(&new, RECORD, 1, &wrapped).err(), BROKEN);
    let (stranger, _) = tenant_key(1).new_subject_key(OTHER, 2).unwrap();
    assert_eq!(stranger.rewrap_salt(&old, RECORD, 1, &wrapped).err(), BROKEN, "to another person");
}
