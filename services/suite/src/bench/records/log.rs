//! How fast an export of the access log is verified offline.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use shared::transparency::{Checkpoint, LogKey, Root, generate, leaf_hash};

use super::unique;
use crate::bench::error::BenchError;
use crate::export::{EXPORT, Header, LeafLine, hex};
use crate::verify::{Trust, verify};

/// What was verified.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Verified {
    pub(super) leaves: usize,
    pub(super) seconds: f64,
}

/// Writes an export of as many accesses, and verifies it. Blocks.
pub(super) fn measure(folder: &Path, leaves: usize) -> Result<Verified, BenchError> {
    let failed = |what: &str| BenchError::Service(what.to_owned());
    let system = |error| BenchError::System("the export", error);
    let (pem, _) = generate().map_err(|error| failed(&error.to_string()))?;
    let key = LogKey::from_pem(&pem).ok_or_else(|| failed("no key can be made"))?;
    let (path, origin) = (folder.join("export.ndjson"), "strongroom/records/bench/bench");
    let (mut root, mut lines) = (Root::default(), Vec::new());
    for index in 0..leaves as u64 {
        let data = access(index);
        let hash = leaf_hash(&data);
        root.push(hash);
        let line = LeafLine { index, data, hash: hex(&hash) };
        serde_json::to_writer(&mut lines, &line).map_err(|error| failed(&error.to_string()))?;
        lines.push(b'\n');
    }
    let (origin, size) = (origin.to_owned(), root.size());
    let signed = Checkpoint { origin: origin.clone(), size, root: root.finish() };
    let checkpoint = key.sign(&signed).ok_or_else(|| failed("nothing can be signed"))?;
    let header = Header { strongroom: EXPORT.to_owned(), origin, size, checkpoint };
    let mut out = BufWriter::new(File::create(&path).map_err(system)?);
    serde_json::to_writer(&mut out, &header).map_err(|error| failed(&error.to_string()))?;
    out.write_all(b"\n").and_then(|()| out.write_all(&lines)).map_err(system)?;
    out.flush().map_err(system)?;
    drop((out, lines));

    let began = Instant::now();
    let file = BufReader::new(File::open(&path).map_err(system)?);
    let report = verify(file, &Trust::new(&key.verifier_key(), None)).map_err(system)?;
    let seconds = began.elapsed().as_secs_f64();
    match report.holds() {
        true => Ok(Verified { leaves, seconds }),
        false => Err(failed("the export does not hold")),
    }
}

/// A leaf as the access log has them.
fn access(index: u64) -> String {
    let (access, subject, record) = (unique(), unique(), unique());
    let principal = hex(&leaf_hash(&access));
    format!(
        "{{\"v\":1,\"kind\":\"access.permitted\",\
         \"tenant\":\"tenants/00000000-0000-7000-8000-000000000001\",\
         \"access\":\"accessEntries/{access}\",\"time\":\"2026-11-22T12:00:00.{:06}Z\",\
         \"principal\":\"{principal}\",\"action\":\"records.records.get\",\
         \"subject\":\"subjects/{subject}\",\"record\":\"records/{record}\",\"version\":1,\
         \"view\":\"FULL\",\"purpose\":\"TREAT\",\"trace\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}}",
        index % 1_000_000,
    )
}
