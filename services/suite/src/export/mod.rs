//! `strongroom export` and `strongroom prove`: the log of a tenant, or one leaf of it, as files
//! that `strongroom verify` proves without a server.

mod format;
mod records;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prometheus::Registry;
use serde::Serialize;
use strongroom_proto::transparency::v1 as wire;
use tonic::{Code, Request, Status};
use wire::transparency_service_client::TransparencyServiceClient;

pub(crate) use format::{
    ACCESS, AccessLine, ERASURE, EXPORT, ErasureLine, Header, LeafLine, LeafSlices, PROOF, Proof,
    spells, unescape, unhex,
};
pub(crate) use records::{
    AccessesArguments, ErasureArguments, access_report, accesses, erasure, erasure_file,
};
pub(crate) use shared::hex::hex;

use crate::caller::{Caller, Elsewhere};
use crate::client::{Api, Clients};
use crate::error::Error;
use crate::options::{Addresses, Options};
use crate::progress::Progress;
use crate::refusal::Refusal;

/// Leaves that are asked for at once.
const PAGE: i32 = 1_000;
/// The deadline of a call.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often a checkpoint is asked for, and the time between.
const ATTEMPTS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The service does not answer as it should.
    #[error("the service refused {what}: {message}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Code, reason and message.
        message: String,
    },
    /// The log ends before its checkpoint does.
    #[error("the log has only {found} of the {size} leaves of its checkpoint")]
    Short {
        /// How many leaves came.
        found: u64,
        /// How many were signed.
        size: u64,
    },
    /// A file cannot be written.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
}

/// Which service's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Service {
    Accounts,
    Records,
    Transactions,
}

impl Service {
    fn address(self, at: Addresses) -> SocketAddr {
        match self {
            Self::Accounts => at.accounts,
            Self::Records => at.records,
            Self::Transactions => at.transactions,
        }
    }
}

/// What is exported.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ExportArguments {
    /// The file that is written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The service whose log it is
    #[arg(long, value_enum, default_value_t = Service::Transactions)]
    service: Service,
    /// The address of the records service, where it is not that of the suite on this machine
    #[arg(long, env = "STRONGROOM_RECORDS", value_name = "ADDRESS")]
    records: Option<SocketAddr>,
    #[command(flatten)]
    caller: Caller,
}

/// What is proven.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProveArguments {
    /// What was made, such as "transactions/{uuid}"
    name: String,
    /// The file that is written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The service whose log it is in
    #[arg(long, value_enum, default_value_t = Service::Transactions)]
    service: Service,
    /// The address of the records service, where it is not that of the suite on this machine
    #[arg(long, env = "STRONGROOM_RECORDS", value_name = "ADDRESS")]
    records: Option<SocketAddr>,
    #[command(flatten)]
    caller: Caller,
}

/// Writes the whole log up to its latest checkpoint.
pub(crate) async fn run(
    options: &Options,
    arguments: ExportArguments,
    registry: Registry,
) -> Result<(), Error> {
    let progress = Progress::on_stderr();
    let work = async |clients: Clients, at| {
        let log = TransparencyServiceClient::new(clients.api(arguments.service.address(at))?);
        let tell = |done: u64, size: u64| {
            let percent = done * 100 / size.max(1);
            progress.say(&format!("exporting: {done} of {size} leaves, {percent} %"));
        };
        Ok(export(log, &arguments.out, tell).await?)
    };
    let (caller, elsewhere) = (&arguments.caller, Elsewhere::records(arguments.records));
    let done = caller.call_at(elsewhere, options, options, registry, &progress, work).await;
    progress.clear();
    done
}

/// Writes the proof of one leaf.
pub(crate) async fn prove(
    options: &Options,
    arguments: ProveArguments,
    registry: Registry,
) -> Result<(), Error> {
    let progress = Progress::on_stderr();
    let work = async |clients: Clients, at| {
        let log = TransparencyServiceClient::new(clients.api(arguments.service.address(at))?);
        let proof = proof(log, &arguments.name).await?;
        Ok(write(&arguments.out, |out| line(out, &proof))?)
    };
    let (caller, elsewhere) = (&arguments.caller, Elsewhere::records(arguments.records));
    let done = caller.call_at(elsewhere, options, options, registry, &progress, work).await;
    progress.clear();
    done
}

