//! `TransactionService.RedactTransaction`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::ids::TenantId;
use shared::outcome::{Once, once};
use shared::problem::Problem;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{PostedTransaction, Redaction, TRANSACTION_REDACTED, TransactionId};
use crate::error::Error;
use crate::store::{redactions, transactions};

const OPERATION: &str = "redact-transaction";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::RedactTransactionRequest>,
) -> Result<Response<wire::Transaction>, Status> {
    let call = Call::of(&request)?;
    let redact = decode(request.into_inner())?;
    Ok(handle(rpc, &call, redact).await?)
}

#[derive(Serialize)]
struct Redact {
    id: TransactionId,
    reason_code: String,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

fn decode(request: wire::RedactTransactionRequest) -> Decoded<Redact> {
    Ok(Redact {
        id: TransactionId::parse_name(&request.name).at("name")?,
        reason_code: field::code(request.reason_code).at("reason_code")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    redact: Redact,
) -> Result<Response<wire::Transaction>, Problem> {
    let (tenant, now, id) = (call.tenant_id()?, rpc.clock.now(), redact.id);
    let read = async || {
        let found = rpc.db.read("get_transaction", call.scope(), move |conn| get(conn, tenant, id));
        found.await.map(|posted| encode::transaction(posted, call))
    };
    if redact.validate_only {
        return Ok(Response::new(read().await?));
    }
    let request = |id| call.request(OPERATION, id, &redact, &rpc.clock);
    let request = redact.request_id.clone().map(request).transpose()?;
    let principal = call.principal.subject.clone();
    let reason_code = redact.reason_code;
    let write = move |conn: &mut PgConnection| {
        let mut had_texts = redactions::redact_transaction(conn, tenant, id)?;
        let posted = get(conn, tenant, id)?;
        if let Some(hold) = posted.hold {
            had_texts |= redactions::redact_hold(conn, tenant, hold)?;
        }
        if had_texts {
            let redaction = Redaction {
                kind: TRANSACTION_REDACTED,
                subject: id.name(),
                reason_code: &reason_code,
                principal: &principal,
                time: now.max(posted.record_time.next()),
            };
            redactions::record(conn, tenant, &redaction)?;
        }
        Ok::<_, Error>(posted)
    };
    let done = once(&rpc.db, "redact_transaction", call.scope(), request, id.name(), write);
    match done.await? {
        Once::Done(posted) => Ok(Response::new(encode::transaction(posted, call))),
        Once::Replayed(_) => Ok(replayed(read().await?)),
    }
}

fn get(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: TransactionId,
) -> Result<PostedTransaction, Error> {
    transactions::select(conn, tenant, id)?.ok_or_else(|| id.not_found().into())
}
