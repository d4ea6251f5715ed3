//! Suspensions and their ends: both turn a customer from one state to another, and the ledger has
//! to know for every account that the customer is an owner or a joint holder of.

use diesel::PgConnection;
use serde::Serialize;
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use tonic::Response;

use super::control::Begin;
use super::{Rpc, encode};
use crate::domain::{Customer, CustomerId, NotAllowed};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{account_holders, customers};

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Turn {
    pub(super) id: CustomerId,
    pub(super) reason_code: String,
    pub(super) etag: String,
    #[serde(skip)]
    pub(super) request_id: String,
    /// What becomes of the customer.
    #[serde(skip)]
    pub(super) act: fn(&mut Customer, Timestamp) -> Result<(), NotAllowed>,
    /// What the event is called.
    #[serde(skip)]
    pub(super) event: &'static str,
}

/// Turns the customer, has the ledger know, and answers.
pub(super) async fn turn(
    rpc: &Rpc,
    call: &Call,
    operation: &str,
    turn: Turn,
) -> Result<Response<wire::Customer>, Error> {
    let id = turn.id;
    let request = call.request(operation, turn.request_id.clone(), &turn, &rpc.clock)?;
    let act = move |conn: &mut PgConnection, begin: &Begin<'_>| write(conn, begin, &turn);
    let done = rpc.control(call, "turn_customer", request, id.name(), act).await?;
    let answer: Created<Customer> = done.with(rpc.customer(call, id).await?);
    Ok(answer.respond(|customer| encode::customer(customer, None, rpc.clock.now())))
}

fn write(conn: &mut PgConnection, begin: &Begin<'_>, turn: &Turn) -> Result<(), Error> {
    let (tenant, now, id) = (begin.tenant, begin.now(), turn.id);
    let customer = customers::lock(conn, tenant, id)?;
    let mut customer = customer.ok_or_else(|| id.not_found())?;
    encode::check_etag(&turn.etag, customer.version, &id.name())?;
    (turn.act)(&mut customer, now)?;
    customers::update(conn, tenant, &customer)?;
    let accounts = account_holders::stopped_by(conn, tenant, id, now)?;
    begin.change(conn, &accounts)?;
    let mut event = Event::of_customer(tenant, turn.event, &customer);
    if !turn.reason_code.is_empty() {
        event = event.with("reason", turn.reason_code.as_str());
    }
    Ok(events::record(conn, tenant, &event)?)
}
