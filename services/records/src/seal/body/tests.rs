use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::Sha512;

use super::super::context::Domain;
use super::*;

pub(super) fn key_of(bytes: [u8; KEY_LEN]) -> Key {
    Key::fill_with(|key| {
        *key = bytes;
        Ok::<_, SealFailed>(())
    })
    .unwrap()
}

fn context(version: i64) -> Context {
    Context::new(Domain::Body).number(version)
}

/// Content in which every chunk differs from every other.
fn plaintext(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / CHUNK_LEN * 7).to_le_bytes()[0]).collect()
}

pub(super) fn seal_with_salt(
    key: &Key,
    context: &Context,
    salt: [u8; SALT_LEN],
    plaintext: &[u8],
) -> Vec<u8> {
    let mut sealer = Sealer::with_salt(key, context, &salt).unwrap();
    let mut ciphertext = sealer.header().to_vec();
    sealer.update(plaintext, &mut ciphertext).unwrap();
    sealer.finish(&mut ciphertext).unwrap();
    ciphertext
}

/// The specification once more, from its text and on another library.
fn by_the_specification(
    key: [u8; KEY_LEN],
    context: &Context,
    salt: [u8; SALT_LEN],
    plaintext: &[u8],
) -> Vec<u8> {
    let label = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
    let info = [label, &salt[..], context.as_bytes()].concat();
    let mut derived = [0; 32 + 12 + 32];
    // HMAC pads its key with zeros; this library wants a part of them.
    let prk = [key, [0; 32]].concat();
    Hkdf::<Sha512>::from_prk(&prk).unwrap().expand(&info, &mut derived).unwrap();
    let cipher = Aes256Gcm::new_from_slice(&derived[..32]).unwrap();
    let base = u128::from_be_bytes([&[0; 4], &derived[32..44]].concat().try_into().unwrap());
    let mut ciphertext = [&salt[..], &derived[44..]].concat();
    for number in 0..=plaintext.len() / CHUNK_LEN {
        let nonce: [u8; 12] = (base ^ number as u128).to_be_bytes()[4..].try_into().unwrap();
        let end = plaintext.len().min((number + 1) * CHUNK_LEN);
        let chunk = &plaintext[number * CHUNK_LEN..end];
        ciphertext.extend_from_slice(&cipher.encrypt(&nonce.into(), chunk).unwrap());
    }
    ciphertext
}

