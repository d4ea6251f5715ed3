//! `strongroom accesses` and `strongroom erasure`: who saw what of a person, and that a person was
//! erased, as files that `strongroom verify` proves without a server.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use prometheus::Registry;
use serde::Serialize;
use strongroom_proto::records::v1 as wire;
use tonic::Request;
use wire::subject_service_client::SubjectServiceClient;

use super::format::{ACCESS, AccessLine, ERASURE, ErasureLine};
use super::{ATTEMPTS, ExportError, PAUSE, asked, hex, line, refused, write};
use crate::caller::{Caller, Elsewhere};
use crate::client::Api;
use crate::error::Error;
use crate::options::Options;
use crate::progress::Progress;

/// Entries that are asked for at once: as many as come with their proofs.
const PAGE: i32 = 100;
/// Bytes of an answer at most.
const MESSAGE_MAX: usize = 16 * 1024 * 1024;

/// Whose accesses are reported.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AccessesArguments {
    /// The person, as "subjects/{uuid}"
    subject: String,
    #[command(flatten)]
    to: To,
}

/// Whose erasure is proven.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ErasureArguments {
    /// The erasure, as "subjects/{uuid}/erasures/{uuid}"
    name: String,
    #[command(flatten)]
    to: To,
}

/// Where it comes from, and where it goes to.
#[derive(Debug, Clone, clap::Args)]
struct To {
    /// The file that is written, where it is not standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The address of the records service, where it is not that of the suite on this machine
    #[arg(long, env = "STRONGROOM_RECORDS", value_name = "ADDRESS")]
    records: Option<SocketAddr>,
    #[command(flatten)]
    caller: Caller,
}

impl To {
    /// Writes lines that are made with a client.
    async fn write<L: Serialize>(
        &self,
        options: &Options,
        registry: Registry,
        make: impl AsyncFnOnce(SubjectServiceClient<Api>, &Progress) -> Result<Vec<L>, ExportError>,
    ) -> Result<(), Error> {
        let progress = Progress::on_stderr();
        let work = async |clients: crate::client::Clients, at: crate::options::Addresses| {
            let client = SubjectServiceClient::new(clients.api(at.records)?);
            let client = client.max_decoding_message_size(MESSAGE_MAX);
            let lines = make(client, &progress).await?;
            progress.clear();
            let spell = |out: &mut dyn Write| lines.iter().try_for_each(|one| line(out, one));
            match &self.out {
                Some(path) => write(path, |out| spell(out))?,
                None => spell(&mut std::io::stdout().lock())
                    .map_err(Error::file("standard output".as_ref()))?,
            }
            Ok(())
        };
        let elsewhere = Elsewhere::records(self.records);
        let called = self.caller.call_at(elsewhere, options, options, registry, &progress, work);
        let done = called.await;
        progress.clear();
        done
    }
}

/// Writes who saw what of a person, the latest first.
pub(crate) async fn accesses(
    options: &Options,
    arguments: AccessesArguments,
    registry: Registry,
) -> Result<(), Error> {
    let AccessesArguments { subject, to } = arguments;
    to.write(options, registry, async |client, progress| report(client, &subject, progress).await)
        .await
}

/// Writes the proof of an erasure.
pub(crate) async fn erasure(
    options: &Options,
    arguments: ErasureArguments,
    registry: Registry,
) -> Result<(), Error> {
    let ErasureArguments { name, to } = arguments;
    to.write(options, registry, async |client, _| certificate(client, &name).await).await
}

