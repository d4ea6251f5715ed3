//! Checkpoints as signed notes (C2SP tlog-checkpoint and signed-note), with Ed25519.
//!
//! ```text
//! strongroom/transactions/{tenant}/{timeline}
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — strongroom Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zy...
//! ```

use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use signed_note::{Note, Signature, StandardVerifier, VerifierList};
use uuid::Uuid;

use super::Hash;
use crate::ids::TenantId;
use crate::token::{self, KeyError};

/// The name of the key in notes and in verifier keys. The origin says which log it is.
pub const KEY_NAME: &str = "strongroom";
/// Ed25519 in C2SP signed-note.
const ALGORITHM: u8 = 1;

/// The key of the log cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}: {1}")]
pub struct LogKeyError(PathBuf, String);

/// Why a note is not believed.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The verifier key is none.
    #[error("the verifier key cannot be read: {0}")]
    Key(String),
    /// The note has no signature of this key, or a wrong one.
    #[error("the signature does not hold: {0}")]
    Signature(String),
    /// What is signed is no checkpoint.
    #[error("the note is no checkpoint")]
    Malformed,
}

/// The size and root of a log, and which log it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: see [`origin`].
    pub origin: String,
    /// How many leaves it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// A checkpoint whose signature holds.
pub type Opened = Checkpoint;

/// The name of a log: `strongroom/{service}/{tenant}/{timeline}`.
pub fn origin(service: &str, tenant: TenantId, timeline: Uuid) -> String {
    format!("strongroom/{service}/{}/{timeline}", tenant.uuid())
}

/// Opens a note with a verifier key (C2SP signed-note: `strongroom+{id}+{key}`).
pub fn open_note(note: &str, verifier_key: &str) -> Result<Opened, NoteError> {
    parse(open(note, verifier_key)?.text()).ok_or(NoteError::Malformed)
}

/// Opens a note that is any text, such as a certificate, with a verifier key.
pub fn open_text(note: &str, verifier_key: &str) -> Result<String, NoteError> {
    let text = open(note, verifier_key)?.text().to_vec();
    String::from_utf8(text).map_err(|_| NoteError::Malformed)
}

fn open(note: &str, verifier_key: &str) -> Result<Note, NoteError> {
    let key = StandardVerifier::new(verifier_key.trim())
        .map_err(|error| NoteError::Key(error.to_string()))?;
    let note = Note::from_bytes(note.as_bytes()).map_err(|_| NoteError::Malformed)?;
    note.verify(&VerifierList::new(vec![Box::new(key)]))
        .map_err(|error| NoteError::Signature(error.to_string()))?;
    Ok(note)
}

/// What a note says, whoever signed it.
pub(super) fn peek(note: &str) -> Option<Checkpoint> {
    parse(Note::from_bytes(note.as_bytes()).ok()?.text())
}

/// Reads what a note says, whether or not its signature holds.
pub fn read_note(note: &str) -> Option<Checkpoint> {
    parse(Note::from_bytes(note.as_bytes()).ok()?.text())
}

fn parse(text: &[u8]) -> Option<Checkpoint> {
    let read = tlog_tiles::Checkpoint::from_bytes(text).ok()?;
    Some(Checkpoint { origin: read.origin().to_owned(), size: read.size(), root: read.hash().0 })
}

/// Signs checkpoints.
pub struct LogKey(Ed25519KeyPair);

impl LogKey {
    /// The key in a file (PKCS #8, PEM, Ed25519).
    pub fn load(path: &Path) -> Result<Self, LogKeyError> {
        let bad = |what: String| LogKeyError(path.to_owned(), what);
        let pem = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        Self::from_pem(&pem).ok_or_else(|| bad("is no Ed25519 key (PKCS #8, PEM)".to_owned()))
    }

    /// The key in a text (PKCS #8, PEM, Ed25519).
    pub fn from_pem(pem: &str) -> Option<Self> {
        let body = pem
            .trim()
            .strip_prefix("-----BEGIN PRIVATE KEY-----")?
            .strip_suffix("-----END PRIVATE KEY-----")?;
        let body: String = body.split_whitespace().collect();
        let der = STANDARD.decode(body).ok()?;
        Ed25519KeyPair::from_pkcs8(&der).ok().map(Self)
    }

