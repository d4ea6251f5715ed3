//! `strongroom.transparency.v1.TransparencyService`.

use diesel::PgConnection;
use strongroom_proto::transparency::v1 as wire;
use tonic::{Request, Response, Status};
use wire::get_inclusion_proof_request::Leaf as Asked;

use crate::boot::Service;
use crate::db::{Db, DbError, UnitError};
use crate::field::{At as _, Decoded, invalid, required};
use crate::grpc::Call;
use crate::ids::TenantId;
use crate::page::{OVERHEAD_BYTES, SIZE_DEFAULT, SIZE_MAX};
use crate::problem::Problem;
use crate::sequence::events::{Query, read};
use crate::sequence::located;
use crate::transparency::store::{Signed, signed, size};
use crate::transparency::tree;

/// The log of a service.
#[derive(Debug, Clone)]
pub(crate) struct TransparencyRpc {
    pub(crate) db: Db,
    pub(crate) service: Service,
    pub(crate) message_bytes_max: usize,
}

/// Why there is no proof.
enum Failure {
    Db(DbError),
    Problem(Problem),
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Db(error) => error.into(),
            Failure::Problem(problem) => problem,
        }
    }
}

impl UnitError for Failure {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            Self::Problem(_) => None,
        }
    }
}

impl TransparencyRpc {
    async fn checkpoint(
        &self,
        call: &Call,
        request: wire::GetCheckpointRequest,
    ) -> Result<wire::Checkpoint, Problem> {
        let tenant = call.tenant_id()?;
        let size = request.size.map(number).transpose().at("size")?;
        let read = move |conn: &mut PgConnection| signed(conn, tenant, size);
        match (self.db.read("get_checkpoint", call.scope(), read).await?, size) {
            (Some(signed), _) => Ok(encode(signed)),
            (None, Some(size)) => Err(Problem::not_found("checkpoint", size)),
            (None, None) => Err(no_checkpoint()),
        }
    }

    async fn inclusion(
        &self,
        call: &Call,
        request: wire::GetInclusionProofRequest,
    ) -> Result<wire::InclusionProof, Problem> {
        let (tenant, service) = (call.tenant_id()?, self.service);
        let asked = required(request.leaf).at("leaf")?;
        if let Asked::Index(index) = asked {
            number(index).at("index")?;
        }
        let tree_size = request.tree_size.map(number).transpose().at("tree_size")?;
        let prove = move |conn: &mut PgConnection| {
            let (size, checkpoint) = known_size(conn, tenant, tree_size)?;
            let index = index(conn, tenant, service, &asked)?;
            if index >= size {
                return Err(Problem::not_found("leaf", index).figure("log_size", size).into());
            }
            let leaf = leaves(conn, tenant, service, index, 1, usize::MAX)?.pop();
            Ok::<_, Failure>(wire::InclusionProof {
                leaf,
                tree_size: size.cast_signed(),
                root_hash: tree::root(conn, tenant, size)?.to_vec(),
                hashes: bytes(tree::prove_inclusion(conn, tenant, index, size)?),
                checkpoint: checkpoint.map(encode),
            })
        };
        Ok(self.db.read("prove_inclusion", call.scope(), prove).await?)
    }

    async fn consistency(
        &self,
        call: &Call,
        request: wire::GetConsistencyProofRequest,
    ) -> Result<wire::ConsistencyProof, Problem> {
        let tenant = call.tenant_id()?;
        let from = number(request.from_size).and_then(|from| match from {
            0 => Err(invalid("must be above zero: every log begins with the empty one")),
            from => Ok(from),
        });
        let from = from.at("from_size")?;
        let to = request.to_size.map(number).transpose().at("to_size")?;
        if to.is_some_and(|to| to < from) {
            return Err(invalid("must not be less than from_size")).at("to_size")?;
        }
        let prove = move |conn: &mut PgConnection| {
            let (to, _) = known_size(conn, tenant, to)?;
            if to < from {
                return Err(no_such_size(from, to).into());
            }
            Ok::<_, Failure>(wire::ConsistencyProof {
                from_size: from.cast_signed(),
                from_root_hash: tree::root(conn, tenant, from)?.to_vec(),
                to_size: to.cast_signed(),
                to_root_hash: tree::root(conn, tenant, to)?.to_vec(),
                hashes: bytes(tree::prove_consistency(conn, tenant, from, to)?),
            })
        };
        Ok(self.db.read("prove_consistency", call.scope(), prove).await?)
    }

