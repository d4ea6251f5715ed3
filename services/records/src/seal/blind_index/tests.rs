use hkdf::Hkdf;
use proptest::prelude::*;
use sha2::Sha256;
use shared::hex::hex;
use uuid::Uuid;

use super::super::{TenantKey, Wrapped};
use super::*;

fn key_of(bytes: [u8; KEY_LEN]) -> IndexKey {
    let fill = |key: &mut [u8; KEY_LEN]| {
        *key = bytes;
        Ok::<_, SealFailed>(())
    };
    IndexKey::new(1, Key::fill_with(fill).unwrap())
}

fn tenant_key(tenant: u128, epoch: i32) -> TenantKey {
    TenantKey::new(Uuid::from_u128(tenant), epoch, Key::random().unwrap())
}

/// The definition once more, on another library. HKDF-Extract is HMAC.
fn by_the_definition(key: [u8; KEY_LEN], record_type: &str, index: &str, value: &str) -> [u8; 32] {
    let field = |text: &str| [&(text.len() as u64).to_be_bytes(), text.as_bytes()].concat();
    let info = [b"bidx/v1", &field(record_type)[..], &field(index)].concat();
    let mut derived = [0; 32];
    Hkdf::<Sha256>::new(None, &key).expand(&info, &mut derived).unwrap();
    let message = [&[1], &field(value)[..]].concat();
    Hkdf::<Sha256>::extract(Some(&derived), &message).0.into()
}

proptest! {
    #[test]
    fn agrees_with_another_implementation(
        key: [u8; KEY_LEN],
        record_type in "[a-z-]{1,64}",
        index in "[a-z-]{1,64}",
        value in "\\PC*",
        bits in BITS_MIN..=BITS_MAX,
    ) {
        let token = key_of(key).token(&record_type, &index, bits, &value).unwrap();
        let expected = u128::from_be_bytes(
            by_the_definition(key, &record_type, &index, &value)[..16].try_into().unwrap(),
        );
        let mut found = [0; 16];
        found[..token.as_bytes().len()].copy_from_slice(token.as_bytes());
        prop_assert_eq!(u128::from_be_bytes(found), expected & u128::MAX << (128 - bits));
        prop_assert_eq!(token.as_bytes().len(), usize::from(bits).div_ceil(8));
    }
}

#[test]
fn the_definition_is_final() {
    let token = key_of([7; KEY_LEN]).token("kyc-file", "tax-id", 128, "DE123456789").unwrap();
    assert_eq!(hex(token.as_bytes()), "f14938e92fbbbe4470e118d5ce13f4cc");
}

#[test]
fn a_token_depends_on_everything_and_on_every_border() {
    let key = key_of([7; KEY_LEN]);
    let token = |key: &IndexKey, fields: [&str; 3]| {
        key.token(fields[0], fields[1], 128, fields[2]).unwrap()
    };
    let one = token(&key, ["ab", "c", "d"]);
    assert_eq!(one, token(&key_of([7; KEY_LEN]), ["ab", "c", "d"]));
    assert_ne!(one, token(&key_of([8; KEY_LEN]), ["ab", "c", "d"]));
    for other in [["a", "bc", "d"], ["ab", "c", "e"], ["ab", "cd", ""], ["abc", "", "d"]] {
        assert_ne!(one, token(&key, other), "{other:?}");
    }
}

#[test]
fn bits_outside_of_the_range_are_refused() {
    let key = key_of([7; KEY_LEN]);
    for bits in [0, 7, 129, u16::MAX] {
        assert_eq!(key.token("a", "b", bits, "c"), Err(SealFailed));
    }
    assert!(!format!("{:?}", key.token("a", "b", 8, "c").unwrap()).contains(char::is_numeric));
}

