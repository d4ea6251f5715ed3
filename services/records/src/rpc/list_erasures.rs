//! `SubjectService.ListErasures`.

use shared::field::At as _;
use shared::grpc::Call;
use shared::page::Page;
use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status};

use super::governance::List;
use super::{Rpc, erasures};
use crate::domain::erasure::Erasure;
use crate::domain::subject::SubjectId;
use crate::store;
use crate::store::latest::Place;

const QUERY: &str = "list-erasures";
/// The parent of all erasures.
const ALL: &str = "subjects/-";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::ListErasuresRequest>,
) -> Result<Response<wire::ListErasuresResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let (id, request) = (tenant.id, request.into_inner());
    let subject = match request.parent.as_str() {
        ALL => None,
        parent => Some(SubjectId::parse_name(parent).at("parent")?),
    };
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(id, subject), size, token)?;
    let list = List {
        name: "list_erasures",
        candidates: move |conn: &mut _, after: Option<&Place>, limit| {
            store::erasures::list(conn, id, subject, after, limit)
        },
        keeps: |_: &Erasure| true,
        place: |erasure: &Erasure| Place::new(erasure.create_time, erasure.name.id.uuid()),
        encode: erasures::erasure,
    };
    let (erasures, next_page_token) = list.page(rpc, &call, page).await?;
    Ok(Response::new(wire::ListErasuresResponse { erasures, next_page_token }))
}
