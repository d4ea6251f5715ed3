//! A whole sealed record, opened by another implementation from what is stored and the key file.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::{Sha256, Sha512};
use uuid::Uuid;

use super::super::provider::{FileProvider, KeyProvider as _};
use super::super::{Key, commitment};
use super::*;

const TENANT: Uuid = Uuid::from_u128(0x11);
const SUBJECT: Uuid = Uuid::from_u128(0x22);
const RECORD: Uuid = Uuid::from_u128(0x33);
const DATA_KEY: Uuid = Uuid::from_u128(0x44);
const EPOCH: i64 = 3;
const GENERATION: i64 = 2;
const VERSION: i64 = 5;

/// All that is stored of a record, and the name of the key-encryption key.
struct Stored {
    kek: (String, [u8; 32]),
    tenant_key: Vec<u8>,
    subject_key: Vec<u8>,
    data_key: Vec<u8>,
    salt: Vec<u8>,
    commitment: [u8; 32],
    body: Vec<u8>,
    segment: Vec<u8>,
}

async fn store(content: &[u8]) -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kek.json");
    FileProvider::create(&path).unwrap();
    let provider = FileProvider::open(&path).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let (id, kek) = (file["active"].as_str().unwrap(), file["keys"][0]["key"].as_str().unwrap());

    let (epoch, generation) = (i32::try_from(EPOCH).unwrap(), i32::try_from(GENERATION).unwrap());
    let key = Key::random().unwrap();
    let tenant_key = provider.wrap(&key, &TenantKey::context(TENANT, epoch)).await.unwrap();
    let tenant = TenantKey::new(TENANT, epoch, key);
    let (subject, subject_key) = tenant.new_subject_key(SUBJECT, generation).unwrap();
    let (data, data_key) = subject.new_data_key(RECORD, VERSION, DATA_KEY).unwrap();
    let (salt, wrapped_salt) = subject.new_salt(RECORD, VERSION).unwrap();
    Stored {
        kek: (id.to_owned(), STANDARD.decode(kek).unwrap().try_into().unwrap()),
        tenant_key: tenant_key.to_bytes(),
        subject_key: subject_key.to_bytes(),
        data_key: data_key.to_bytes(),
        salt: wrapped_salt.to_bytes(),
        commitment: commitment::commit(&salt, content),
        body: data.seal("text/plain", content).unwrap(),
        segment: data.seal_segment("text/plain", 7, true, content).unwrap(),
    }
}

fn number(value: i64) -> Vec<u8> {
    value.to_be_bytes().to_vec()
}

fn id(value: Uuid) -> Vec<u8> {
    value.as_bytes().to_vec()
}

/// Associated data: length and bytes of every field.
fn associated_data(domain: &str, fields: &[Vec<u8>]) -> Vec<u8> {
    let domain = format!("strongroom.records/{domain}").into_bytes();
    let mut encoded = Vec::new();
    for field in [&[domain, vec![1]], fields].concat() {
        encoded.extend_from_slice(&(field.len() as u64).to_be_bytes());
        encoded.extend_from_slice(&field);
    }
    encoded
}

fn unwrap(key: &[u8], key_id: &str, stored: &[u8], domain: &str, fields: &[Vec<u8>]) -> Vec<u8> {
    let head = [&[1, u8::try_from(key_id.len()).unwrap()], key_id.as_bytes()].concat();
    let wrapped = stored.strip_prefix(&head[..]).unwrap();
    let (nonce, sealed) = wrapped.split_first_chunk::<12>().unwrap();
    let fields = [fields, &[vec![1], key_id.as_bytes().to_vec()]].concat();
    let payload = Payload { msg: sealed, aad: &associated_data(domain, &fields) };
    Aes256Gcm::new_from_slice(key).unwrap().decrypt(nonce.into(), payload).unwrap()
}

/// C2SP chunked encryption, as Cobblestone-256.
fn open(key: &[u8], part: &[u8], stored: &[u8]) -> Vec<u8> {
    let fields = [id(TENANT), id(SUBJECT), id(RECORD), number(VERSION), part.to_vec()];
    let fields = [&fields[..], &[b"text/plain".to_vec(), id(DATA_KEY)]].concat();
    let label = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
    let info = [label, &stored[..24], &associated_data("body", &fields)].concat();
    let mut derived = [0; 76];
    // HMAC pads its key with zeros; this library wants a part of them.
    let padded = [key, &[0; 32]].concat();
    Hkdf::<Sha512>::from_prk(&padded).unwrap().expand(&info, &mut derived).unwrap();
    assert_eq!(stored[24..56], derived[44..], "key commitment");
    let cipher = Aes256Gcm::new_from_slice(&derived[..32]).unwrap();
    let mut content = Vec::new();
    for (chunk, number) in stored[56..].chunks(16 * 1024 + 16).zip(0_u32..) {
        let mut nonce: [u8; 12] = derived[32..44].try_into().unwrap();
        for (byte, counter) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= counter;
        }
        content.extend(cipher.decrypt(&nonce.into(), chunk).unwrap());
    }
    content
}

#[tokio::test]
async fn another_implementation_opens_a_stored_record() {
    let content: Vec<u8> = (0..40_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    let stored = store(&content).await;

    let (kek_id, kek) = &stored.kek;
    let fields = [id(TENANT), number(EPOCH)];
    let tenant_key = unwrap(kek, kek_id, &stored.tenant_key, "tenant-key", &fields);
    let fields = [id(TENANT), id(SUBJECT), number(GENERATION)];
    let subject_key = unwrap(&tenant_key, "epoch-3", &stored.subject_key, "subject-key", &fields);
    let fields = [id(TENANT), id(SUBJECT), id(RECORD), number(VERSION), id(DATA_KEY)];
    let data_key = unwrap(&subject_key, "generation-2", &stored.data_key, "data-key", &fields);
    let salt = unwrap(&subject_key, "generation-2", &stored.salt, "commitment-salt", &fields[..4]);

    assert!(open(&data_key, b"plaintext", &stored.body) == content);
    assert!(open(&data_key, b"segment/\0\0\0\x07\x01", &stored.segment) == content);
    // HKDF-Extract is HMAC.
    assert_eq!(Hkdf::<Sha256>::extract(Some(&salt), &content).0[..], stored.commitment);
}