/// Lengths around the borders of chunks.
fn lengths() -> impl Strategy<Value = usize> {
    (0..4usize, 0..3usize, 0..64usize).prop_map(|(chunks, side, off)| match side {
        0 => chunks * CHUNK_LEN + off,
        1 => (chunks * CHUNK_LEN).saturating_sub(off),
        _ => chunks * CHUNK_LEN + off * 251,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn agrees_with_the_specification(
        key in any::<[u8; KEY_LEN]>(),
        salt in any::<[u8; SALT_LEN]>(),
        version in any::<i64>(),
        length in lengths(),
    ) {
        let (plaintext, context) = (plaintext(length), context(version));
        let expected = by_the_specification(key, &context, salt, &plaintext);
        let key = key_of(key);
        prop_assert!(seal_with_salt(&key, &context, salt, &plaintext) == expected);
        prop_assert!(*open(&key, &context, &expected).unwrap() == plaintext);

        let ciphertext = seal(&key, &context, &plaintext).unwrap();
        prop_assert_eq!(ciphertext.len() as u64, Layout::of_plaintext(length).ciphertext_len());
        let layout = Layout::of_ciphertext(ciphertext.len() as u64)?;
        prop_assert_eq!(layout, Layout::of_plaintext(length));
        prop_assert_eq!(layout.plaintext_len(), length as u64);
        prop_assert!(*open(&key, &context, &ciphertext).unwrap() == plaintext);
    }

    #[test]
    fn pieces_make_the_same_body(length in lengths(), pieces in vec(1..40_000usize, 1..12)) {
        let (key, salt, plaintext) = (key_of([7; KEY_LEN]), [9; SALT_LEN], plaintext(length));
        let mut sealer = Sealer::with_salt(&key, &context(1), &salt).unwrap();
        let mut ciphertext = sealer.header().to_vec();
        let mut rest = &plaintext[..];
        for piece in pieces.iter().cycle() {
            let (head, tail) = rest.split_at((*piece).min(rest.len()));
            sealer.update(head, &mut ciphertext).unwrap();
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        sealer.finish(&mut ciphertext).unwrap();
        prop_assert!(ciphertext == seal_with_salt(&key, &context(1), salt, &plaintext));
    }

    #[test]
    fn a_range_opens_without_the_rest(
        length in lengths(),
        start in 0..70_000u64,
        len in 0..70_000u64,
    ) {
        let (key, plaintext) = (key_of([3; KEY_LEN]), plaintext(length));
        let ciphertext = seal(&key, &context(1), &plaintext).unwrap();
        let header = ciphertext.first_chunk().unwrap();
        let opener = Opener::new(&key, &context(1), header, ciphertext.len() as u64).unwrap();
        let chunks = opener.layout().chunks_of(start..start + len);
        let mut opened = Vec::new();
        for number in chunks.clone() {
            let place = opener.layout().chunk(number).unwrap();
            let chunk = &ciphertext[usize::try_from(place.start)?..usize::try_from(place.end)?];
            opener.open_chunk(number, chunk, &mut opened).unwrap();
        }
        let from = usize::try_from(start)?.min(length);
        let to = usize::try_from(start + len)?.min(length);
        let skipped = usize::try_from(chunks.start)? * CHUNK_LEN;
        prop_assert!(from == to || opened[from - skipped..to - skipped] == plaintext[from..to]);
    }

    #[test]
    fn a_flipped_bit_never_opens(length in lengths(), at in any::<usize>(), bit in 0..8u8) {
        let key = key_of([5; KEY_LEN]);
        let mut ciphertext = seal(&key, &context(1), &plaintext(length)).unwrap();
        let at = at % ciphertext.len();
        ciphertext[at] ^= 1 << bit;
        prop_assert_eq!(open(&key, &context(1), &ciphertext).err(), Some(SealBroken));
    }

    #[test]
    fn a_cut_body_never_opens(length in lengths(), cut in any::<usize>()) {
        let key = key_of([5; KEY_LEN]);
        let ciphertext = seal(&key, &context(1), &plaintext(length)).unwrap();
        let cut = &ciphertext[..cut % ciphertext.len()];
        prop_assert_eq!(open(&key, &context(1), cut).err(), Some(SealBroken));
    }
}

#[test]
fn every_flipped_bit_of_a_small_body_is_found() {
    let key = key_of([5; KEY_LEN]);
    let ciphertext = seal(&key, &context(1), b"secret").unwrap();
    for bit in 0..ciphertext.len() * 8 {
        let mut changed = ciphertext.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&key, &context(1), &changed).err(), Some(SealBroken), "bit {bit}");
    }
}

#[test]
fn cut_at_chunk_borders_swapped_or_extended_it_does_not_open() {
    let key = key_of([5; KEY_LEN]);
    let ciphertext = seal(&key, &context(1), &plaintext(3 * CHUNK_LEN + 5)).unwrap();
    let (header, chunks) = ciphertext.split_at(HEADER_LEN);
    let chunks: Vec<_> = chunks.chunks(SEALED_CHUNK_LEN).collect();
    let body = |order: &[usize]| {
        let picked: Vec<_> = order.iter().map(|&number| chunks[number]).collect();
        [header, &picked.concat()].concat()
    };
    assert!(open(&key, &context(1), &body(&[0, 1, 2, 3])).is_ok());
    for order in [
        &[0, 1, 2][..],
        &[0, 1],
        &[0],
        &[],
        &[3],
        &[0, 3],
        &[0, 1, 3],
        &[1, 0, 2, 3],
        &[0, 2, 1, 3],
        &[0, 1, 1, 3],
        &[1, 2, 3],
        &[0, 1, 2, 2, 3],
        &[0, 1, 2, 3, 3],
    ] {
        assert_eq!(open(&key, &context(1), &body(order)).err(), Some(SealBroken), "{order:?}");
    }
    for extra in [1, TAG_LEN, SEALED_CHUNK_LEN] {
        let longer = [&ciphertext[..], &vec![0; extra]].concat();
        assert_eq!(open(&key, &context(1), &longer).err(), Some(SealBroken));
    }
}

#[test]
fn another_key_or_context_does_not_open() {
    let key = key_of([5; KEY_LEN]);
    let ciphertext = seal(&key, &context(1), b"secret").unwrap();
    assert_eq!(open(&key, &context(2), &ciphertext).err(), Some(SealBroken));
    assert_eq!(open(&key_of([6; KEY_LEN]), &context(1), &ciphertext).err(), Some(SealBroken));
    assert_eq!(*open(&key, &context(1), &ciphertext).unwrap(), b"secret");
    assert!(!ciphertext.windows(6).any(|window| window == b"secret"));
}

#[test]
fn chunk_numbers_reach_every_byte_of_the_nonce_and_stop_in_time() {
    let message = Message::derive(&key_of([1; KEY_LEN]), &context(1), &[2; SALT_LEN]).unwrap();
    let base = u128::from_be_bytes([&[0; 4], &message.base_nonce[..]].concat().try_into().unwrap());
    for number in [0, 1, 0xff, 0x100, 0xffff_ffff, 0x1_0000_0000, MAX_CHUNKS - 1] {
        let nonce = message.nonce(number).unwrap();
        let expected = (base ^ u128::from(number)).to_be_bytes();
        assert_eq!(nonce.as_ref(), &expected[4..], "{number}");
    }
    assert!(message.nonce(MAX_CHUNKS).is_err());
    assert_eq!(Layout::of_plaintext(1).chunk(u64::MAX), None);
    assert_eq!(Layout::of_ciphertext(u64::MAX), Err(SealBroken));
    let longest = HEADER_LEN as u64 + MAX_CHUNKS * SEALED_CHUNK_LEN as u64;
    assert!(Layout::of_ciphertext(longest - 1).is_ok());
    assert_eq!(Layout::of_ciphertext(longest + TAG_LEN as u64), Err(SealBroken));
}