    async fn list(
        &self,
        call: &Call,
        request: wire::ListLeavesRequest,
    ) -> Result<wire::ListLeavesResponse, Problem> {
        let (tenant, service) = (call.tenant_id()?, self.service);
        let start = number(request.start_index).at("start_index")?;
        let limit = usize::try_from(request.page_size).map_err(|_| invalid("must not be negative"));
        let limit = match limit.at("page_size")? {
            0 => SIZE_DEFAULT,
            limit => limit.min(SIZE_MAX),
        };
        let bytes_max = self.message_bytes_max.saturating_sub(OVERHEAD_BYTES);
        let list = move |conn: &mut PgConnection| {
            Ok::<_, DbError>(wire::ListLeavesResponse {
                leaves: leaves(conn, tenant, service, start, limit, bytes_max)?,
                log_size: size(conn, tenant)?.cast_signed(),
            })
        };
        Ok(self.db.read("list_leaves", call.scope(), list).await?)
    }
}

/// The size that is asked for, which the log must have had, or that of the latest checkpoint; and
/// the checkpoint of it.
fn known_size(
    conn: &mut PgConnection,
    tenant: TenantId,
    asked: Option<u64>,
) -> Result<(u64, Option<Signed>), Failure> {
    let checkpoint = signed(conn, tenant, asked)?;
    let Some(asked) = asked else {
        let checkpoint = checkpoint.ok_or_else(no_checkpoint)?;
        return Ok((checkpoint.size, Some(checkpoint)));
    };
    let size = size(conn, tenant)?;
    if asked > size {
        return Err(no_such_size(asked, size).into());
    }
    Ok((asked, checkpoint))
}

fn index(
    conn: &mut PgConnection,
    tenant: TenantId,
    service: Service,
    asked: &Asked,
) -> Result<u64, Failure> {
    let resource = match asked {
        Asked::Index(index) => return Ok(index.cast_unsigned()),
        Asked::Resource(resource) => resource,
    };
    let time = (service.locate)(conn, tenant, resource)?;
    let index = match time {
        Some(time) => located(conn, tenant, resource, time)?,
        None => None,
    };
    let none = || Problem::not_found("leaf of the resource", resource);
    Ok(index.ok_or_else(none)?)
}

/// Leaves with their data as it is now and their hashes as they were entered.
fn leaves(
    conn: &mut PgConnection,
    tenant: TenantId,
    service: Service,
    start: u64,
    limit: usize,
    bytes_max: usize,
) -> Result<Vec<wire::Leaf>, DbError> {
    let query = Query { from: Some(start), limit, bytes_max, types: Vec::new(), since: None };
    let batch = read(conn, tenant, service.describe, &query)?;
    let hashes = tree::leaves(conn, tenant, start..start + batch.events.len() as u64)?;
    let leaf =
        |(event, hash): (crate::sequence::events::Event, crate::transparency::Hash)| wire::Leaf {
            index: event.position.cast_signed(),
            data: event.leaf.data,
            hash: hash.to_vec(),
        };
    Ok(batch.events.into_iter().zip(hashes).map(leaf).collect())
}

fn number(number: i64) -> Decoded<u64> {
    u64::try_from(number).map_err(|_| invalid("must not be negative"))
}

fn no_checkpoint() -> Problem {
    Problem::not_found("checkpoint", "yet")
}

fn no_such_size(asked: u64, size: u64) -> Problem {
    Problem::not_found("log of the size", asked).figure("log_size", size)
}

fn bytes(hashes: Vec<crate::transparency::Hash>) -> Vec<Vec<u8>> {
    hashes.into_iter().map(Vec::from).collect()
}

fn encode(signed: Signed) -> wire::Checkpoint {
    wire::Checkpoint {
        size: signed.size.cast_signed(),
        root_hash: signed.root.to_vec(),
        note: signed.note,
    }
}

#[tonic::async_trait]
impl wire::transparency_service_server::TransparencyService for TransparencyRpc {
    async fn get_checkpoint(
        &self,
        request: Request<wire::GetCheckpointRequest>,
    ) -> Result<Response<wire::Checkpoint>, Status> {
        let call = Call::of(&request)?;
        Ok(Response::new(self.checkpoint(&call, request.into_inner()).await?))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<wire::GetInclusionProofRequest>,
    ) -> Result<Response<wire::InclusionProof>, Status> {
        let call = Call::of(&request)?;
        Ok(Response::new(self.inclusion(&call, request.into_inner()).await?))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<wire::GetConsistencyProofRequest>,
    ) -> Result<Response<wire::ConsistencyProof>, Status> {
        let call = Call::of(&request)?;
        Ok(Response::new(self.consistency(&call, request.into_inner()).await?))
    }

    async fn list_leaves(
        &self,
        request: Request<wire::ListLeavesRequest>,
    ) -> Result<Response<wire::ListLeavesResponse>, Status> {
        let call = Call::of(&request)?;
        Ok(Response::new(self.list(&call, request.into_inner()).await?))
    }
}
