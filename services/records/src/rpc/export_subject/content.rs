//! The versions of records in an export, each with its content.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::problem::Problem;

use super::lines;
use super::send::{End, Sending};
use crate::domain::access::Action;
use crate::domain::record::{Record, RecordState, View};
use crate::error::Error;
use crate::rpc::reading::{self, Ask, Granted};
use crate::vault::segments::Body;

/// Versions that are decided and logged at once.
const VERSIONS: i64 = 20;
/// Bytes that are encoded at once: a multiple of three, so that nothing is padded but the end.
const ENCODED: usize = 48 * 1024;

impl Sending {
    /// Sends a record, and its versions where they still have content.
    pub(super) async fn record(&mut self, record: &Record) -> Result<(), End> {
        self.write(&lines::line(&lines::record(record))).await?;
        if record.state == RecordState::Purged {
            return Ok(());
        }
        let mut first = 1;
        while first <= record.version {
            let last = record.version.min(first + VERSIONS - 1);
            let ask = Ask {
                targets: (first..=last).map(|version| (record.id, version)).collect(),
                view: View::Full,
                purpose: self.purpose.clone(),
                action: Action::EXPORT_SUBJECT,
            };
            let call = self.call();
            for granted in reading::read(&self.rpc, &call, ask).await? {
                self.version(&granted).await?;
            }
            first = last + 1;
        }
        Ok(())
    }

    async fn version(&mut self, granted: &Granted) -> Result<(), End> {
        let is_large = granted.sealed.as_ref().is_some_and(|sealed| sealed.segments.is_some());
        if is_large {
            let sent = self.large(granted).await;
            if let Err(End::Failed(problem)) = &sent {
                reading::withhold(&self.rpc, granted, problem.reason).await;
            }
            return sent;
        }
        let content = reading::open(&self.rpc, granted).await?;
        let is_json = granted.record.content_type.is_json();
        self.write(&lines::version(&granted.record, is_json)).await?;
        if is_json {
            self.write(&lines::minified(&content)).await?;
        } else {
            self.base64(&content).await?;
        }
        self.write(lines::end(is_json)).await
    }

    /// Content that lies outside, piece by piece. Its end is opened first.
    async fn large(&mut self, granted: &Granted) -> Result<(), End> {
        let body = self.body(granted).await?;
        self.write(&lines::version(&granted.record, false)).await?;
        let mut rest: Vec<u8> = Vec::new();
        for piece in body.pieces(0..body.size()) {
            let content = body.read(piece).await?;
            // What fills up the last three bytes comes first.
            let missing = (3 - rest.len() % 3) % 3;
            let (fill, others) = content.split_at(missing.min(content.len()));
            rest.extend_from_slice(fill);
            if rest.len().is_multiple_of(3) {
                self.base64(&rest).await?;
                rest.clear();
            }
            let (whole, left) = others.split_at(others.len() / 3 * 3);
            self.base64(whole).await?;
            rest.extend_from_slice(left);
        }
        self.base64(&rest).await?;
        self.write(lines::end(false)).await
    }

    async fn body(&self, granted: &Granted) -> Result<Body, Error> {
        let (sealed, chain) = reading::sealed(&self.rpc, granted).await?;
        let key = self.rpc.vault.subject_key(&chain).await?;
        let tenant = self.call().tenant_id()?;
        let body = Body::open(&self.rpc.objects, tenant, &granted.record, &sealed, &key)?;
        body.check_end().await?;
        Ok(body)
    }

    async fn base64(&mut self, content: &[u8]) -> Result<(), End> {
        for some in content.chunks(ENCODED) {
            self.write(STANDARD.encode(some).as_bytes()).await?;
        }
        Ok(())
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(Problem::from(error))
    }
}