    /// The key with which notes are verified: C2SP signed-note, one line.
    pub fn verifier_key(&self) -> String {
        let key = self.public();
        let id = signed_note::key_id(KEY_NAME, &key);
        format!("{KEY_NAME}+{id:08x}+{}", STANDARD.encode(key))
    }

    /// A checkpoint as a signed note.
    pub fn sign(&self, checkpoint: &Checkpoint) -> Option<String> {
        let Checkpoint { origin, size, root } = checkpoint;
        let text = tlog_tiles::Checkpoint::new(origin, *size, tlog_tiles::Hash(*root), "").ok()?;
        self.sign_bytes(&text.to_bytes())
    }

    /// A text as a signed note. It ends with a line break, and its first line says what it is, in a
    /// way that cannot be taken for the origin of a log.
    pub fn sign_text(&self, text: &str) -> Option<String> {
        self.sign_bytes(text.as_bytes())
    }

    fn sign_bytes(&self, text: &[u8]) -> Option<String> {
        let id = signed_note::key_id(KEY_NAME, &self.public());
        let signature = self.0.sign(text).as_ref().to_vec();
        let signature = Signature::new(KEY_NAME.to_owned(), id, signature).ok()?;
        let note = Note::new(text, &[signature]).ok()?;
        String::from_utf8(note.to_bytes()).ok()
    }

    fn public(&self) -> Vec<u8> {
        [&[ALGORITHM], self.0.public_key().as_ref()].concat()
    }
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogKey({})", self.verifier_key())
    }
}

/// A new key (PKCS #8, PEM), and its verifier key.
pub fn generate() -> Result<(String, String), KeyError> {
    let (pem, _) = token::generate(KEY_NAME)?;
    let verifier_key = LogKey::from_pem(&pem).ok_or(KeyError)?.verifier_key();
    Ok((pem, verifier_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_believed_as_it_was_signed_and_not_otherwise() {
        let (pem, verifier_key) = generate().unwrap();
        let key = LogKey::from_pem(&pem).unwrap();
        let tenant = TenantId::generate();
        let signed = Checkpoint {
            origin: origin("transactions", tenant, Uuid::now_v7()),
            size: 7,
            root: [9; 32],
        };
        let note = key.sign(&signed).unwrap();
        assert_eq!(open_note(&note, &format!("{verifier_key}\n")).unwrap(), signed);
        assert_eq!(peek(&note), Some(signed));

        let (_, other) = generate().unwrap();
        assert!(matches!(open_note(&note, &other), Err(NoteError::Signature(_))));
        let forged = note.replacen("\n7\n", "\n8\n", 1);
        assert!(matches!(open_note(&forged, &verifier_key), Err(NoteError::Signature(_))));
        assert!(matches!(open_note(&note[1..], &verifier_key), Err(NoteError::Signature(_))));
        assert!(matches!(open_note("", &verifier_key), Err(NoteError::Malformed)));
        assert!(matches!(open_note(&note, "strongroom"), Err(NoteError::Key(_))));
    }

    #[test]
    fn a_text_is_signed_as_it_is_and_is_no_checkpoint() {
        let (pem, verifier_key) = generate().unwrap();
        let key = LogKey::from_pem(&pem).unwrap();
        let text = "strongroom/records/x/certificate/v1\nsubject y\n";
        let note = key.sign_text(text).unwrap();
        assert_eq!(key.sign_text(text).as_ref(), Some(&note));
        assert_eq!(open_text(&note, &verifier_key).unwrap(), text);
        assert!(matches!(open_note(&note, &verifier_key), Err(NoteError::Malformed)));
        assert!(open_text(&note.replacen('y', "z", 1), &verifier_key).is_err());
        assert_eq!(key.sign_text("no line break"), None);
    }
}