async fn export(
    mut log: TransparencyServiceClient<Api>,
    path: &Path,
    tell: impl Fn(u64, u64),
) -> Result<(), ExportError> {
    let mut attempt = 0;
    let checkpoint = loop {
        let request = asked(wire::GetCheckpointRequest::default());
        match log.get_checkpoint(request).await {
            Ok(checkpoint) => break checkpoint.into_inner(),
            Err(status) => wait(&mut attempt, status).await.map_err(refused("a checkpoint"))?,
        }
    };
    let size = checkpoint.size.cast_unsigned();
    let draft = draft(path);
    let file = File::create(&draft).map_err(failed(&draft))?;
    let mut out = BufWriter::new(file);
    let header = Header {
        strongroom: EXPORT.to_owned(),
        origin: checkpoint.note.lines().next().unwrap_or_default().to_owned(),
        size,
        checkpoint: checkpoint.note,
    };
    line(&mut out, &header).map_err(failed(&draft))?;
    let mut done = 0_u64;
    while done < size {
        let page_size = i32::try_from(size - done).map_or(PAGE, |left| left.min(PAGE));
        let start_index = done.cast_signed();
        let request = asked(wire::ListLeavesRequest { start_index, page_size });
        let page = log.list_leaves(request).await.map_err(refused("leaves"))?.into_inner();
        for leaf in &page.leaves {
            if leaf.index.cast_unsigned() != done {
                return Err(ExportError::Short { found: done, size });
            }
            line(&mut out, &leaf_line(leaf)).map_err(failed(&draft))?;
            done += 1;
        }
        if page.leaves.is_empty() {
            return Err(ExportError::Short { found: done, size });
        }
        tell(done, size);
    }
    finish(out, &draft, path)
}

/// The proof of the leaf of what was made.
pub(crate) async fn proof(
    mut log: TransparencyServiceClient<Api>,
    name: &str,
) -> Result<Proof, ExportError> {
    let mut attempt = 0;
    let proof = loop {
        let leaf = wire::get_inclusion_proof_request::Leaf::Resource(name.to_owned());
        let request = asked(wire::GetInclusionProofRequest { leaf: Some(leaf), tree_size: None });
        match log.get_inclusion_proof(request).await {
            Ok(proof) => break proof.into_inner(),
            Err(status) => wait(&mut attempt, status).await.map_err(refused("a proof"))?,
        }
    };
    let checkpoint = proof.checkpoint.map(|checkpoint| checkpoint.note).unwrap_or_default();
    Ok(Proof {
        strongroom: PROOF.to_owned(),
        leaf: leaf_line(&proof.leaf.unwrap_or_default()),
        tree_size: proof.tree_size.cast_unsigned(),
        hashes: proof.hashes.iter().map(|hash| STANDARD.encode(hash)).collect(),
        checkpoint,
    })
}

/// What was written just now is in the log, and signed, a moment later.
async fn wait(attempt: &mut u32, status: Status) -> Result<(), Status> {
    *attempt += 1;
    if status.code() != Code::NotFound || *attempt > ATTEMPTS {
        return Err(status);
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

fn leaf_line(leaf: &wire::Leaf) -> LeafLine {
    LeafLine { index: leaf.index.cast_unsigned(), data: leaf.data.clone(), hash: hex(&leaf.hash) }
}

fn asked<T>(request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.set_timeout(DEADLINE);
    request
}

fn refused(what: &'static str) -> impl FnOnce(Status) -> ExportError {
    move |status| ExportError::Refused { what, message: Refusal::from(&status).line() }
}

fn failed<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> ExportError + '_ {
    move |error| ExportError::File { path: path.to_owned(), message: error.to_string() }
}

fn line<W: Write + ?Sized>(out: &mut W, line: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Writes a file that is there as a whole or not at all.
fn write(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), ExportError> {
    let draft = draft(path);
    let mut out = BufWriter::new(File::create(&draft).map_err(failed(&draft))?);
    content(&mut out).map_err(failed(&draft))?;
    finish(out, &draft, path)
}

fn finish(out: BufWriter<File>, draft: &Path, path: &Path) -> Result<(), ExportError> {
    let file = out.into_inner().map_err(failed(draft))?;
    file.sync_all().and_then(|()| std::fs::rename(draft, path)).map_err(failed(path))
}

fn draft(path: &Path) -> PathBuf {
    let mut draft = path.to_owned().into_os_string();
    draft.push(".part");
    draft.into()
}
