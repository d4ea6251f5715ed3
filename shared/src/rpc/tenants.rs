//! `strongroom.tenants.v1.TenantService`.

use jiff::tz::TimeZone;
use strongroom_proto::tenants::v1 as wire;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::field::{self, At as _, Decoded};
use crate::grpc::Call;
use crate::grpc::call::replayed;
use crate::ids::TenantId;
use crate::outcome;
use crate::problem::{Problem, Reason};
use crate::tenants::{self, TenantRow, TenantState};

/// Names made from request ids, so that a repeat finds the tenant of the first (RFC 9562, v5).
const REQUEST_IDS: Uuid = Uuid::from_u128(0x7c1d_5b0e_94a2_4c5f_8f0e_2d1b_6a3c_9e47);

/// The tenants of a service.
#[derive(Debug, Clone)]
pub struct TenantRpc {
    db: Db,
    clock: Clock,
}

impl TenantRpc {
    /// The tenants in a database.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    async fn create(
        &self,
        call: &Call,
        request: wire::CreateTenantRequest,
    ) -> Result<Response<wire::Tenant>, Problem> {
        let create = decode(request)?;
        let row = TenantRow {
            id: create.id,
            display_name: create.display_name,
            time_zone: create.time_zone,
            state: TenantState::Active.column(),
            key: rand::random::<[u8; 32]>().to_vec(),
            version: 1,
            create_time: self.clock.now(),
        };
        if create.validate_only {
            return Ok(Response::new(encode(row)));
        }
        let insert = row.clone();
        let taken = self
            .db
            .write("create_tenant", call.scope(), move |conn| {
                let inserted = tenants::insert(conn, &insert)?;
                Ok::<_, DbError>(if inserted { None } else { tenants::select(conn, insert.id)? })
            })
            .await?;
        match taken {
            None => Ok(Response::new(encode(row))),
            Some(found)
                if found.display_name == row.display_name && found.time_zone == row.time_zone =>
            {
                Ok(replayed(encode(found)))
            }
            Some(_) if create.is_named_by_request => Err(outcome::reused("create-tenant")),
            Some(found) => {
                let name = found.id.name();
                let message = format!("{name} exists, and is another tenant.");
                Err(Problem::new(Reason::IdTaken, message).figure("name", name))
            }
        }
    }

    async fn get(&self, call: &Call, name: &str) -> Result<wire::Tenant, Problem> {
        let id = TenantId::parse_name(name).at("name")?;
        let row = self
            .db
            .read("get_tenant", call.scope(), move |conn| {
                Ok::<_, DbError>(tenants::select(conn, id)?)
            })
            .await?;
        Ok(encode(row.ok_or_else(|| id.not_found())?))
    }
}

struct Create {
    id: TenantId,
    /// Whether the id is made from the request id, so that it is in use by that request alone.
    is_named_by_request: bool,
    display_name: String,
    time_zone: String,
    validate_only: bool,
}

fn decode(request: wire::CreateTenantRequest) -> Decoded<Create> {
    let tenant = field::required(request.tenant).at("tenant")?;
    let request_id = field::request_id(request.request_id).at("request_id")?;
    let chosen = TenantId::parse_chosen(&request.tenant_id).at("tenant_id")?;
    let named = request_id.map(|id| TenantId::from_uuid(Uuid::new_v5(&REQUEST_IDS, id.as_bytes())));
    let time_zone = match tenant.time_zone.as_str() {
        "" => "UTC".to_owned(),
        zone if TimeZone::get(zone).is_ok() => zone.to_owned(),
        _ => Err(field::invalid("must be an IANA time zone such as \"Europe/Zurich\""))
            .at("tenant.time_zone")?,
    };
    Ok(Create {
        id: chosen.or(named).unwrap_or_else(TenantId::generate),
        is_named_by_request: chosen.is_none() && named.is_some(),
        display_name: field::text(tenant.display_name, 1, 128).at("tenant.display_name")?,
        time_zone,
        validate_only: request.validate_only,
    })
}

fn encode(row: TenantRow) -> wire::Tenant {
    let state = match TenantState::from_column(row.state) {
        TenantState::Active => wire::tenant::State::Active,
        TenantState::ReadOnly => wire::tenant::State::ReadOnly,
        TenantState::Suspended => wire::tenant::State::Suspended,
    };
    wire::Tenant {
        name: row.id.name(),
        display_name: row.display_name,
        time_zone: row.time_zone,
        state: state.into(),
        create_time: Some(row.create_time.encode()),
        etag: format!("\"{}\"", row.version),
    }
}

#[tonic::async_trait]
impl wire::tenant_service_server::TenantService for TenantRpc {
    async fn create_tenant(
        &self,
        request: Request<wire::CreateTenantRequest>,
    ) -> Result<Response<wire::Tenant>, Status> {
        let call = Call::of(&request)?;
        Ok(self.create(&call, request.into_inner()).await?)
    }

    async fn get_tenant(
        &self,
        request: Request<wire::GetTenantRequest>,
    ) -> Result<Response<wire::Tenant>, Status> {
        let call = Call::of(&request)?;
        Ok(Response::new(self.get(&call, &request.get_ref().name).await?))
    }
}
