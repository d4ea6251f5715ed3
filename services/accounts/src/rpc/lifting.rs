//! What the ends of freezes of accounts and of customers have in common.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::problem::Problem;

use super::control::Begin;
use super::freezing::{Shown, find, record};
use super::{Rpc, encode};
use crate::domain::{FreezeId, Frozen, parse_freeze_name};
use crate::error::Error;
use crate::store::{account_holders, accounts, customers, freezes};

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Lift {
    pub(super) of: Frozen,
    id: FreezeId,
    etag: String,
    #[serde(skip)]
    name: String,
    #[serde(skip)]
    request_id: String,
}

impl Lift {
    /// Reads what is to be lifted.
    pub(super) fn decode(name: String, etag: String, request_id: String) -> Decoded<Self> {
        let (of, id) = parse_freeze_name(&name).at("name")?;
        let request_id = field::required_request_id(request_id).at("request_id")?;
        Ok(Self { of, id, etag, name, request_id })
    }
}

/// Lifts a freeze, has the ledger know, and gives the freeze.
pub(super) async fn lift(
    rpc: &Rpc,
    call: &Call,
    operation: &str,
    lift: Lift,
) -> Result<Created<Shown>, Error> {
    let (request_id, name) = (lift.request_id.clone(), lift.name.clone());
    let request = call.request(operation, request_id, &lift, &rpc.clock)?;
    let act = move |conn: &mut PgConnection, begin: &Begin<'_>| write(conn, begin, &lift);
    let lifted = rpc.control(call, "lift_freeze", request, name, act).await?;
    let shown = find(rpc, call, lifted.resource()).await?;
    Ok(lifted.with(shown))
}

/// What is frozen is locked, and its freezes with it. They may be lifted whatever became of it
/// since: it may be reopened.
fn write(conn: &mut PgConnection, begin: &Begin<'_>, lift: &Lift) -> Result<(), Error> {
    let (tenant, now) = (begin.tenant, begin.now());
    let stopped = match lift.of {
        Frozen::Account(id) => {
            accounts::lock(conn, tenant, id)?;
            vec![id]
        }
        Frozen::Customer(id) => {
            customers::lock(conn, tenant, id)?;
            account_holders::stopped_by(conn, tenant, id, now)?
        }
    };
    let found = freezes::select(conn, tenant, lift.id)?.filter(|found| found.of == lift.of);
    let mut freeze = found.ok_or_else(|| Problem::not_found("freeze", &lift.name))?;
    encode::check_etag(&lift.etag, freeze.version, &lift.name)?;
    freeze.lift(begin.principal(), now)?;
    freezes::lift(conn, tenant, &freeze)?;
    begin.change(conn, &stopped)?;
    record(conn, begin, "freeze.lifted", &freeze)
}
