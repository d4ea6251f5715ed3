//! `SubjectService.ListAccesses`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded};
use shared::filter::Period;
use shared::grpc::Call;
use shared::page::Page;
use shared::problem::Problem;
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::Rpc;
use super::access_entries::{self, List};
use crate::domain::access::Action;
use crate::domain::subject::SubjectId;
use crate::error::Error;
use crate::store::access_lists::Filter;
use crate::store::subjects;

const QUERY: &str = "list-accesses";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListAccessesRequest>,
) -> Result<Response<wire::ListAccessesResponse>, Status> {
    let call = Call::of(&request)?;
    let (subject, list) = decode(&call, &request.into_inner())?;
    let mut access = rpc.access(&call, Action::LIST_ACCESSES);
    access.subject = Some(subject);
    let answer = handle(rpc, &call, subject, list).await.map_err(Problem::from);
    let (accesses, next_page_token) = access_entries::log(rpc, &call, access, answer).await?;
    Ok(Response::new(wire::ListAccessesResponse { accesses, next_page_token }))
}

fn decode(call: &Call, request: &wire::ListAccessesRequest) -> Decoded<(SubjectId, List)> {
    let subject = SubjectId::parse_name(&request.parent).at("parent")?;
    let period = Period {
        from: request.start_time.map(Timestamp::decode).transpose().at("start_time")?,
        before: request.end_time.map(Timestamp::decode).transpose().at("end_time")?,
    };
    let filter = Filter { subject: Some(subject), period, ..Filter::default() };
    let (tenant, proofs) = (call.tenant()?, request.proofs);
    let arguments = (tenant.id, subject, period.from, period.before, proofs);
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &arguments, size, token)?;
    Ok((subject, List { filter, page, proofs }))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    subject: SubjectId,
    list: List,
) -> Result<(Vec<wire::AccessEntry>, String), Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        let found = subjects::select(conn, tenant, subject)?;
        found.ok_or_else(|| Error::from(subject.not_found()))
    };
    rpc.db.read("get_subject", call.scope(), read).await?;
    access_entries::list(rpc, call, "list_accesses", list).await
}
