//! A statement as lines of JSON that can be proved offline.
//!
//! What is hashed is in them byte for byte: the value of "statement" in the first line, and the value
//! of "line" in each later one. Beside a line stand its texts with the salts that open their
//! commitments, as long as they are not redacted.

use serde::Serialize;
use shared::grpc::Call;
use shared::problem::Problem;

use super::Document;
use crate::domain::{Statement, StatementLine, Written, hex};
use crate::rpc::Rpc;

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

#[expect(clippy::unused_async, reason = "the way to the checkpoint is read from the database")]
pub(super) async fn head(_rpc: &Rpc, _call: &Call, document: &Document) -> Result<String, Problem> {
    let statement = document.statement.head.line(document.tenant);
    let hash = hex(&document.statement.hash);
    Ok(format!(
        "{{\"strongroom\":\"statement/1\",\"statement\":{statement},\"hash\":\"{hash}\"}}\n"
    ))
}

pub(super) fn lines(statement: &Statement, lines: &[StatementLine]) -> String {
    let currency = statement.head.currency;
    let line = |line: &StatementLine| {
        let texts = Texts {
            memo: opened(line.memo.as_ref()),
            description: opened(line.description.as_ref()),
        };
        // Plain data with string keys, which always serialises.
        let texts = serde_json::to_string(&texts).unwrap_or_default();
        format!("{{\"line\":{},\"texts\":{texts}}}\n", line.line(currency))
    };
    lines.iter().map(line).collect()
}

fn opened(written: Option<&Written>) -> Option<Opened<'_>> {
    let written = written?;
    let commitment = written.commitment.as_ref().filter(|one| !one.salt.is_empty())?;
    Some(Opened { text: &written.text, salt: hex(&commitment.salt) })
}