/// The accesses until now, each with its proof. Asking is an access too, of which the next report
/// tells.
async fn report(
    mut client: SubjectServiceClient<Api>,
    subject: &str,
    progress: &Progress,
) -> Result<Vec<AccessLine>, ExportError> {
    let mut request = wire::ListAccessesRequest {
        parent: subject.to_owned(),
        page_size: 1,
        ..wire::ListAccessesRequest::default()
    };
    let mut list = async |request: &wire::ListAccessesRequest| {
        let answer = client.list_accesses(asked(request.clone())).await;
        Ok::<_, ExportError>(answer.map_err(refused("accesses"))?.into_inner())
    };
    // By the clock of the service: what comes after this is left out of every page.
    let Some(latest) = list(&request).await?.accesses.pop() else { return Ok(Vec::new()) };
    request.end_time = latest.time.map(later);
    (request.page_size, request.proofs) = (PAGE, true);
    let (mut lines, mut attempt) = (Vec::new(), 0);
    loop {
        let page = list(&request).await?;
        // An entry from before entries were leaves has nothing that could be proven.
        let in_log = || page.accesses.iter().filter(|entry| !entry.leaf.is_empty());
        if in_log().any(|entry| entry.proof.is_empty()) {
            unproven(&mut attempt, subject).await?;
            continue;
        }
        lines.extend(in_log().map(access_line));
        progress.say(&format!("listing: {} accesses", lines.len()));
        if page.next_page_token.is_empty() {
            return Ok(lines);
        }
        (request.page_token, attempt) = (page.next_page_token, 0);
    }
}

/// A microsecond later, which is as fine as times are.
fn later(time: prost_types::Timestamp) -> prost_types::Timestamp {
    const SECOND: i32 = 1_000_000_000;
    match time.nanos + 1_000 {
        nanos if nanos < SECOND => prost_types::Timestamp { nanos, ..time },
        nanos => prost_types::Timestamp { seconds: time.seconds + 1, nanos: nanos - SECOND },
    }
}

fn access_line(entry: &wire::AccessEntry) -> AccessLine {
    AccessLine {
        strongroom: ACCESS.to_owned(),
        leaf: entry.leaf.clone(),
        principal: entry.principal.clone(),
        salt: hex(&entry.principal_salt),
        proof: entry.proof.clone(),
    }
}

fn erasure_line(erasure: &wire::Erasure) -> ErasureLine {
    let (certificate, proof) = (erasure.certificate.clone(), erasure.proof.clone());
    ErasureLine { strongroom: ERASURE.to_owned(), certificate, proof }
}

/// The file of some accesses.
pub(crate) fn access_report(entries: &[wire::AccessEntry]) -> std::io::Result<Vec<u8>> {
    let mut file = Vec::new();
    entries.iter().try_for_each(|entry| line(&mut file, &access_line(entry)))?;
    Ok(file)
}

/// The file of an erasure.
pub(crate) fn erasure_file(erasure: &wire::Erasure) -> std::io::Result<Vec<u8>> {
    let mut file = Vec::new();
    line(&mut file, &erasure_line(erasure))?;
    Ok(file)
}

/// The certificate of an erasure, and its proof.
async fn certificate(
    mut client: SubjectServiceClient<Api>,
    name: &str,
) -> Result<Vec<ErasureLine>, ExportError> {
    let mut attempt = 0;
    loop {
        let request: Request<_> = asked(wire::GetErasureRequest { name: name.to_owned() });
        let erasure = client.get_erasure(request).await.map_err(refused("the erasure"))?;
        let erasure = erasure.into_inner();
        if erasure.state() != wire::erasure::State::Done {
            let state = erasure.state().as_str_name().trim_start_matches("STATE_").to_owned();
            let message = format!("it is not done: its state is {state}");
            return Err(ExportError::Refused { what: "a certificate", message });
        }
        if !erasure.certificate.is_empty() && !erasure.proof.is_empty() {
            return Ok(vec![erasure_line(&erasure)]);
        }
        unproven(&mut attempt, name).await?;
    }
}

/// What was written just now is signed a moment later.
async fn unproven(attempt: &mut u32, name: &str) -> Result<(), ExportError> {
    *attempt += 1;
    if *attempt > ATTEMPTS {
        let message = format!("no checkpoint covers {name} yet: does the service have a log key?");
        return Err(ExportError::Refused { what: "a proof", message });
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_microsecond_may_be_in_the_next_second() {
        let at = |seconds, nanos| prost_types::Timestamp { seconds, nanos };
        assert_eq!(later(at(5, 0)), at(5, 1_000));
        assert_eq!(later(at(5, 999_999_000)), at(6, 0));
    }
}