#[test]
fn an_index_key_opens_for_its_own_tenant_epoch_and_version_only() {
    let tenant = tenant_key(1, 1);
    let (made, wrapped) = tenant.new_index_key(1).unwrap();
    let opened = tenant.open_index_key(1, &wrapped).unwrap();
    let token = |key: &IndexKey| key.token("a", "b", 64, "c").unwrap();
    assert_eq!((token(&opened), opened.version()), (token(&made), 1));
    assert!(tenant.open_index_key(2, &wrapped).is_err());
    assert!(tenant_key(1, 1).open_index_key(1, &wrapped).is_err());
    assert!(tenant.open_subject_key(Uuid::nil(), 1, &wrapped).is_err());
    let (_, subject_key) = tenant.new_subject_key(Uuid::nil(), 1).unwrap();
    assert!(tenant.open_index_key(1, &subject_key).is_err());
    let bytes = wrapped.to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let opened = Wrapped::from_bytes(&changed).and_then(|it| tenant.open_index_key(1, &it));
        assert!(opened.is_err(), "bit {bit}");
    }
}

#[test]
fn a_rewrapped_index_key_makes_the_same_tokens() {
    let (old, new) = (tenant_key(1, 1), tenant_key(1, 2));
    let (made, wrapped) = old.new_index_key(3).unwrap();
    let rewrapped = new.rewrap_index_key(&old, 3, &wrapped).unwrap();
    let opened = new.open_index_key(3, &rewrapped).unwrap();
    assert_eq!(opened.token("a", "b", 64, "c"), made.token("a", "b", 64, "c"));
    assert!(new.rewrap_index_key(&old, 4, &wrapped).is_err());
    assert!(tenant_key(2, 2).rewrap_index_key(&old, 3, &wrapped).is_err(), "another tenant's");
}

#[test]
fn advice_keeps_the_rule() {
    for distinct in (0..70_000).chain([1 << 32, (1 << 32) + 1, u64::MAX - 1, u64::MAX]) {
        let fits = |bits: &u16| {
            let buckets = 1_u128 << bits;
            buckets * buckets > u128::from(distinct) && 2 * buckets < u128::from(distinct)
        };
        let fitting: Vec<u16> = (BITS_MIN..64).filter(fits).collect();
        let expected = fitting.first().copied().zip(fitting.last().copied());
        assert_eq!(bits_advice(distinct), expected, "{distinct}");
    }
    // The example of its documentation: postal codes.
    assert_eq!(bits_advice(100_000), Some((9, 15)));
    assert_eq!(bits_advice(500), None);
}

/// RFC 5869, A.1 to A.3, the first 32 bytes.
#[test]
fn hkdf_gives_the_published_answers() {
    let range = |from: u8, to: u8| (from..=to).collect::<Vec<_>>();
    let cases = [
        (
            vec![0x0b; 22],
            range(0, 0x0c),
            range(0xf0, 0xf9),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
        ),
        (
            range(0, 0x4f),
            range(0x60, 0xaf),
            range(0xb0, 0xff),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
        ),
        (
            vec![0x0b; 22],
            Vec::new(),
            Vec::new(),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
        ),
    ];
    for (secret, salt, info, expected) in cases {
        let (mut whole, mut parted) = ([0; KEY_LEN], [0; KEY_LEN]);
        derive(&salt, &secret, &[&info], &mut whole).unwrap();
        assert_eq!(hex(&whole), expected);
        let (left, right) = info.split_at(info.len() / 3);
        derive(&salt, &secret, &[left, right], &mut parted).unwrap();
        assert_eq!(whole, parted);
    }
}

/// RFC 4231, 4.2 to 4.8.
#[test]
fn hmac_gives_the_published_answers() {
    let cases: [(Vec<u8>, Vec<u8>, &str); 7] = [
        (
            vec![0x0b; 20],
            b"Hi There".to_vec(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            vec![0xaa; 20],
            vec![0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            (0x01..=0x19).collect(),
            vec![0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (
            vec![0x0c; 20],
            b"Test With Truncation".to_vec(),
            // Of which the RFC has these 128 bits.
            "a3b6167473100ee06e0c796c2955552b",
        ),
        (
            vec![0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            vec![0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size \
              data. The key needs to be hashed before being used by the HMAC algorithm."
                .to_vec(),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (key, data, expected) in cases {
        let (left, right) = data.split_at(data.len() / 3);
        assert!(hex(&authenticate(&key, &[left, right])).starts_with(expected), "{expected}");
    }
}
