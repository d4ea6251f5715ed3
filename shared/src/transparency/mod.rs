//! The tenant's log: a Merkle tree (RFC 6962) whose leaves are the events, in their order.
//!
//! `proof`, `note` and `tlog_proof` need no database and no server: they are what a verifier stands
//! on. `tree` keeps the tree in tiles (C2SP tlog-tiles), `store` its sizes and what was signed, and
//! `publish` writes what was signed outside the database as well.

mod entries;
mod inclusion;
mod note;
mod proof;
mod publish;
mod restored;
pub(crate) mod store;
mod tlog_proof;
pub(crate) mod tree;

pub use entries::{Entered, Proofs, entered, prove};
pub use inclusion::{Inclusion, inclusion};
pub use note::{
    Checkpoint, KEY_NAME, LogKey, LogKeyError, NoteError, Opened, generate, open_note, open_text,
    origin, read_note,
};
pub use proof::{Hash, Root, check_consistency, check_inclusion, leaf_hash};
pub(crate) use publish::Folder;
pub use publish::{PublishError, read_notes};
pub use restored::RestoredError;
pub(crate) use restored::check as check_restored;
pub use tlog_proof::{TlogProof, TlogProofError};
