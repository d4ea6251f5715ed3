//! `StatementService.CreateStatement`.

use diesel::PgConnection;
use serde::Serialize;
use shared::changes;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::outcome::{Once, once};
use shared::problem::Problem;
use shared::time::Day;
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, statements};
use crate::domain::{AccountId, DAYS_MAX, STATED, StatementId, StatementName};
use crate::error::Error;
use crate::store;
use crate::store::statements::Asked;

const OPERATION: &str = "create-statement";

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::CreateStatementRequest>,
) -> Result<Response<wire::Statement>, Status> {
    let call = Call::of(&request)?;
    let today = rpc.clock.now().day_in(&call.tenant()?.zone);
    let create = decode(request.into_inner(), today)?;
    Ok(handle(rpc, &call, create).await?)
}

#[derive(Serialize)]
struct Create {
    account: AccountId,
    start: Day,
    end: Day,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

fn decode(request: wire::CreateStatementRequest, today: Day) -> Decoded<Create> {
    let start = Day::parse(&request.start_date).at("start_date")?;
    let end = Day::parse(&request.end_date).at("end_date")?;
    if end > today {
        return Err(invalid("must not be in the future")).at("end_date");
    }
    if end < start || end.days_since(start) > DAYS_MAX {
        let sentence = format!("must be at most {DAYS_MAX} days after start_date, and not before");
        return Err(invalid(sentence)).at("end_date");
    }
    Ok(Create {
        account: AccountId::parse_name(&request.account).at("account")?,
        start,
        end,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    create: Create,
) -> Result<Response<wire::Statement>, Problem> {
    let (tenant, time) = (call.tenant_id()?, rpc.clock.now());
    let name = StatementName { account: create.account, id: StatementId::generate() };
    let asked = Asked { name, start: create.start, end: create.end, time };
    if create.validate_only {
        let preview =
            move |conn: &mut PgConnection| store::statements::preview(conn, tenant, asked);
        let statement = rpc.db.read("validate_statement", call.scope(), preview).await?;
        return Ok(Response::new(statements::statement(statement)));
    }
    let request = |id| call.request(OPERATION, id, &create, &rpc.clock);
    let request = create.request_id.clone().map(request).transpose()?;
    let write = move |conn: &mut PgConnection| {
        let made = store::statements::create(conn, tenant, asked)?;
        changes::record(conn, tenant, STATED, &name.name(), &made.leaf(tenant), time)?;
        Ok::<_, Error>(made)
    };
    match once(&rpc.db, "create_statement", call.scope(), request, name.name(), write).await? {
        Once::Done(made) => Ok(Response::new(statements::statement(made))),
        Once::Replayed(name) => {
            let found = statements::find(rpc, call, StatementName::parse(&name)?).await?;
            Ok(replayed(statements::statement(found)))
        }
    }
}
