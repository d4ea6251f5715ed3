//! A statement as lines of JSON that can be proved offline.
//!
//! What is hashed is in them byte for byte: the value of "statement" in the first line, and that of
//! "line" in each later one. Beside a line stand its texts with the salts that open their
//! commitments, as long as they are not redacted, and its own hash, so that a change is found where
//! it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::PgConnection;
use serde::Serialize;
use shared::grpc::Call;
use shared::hex::hex;
use shared::problem::Problem;
use shared::transparency::{Inclusion, inclusion};

use super::Document;
use crate::SERVICE;
use crate::domain::{Statement, StatementLine, Written, line_hash};
use crate::rpc::Rpc;

/// The name and version of the format.
const FORMAT: &str = "statement/1";

#[derive(Serialize)]
struct Texts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<Opened<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Opened<'a>>,
}

#[derive(Serialize)]
struct Opened<'a> {
    text: &'a str,
    salt: String,
}

/// The first line: the head, and, once a signed checkpoint covers it, the leaf of the log and the
/// way to that checkpoint.
pub(super) async fn head(rpc: &Rpc, call: &Call, document: &Document) -> Result<String, Problem> {
    let (tenant, name) = (document.tenant, document.statement.head.name.name());
    let prove = move |conn: &mut PgConnection| inclusion(conn, tenant, SERVICE, &name);
    let proved = rpc.db.read("prove_statement", call.scope(), prove).await?;
    let log = proved.as_ref().map(log).unwrap_or_default();
    let statement = document.statement.head.line(document.tenant);
    let hash = hex(&document.statement.hash);
    let first = format!("\"strongroom\":\"{FORMAT}\",\"statement\":{statement}");
    Ok(format!("{{{first},\"hash\":\"{hash}\"{log}}}\n"))
}

/// The fields of the log, each with a comma in front.
fn log(proved: &Inclusion) -> String {
    let hashes: Vec<String> = proved.hashes.iter().map(|hash| STANDARD.encode(hash)).collect();
    let (index, tree_size) = (proved.index, proved.tree_size);
    let (data, hashes, checkpoint) = (json(&proved.data), json(&hashes), json(&proved.note));
    format!(
        ",\"leaf\":{{\"index\":{index},\"data\":{data}}},\"tree_size\":{tree_size},\
         \"hashes\":{hashes},\"checkpoint\":{checkpoint}"
    )
}

/// Plain data with string keys, which always serialises.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn lines(statement: &Statement, lines: &[StatementLine]) -> String {
    let currency = statement.head.currency;
    let line = |line: &StatementLine| {
        let texts = Texts {
            memo: opened(line.memo.as_ref()),
            description: opened(line.description.as_ref()),
        };
        let (line, texts) = (line.line(currency), json(&texts));
        let hash = line_hash(&line);
        format!("{{\"line\":{line},\"texts\":{texts},\"hash\":\"{hash}\"}}\n")
    };
    lines.iter().map(line).collect()
}

fn opened(written: Option<&Written>) -> Option<Opened<'_>> {
    let written = written?;
    let commitment = written.commitment.as_ref().filter(|one| !one.salt.is_empty())?;
    Some(Opened { text: &written.text, salt: hex(&commitment.salt) })
}
