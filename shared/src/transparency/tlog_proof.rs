//! The proof of one leaf as a text (C2SP tlog-proof), which whoever has the verifier key can check
//! without a server.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! index 73894
//! gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
//! B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
//!
//! strongroom/records/{tenant}/{timeline}
//! 109482
//! sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
//!
//! — strongroom Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zy...
//! ```

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::inclusion::Inclusion;
use super::note::{Checkpoint, NoteError, open_note};
use super::proof::{Hash, PROOF_MAX, check_inclusion};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why a proof proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum TlogProofError {
    /// The text is no such proof, or spelled in another way than proofs are.
    #[error("the text is no tlog-proof")]
    Malformed,
    /// The checkpoint in it is not believed.
    #[error(transparent)]
    Checkpoint(#[from] NoteError),
    /// The path does not lead from the leaf to the root of the checkpoint.
    #[error("the path leads elsewhere")]
    Path,
}

/// Proves that a leaf is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Data that go with the proof and are not proved by it: here the leaf, where nothing else
    /// tells it.
    pub extra: Option<Vec<u8>>,
    /// The position of the leaf, from 0.
    pub index: u64,
    /// The audit path (RFC 6962 2.1.1), from the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The signed note of the checkpoint.
    pub checkpoint: String,
}

impl TlogProof {
    /// Reads a proof. Each has one spelling, so that no byte of it can change unseen.
    pub fn parse(text: &str) -> Result<Self, TlogProofError> {
        let proof = Self::read(text).filter(|proof| proof.to_string() == text);
        proof.ok_or(TlogProofError::Malformed)
    }

