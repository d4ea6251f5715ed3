//! Ed25519 keys: PKCS #8 in PEM for those who sign, a JWK for those who verify.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::principal::Grants;

/// A key could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no key could be made")]
pub struct KeyError;

/// A new private key, and its public half as a JWK (RFC 8037) with this key id.
pub fn generate(kid: &str) -> Result<(String, Value), KeyError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| KeyError)?;
    let der = pair.to_pkcs8v1().map_err(|_| KeyError)?;
    let body = STANDARD.encode(der.as_ref());
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in body.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid,
        "x": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
    });
    Ok((pem, jwk))
}

/// A JWKS of keys; each workload's key carries what the workload may do.
pub fn jwks(keys: impl IntoIterator<Item = (Value, Option<Grants>)>) -> Value {
    let keys: Vec<Value> = keys
        .into_iter()
        .map(|(mut key, permissions)| {
            if let Some(permissions) = permissions {
                key["permissions"] = json!(permissions);
            }
            key
        })
        .collect();
    json!({ "keys": keys })
}
