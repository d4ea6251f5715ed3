//! `StatementService.RenderStatement`.

mod csv;
mod html;
mod proof;

use std::collections::VecDeque;

use diesel::PgConnection;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use jiff::tz::TimeZone;
use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::problem::Problem;
use strongroom_proto::google_api::HttpBody;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};
use wire::render_statement_request::Format as Wire;

use super::{Rpc, statements};
use crate::domain::{Statement, StatementLine, StatementName};
use crate::error::Error;
use crate::store::statement_lines;

/// How many lines are read at a time.
const LINES_AT_ONCE: i64 = 200;
/// The most bytes of a piece, however small messages may be.
const PIECE_BYTES: usize = 32 * 1024;

/// The pieces of a document.
pub(crate) type Pieces = BoxStream<'static, Result<HttpBody, Status>>;

/// What kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Html,
    Proof,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Html => "text/html; charset=utf-8",
            Self::Proof => "application/x-ndjson",
        }
    }
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::RenderStatementRequest>,
) -> Result<Response<Pieces>, Status> {
    let call = Call::of(&request)?;
    let name = StatementName::parse(&request.get_ref().name).at("name")?;
    let format = format(request.get_ref().format()).at("format")?;
    let tenant = call.tenant()?;
    let document = Document {
        tenant: tenant.id,
        zone: tenant.zone.clone(),
        statement: statements::find(rpc, &call, name).await?,
        format,
    };
    let head = match format {
        Format::Csv => csv::head()?,
        Format::Html => html::head(&document)?,
        Format::Proof => proof::head(rpc, &call, &document).await?,
    };
    let pages = Pages { rpc: rpc.clone(), call, document, head: Some(head), after: Some(0) };
    Ok(Response::new(pages.pieces()))
}

fn format(format: Wire) -> Decoded<Format> {
    match format {
        Wire::Csv => Ok(Format::Csv),
        Wire::Html => Ok(Format::Html),
        Wire::Proof => Ok(Format::Proof),
        Wire::Unspecified => Err(invalid("must be CSV, HTML or PROOF")),
    }
}

/// What is drawn.
struct Document {
    tenant: TenantId,
    zone: TimeZone,
    statement: Statement,
    format: Format,
}

impl Document {
    fn lines(&self, lines: &[StatementLine]) -> Result<String, Problem> {
        match self.format {
            Format::Csv => csv::lines(&self.statement, lines),
            Format::Html => html::lines(self, lines),
            Format::Proof => Ok(proof::lines(&self.statement, lines)),
        }
    }

    fn tail(&self) -> Result<String, Problem> {
        match self.format {
            Format::Html => html::tail(self),
            Format::Csv | Format::Proof => Ok(String::new()),
        }
    }
}

/// A document on its way: its lines are read as it is sent, some at a time.
struct Pages {
    rpc: Rpc,
    call: Call,
    document: Document,
    head: Option<String>,
    /// Behind which line it goes on; `None` behind its end.
    after: Option<i64>,
}

impl Pages {
    fn pieces(self) -> Pieces {
        let content_type = self.document.format.content_type();
        let pages = stream::try_unfold(self, |mut pages| async move {
            let page = pages.next().await?;
            Ok::<_, Status>(page.map(|page| (page, pages)))
        });
        let pieces = pages.map(move |page| {
            let pieces: VecDeque<Result<HttpBody, Status>> = match page {
                Ok(page) => page.as_bytes().chunks(PIECE_BYTES).map(piece(content_type)).collect(),
                Err(status) => VecDeque::from([Err(status)]),
            };
            stream::iter(pieces)
        });
        pieces.flatten().boxed()
    }

    async fn next(&mut self) -> Result<Option<String>, Problem> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        let Some(after) = self.after else { return Ok(None) };
        if after >= self.document.statement.head.line_count {
            self.after = None;
            return self.document.tail().map(Some);
        }
        let (tenant, id) = (self.document.tenant, self.document.statement.head.name.id);
        let read = move |conn: &mut PgConnection| {
            Ok::<_, Error>(statement_lines::select(conn, tenant, id, after, LINES_AT_ONCE)?)
        };
        let lines = self.rpc.db.read("render_statement", self.call.scope(), read).await?;
        self.after = Some(after + LINES_AT_ONCE);
        self.document.lines(&lines).map(Some)
    }
}

fn piece(content_type: &str) -> impl Fn(&[u8]) -> Result<HttpBody, Status> {
    move |data| {
        let (content_type, data) = (content_type.to_owned(), data.to_vec());
        Ok(HttpBody { content_type, data, extensions: Vec::new() })
    }
}

/// A document that cannot be drawn is a fault of the service.
fn fault(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "a statement cannot be drawn");
    Problem::internal()
}
