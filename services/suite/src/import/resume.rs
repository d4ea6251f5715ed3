//! How far the import of a file has come, kept in a file beside it, so that it goes on where it was
//! stopped.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_proto::outcomes::v1::outcome::State;
use strongroom_proto::outcomes::v1::outcome_service_client::OutcomeServiceClient;
use strongroom_proto::outcomes::v1::{GetOutcomeRequest, Outcome};

use super::error::ImportError;
use crate::client::Api;
use crate::refusal::Refusal;

/// What the format is called.
const FORMAT: &str = "import/1";
/// Rows that may be refused before the import ends: then something else is wrong.
const REFUSED_MAX: usize = 1_000;

/// How far the import of a file has come.
#[derive(Debug)]
pub(super) struct Resume {
    path: PathBuf,
    content: Content,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    strongroom: String,
    /// The name of the old ledger, and the hash of the file.
    source: String,
    sha256: String,
    /// How many of its writes the ledger has decided, from the first on.
    done: u64,
    /// The last of them that was made, by which the ledger is known again.
    last: Option<Written>,
    refused: Vec<Refused>,
}

/// A write that was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) operation: String,
    pub(super) request_id: String,
}

/// A row that the ledger has refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) line: u64,
    pub(super) id: String,
    pub(super) message: String,
}

impl Resume {
    /// What is known of the import of a file.
    pub(super) fn open(file: &Path, source: &str, sha256: &str) -> Result<Self, ImportError> {
        let path = progress_path(file);
        let new = Content {
            strongroom: FORMAT.to_owned(),
            source: source.to_owned(),
            sha256: sha256.to_owned(),
            done: 0,
            last: None,
            refused: Vec::new(),
        };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path, content: new });
            }
            Err(error) => return Err(ImportError::file(&path)(error)),
        };
        let found: Content = serde_json::from_slice(&bytes).map_err(ImportError::file(&path))?;
        if (found.strongroom.as_str(), found.source.as_str()) != (FORMAT, source) {
            let message = format!(
                "is of an import from {:?}: finish that one, or remove this file",
                found.source
            );
            return Err(ImportError::Progress { path, message });
        }
        if found.sha256 != sha256 {
            return Err(ImportError::Changed { path: file.to_owned(), progress: path });
        }
        Ok(Self { path, content: found })
    }

    /// Whether this ledger has what was acknowledged. Another one is begun with anew.
    pub(super) async fn recognise(
        &mut self,
        outcomes: &mut OutcomeServiceClient<Api>,
    ) -> Result<bool, ImportError> {
        let Some(last) = self.content.last.clone() else { return Ok(true) };
        let Written { operation, request_id } = last;
        let request = GetOutcomeRequest { operation, request_id, fence: false };
        let outcome: Outcome = match outcomes.get_outcome(request).await {
            Ok(outcome) => outcome.into_inner(),
            Err(status) => {
                let (what, message) = ("to tell an outcome", Refusal::from(&status).line());
                return Err(ImportError::Refused { what: what.to_owned(), message });
            }
        };
        if outcome.state() == State::Succeeded {
            return Ok(true);
        }
        self.content.done = 0;
        self.content.last = None;
        self.content.refused.clear();
        Ok(false)
    }

    /// How many writes are decided.
    pub(super) fn done(&self) -> u64 {
        self.content.done
    }

    /// The rows that the ledger has refused.
    pub(super) fn refused(&self) -> &[Refused] {
        &self.content.refused
    }

    /// Keeps that the next writes are decided.
    pub(super) fn acknowledge(
        &mut self,
        count: u64,
        last: Option<Written>,
        refused: Vec<Refused>,
    ) -> Result<(), ImportError> {
        self.content.done += count;
        self.content.last = last.or(self.content.last.take());
        self.content.refused.extend(refused);
        self.save().map_err(ImportError::file(&self.path))?;
        match self.content.refused.len() {
            REFUSED_MAX.. => {
                let message = format!("{REFUSED_MAX} rows were refused: that is no exception");
                Err(ImportError::Progress { path: self.path.clone(), message })
            }
            _ => Ok(()),
        }
    }

    /// All of it or nothing, whatever happens meanwhile.
    fn save(&self) -> std::io::Result<()> {
        let mut draft = self.path.clone().into_os_string();
        draft.push(".new");
        let mut file = File::create(&draft)?;
        serde_json::to_writer_pretty(&mut file, &self.content)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)
    }
}

fn progress_path(file: &Path) -> PathBuf {
    let mut path = file.to_owned().into_os_string();
    path.push(".progress");
    path.into()
}