    fn read(text: &str) -> Option<Self> {
        let (head, checkpoint) = text.split_once("\n\n")?;
        let mut lines = head.split('\n').peekable();
        if lines.next()? != HEADER {
            return None;
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.map(|line| STANDARD.decode(&line["extra ".len()..]).ok());
        let index = lines.next()?.strip_prefix("index ")?.parse().ok()?;
        let hash = |line: &str| STANDARD.decode(line).ok()?.try_into().ok();
        let hashes: Vec<Hash> = lines.take(PROOF_MAX + 1).map(hash).collect::<Option<_>>()?;
        let extra = match extra {
            Some(decoded) => Some(decoded?),
            None => None,
        };
        let fits = hashes.len() <= PROOF_MAX;
        fits.then(|| Self { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// Whether it leads from a leaf with this hash to the root of a checkpoint. That has to be the
    /// one in the proof, and its signature has to be seen by the caller.
    pub fn leads(&self, leaf: Hash, checkpoint: &Checkpoint) -> bool {
        check_inclusion(leaf, self.index, checkpoint.size, checkpoint.root, &self.hashes)
    }

    /// Verifies all of it for a leaf with this hash, and gives the checkpoint that it leads to.
    pub fn verify(&self, leaf: Hash, verifier_key: &str) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = open_note(&self.checkpoint, verifier_key)?;
        if self.leads(leaf, &checkpoint) { Ok(checkpoint) } else { Err(TlogProofError::Path) }
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// With the leaf as the extra data.
impl From<Inclusion> for TlogProof {
    fn from(inclusion: Inclusion) -> Self {
        let Inclusion { index, data, hashes, note, .. } = inclusion;
        Self { extra: Some(data.into_bytes()), index, hashes, checkpoint: note }
    }
}

#[cfg(test)]
mod tests {
    use super::super::note::{LogKey, generate};
    use super::super::proof::{Root, leaf_hash};
    use super::*;

    /// A log of two leaves, and the proof of the second.
    fn proof(extra: Option<&str>) -> (TlogProof, String) {
        let (pem, verifier_key) = generate().unwrap();
        let mut root = Root::default();
        root.push(leaf_hash("a"));
        root.push(leaf_hash("b"));
        let checkpoint =
            Checkpoint { origin: "strongroom/x".to_owned(), size: 2, root: root.finish() };
        let checkpoint = LogKey::from_pem(&pem).unwrap().sign(&checkpoint).unwrap();
        let extra = extra.map(|extra| extra.as_bytes().to_vec());
        (TlogProof { extra, index: 1, hashes: vec![leaf_hash("a")], checkpoint }, verifier_key)
    }

    #[test]
    fn a_proof_is_spelled_as_c2sp_has_it() {
        let proof = |extra, index, hashes: &[Hash]| TlogProof {
            extra,
            index,
            hashes: hashes.to_vec(),
            checkpoint: "test checkpoint\n".to_owned(),
        };
        let zeros = format!("{}=", "A".repeat(43));
        for (proof, text) in [
            (proof(None, 0, &[]), "index 0\n\ntest checkpoint\n".to_owned()),
            (proof(None, 5, &[[0; 32]]), format!("index 5\n{zeros}\n\ntest checkpoint\n")),
            (
                proof(Some(b"ab".to_vec()), 10, &[[0; 32]; 2]),
                format!("extra YWI=\nindex 10\n{zeros}\n{zeros}\n\ntest checkpoint\n"),
            ),
        ] {
            let text = format!("c2sp.org/tlog-proof@v1\n{text}");
            assert_eq!(proof.to_string(), text);
            assert_eq!(TlogProof::parse(&text).unwrap(), proof);
        }
        for text in [
            "",
            "c2sp.org/tlog-proof@v1\n",
            "c2sp.org/tlog-proof@v2\nindex 0\n\nx\n",
            "c2sp.org/tlog-proof@v1\nindex 00\n\nx\n",
            "c2sp.org/tlog-proof@v1\nindex +1\n\nx\n",
            "c2sp.org/tlog-proof@v1\nindex 0\nextra YWI=\n\nx\n",
            "c2sp.org/tlog-proof@v1\nextra YWJ=\nindex 0\n\nx\n",
            "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nx\n",
            "c2sp.org/tlog-proof@v1\r\nindex 0\n\nx\n",
        ] {
            assert!(matches!(TlogProof::parse(text), Err(TlogProofError::Malformed)), "{text:?}");
        }
        let long = format!("{HEADER}\nindex 0\n{}\n\nx\n", vec![zeros; 65].join("\n"));
        assert!(TlogProof::parse(&long).is_err());
    }

    #[test]
    fn a_proof_holds_for_its_leaf_and_key_and_with_every_byte_as_it_was() {
        let (proof, key) = proof(None);
        assert_eq!(proof.verify(leaf_hash("b"), &key).unwrap().size, 2);
        assert!(matches!(proof.verify(leaf_hash("a"), &key), Err(TlogProofError::Path)));
        let (_, other) = generate().unwrap();
        let foreign = proof.verify(leaf_hash("b"), &other);
        assert!(matches!(foreign, Err(TlogProofError::Checkpoint(_))));
        let text = proof.to_string();
        for place in 0..text.len() {
            for bit in [0x01, 0x02, 0x20] {
                let mut changed = text.clone().into_bytes();
                changed[place] ^= bit;
                let Ok(changed) = String::from_utf8(changed) else { continue };
                let held =
                    TlogProof::parse(&changed).and_then(|proof| proof.verify(leaf_hash("b"), &key));
                assert!(held.is_err(), "byte {place}, bit {bit}: {changed}");
            }
        }
    }

    #[test]
    fn the_leaf_goes_with_the_proof_and_is_not_believed_for_that() {
        let (mut proof, key) = proof(Some("b"));
        assert_eq!(TlogProof::parse(&proof.to_string()).unwrap(), proof);
        let leaf = |proof: &TlogProof| {
            let extra = proof.extra.clone().unwrap();
            leaf_hash(std::str::from_utf8(&extra).unwrap())
        };
        assert!(proof.verify(leaf(&proof), &key).is_ok());
        proof.extra = Some(b"c".to_vec());
        assert!(proof.verify(leaf(&proof), &key).is_err());
    }
}
