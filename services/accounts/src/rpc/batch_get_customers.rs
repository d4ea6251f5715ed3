//! `BatchGetCustomers`.

use diesel::PgConnection;
use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::problem::{Problem, Reason};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{Customer, CustomerId};
use crate::error::Error;
use crate::store::customers;

const NAMES_MAX: usize = 100;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::BatchGetCustomersRequest>,
) -> Result<Response<wire::BatchGetCustomersResponse>, Status> {
    let call = Call::of(&request)?;
    let ids = decode(request.get_ref())?;
    let (customers, now) = (handle(rpc, &call, ids).await?.into_iter(), rpc.clock.now());
    let customers = customers.map(|customer| encode::customer(customer, None, now)).collect();
    Ok(Response::new(wire::BatchGetCustomersResponse { customers }))
}

fn decode(request: &wire::BatchGetCustomersRequest) -> Decoded<Vec<CustomerId>> {
    let names = &request.names;
    if names.is_empty() {
        return Err(invalid("must be given")).at("names");
    }
    if names.len() > NAMES_MAX {
        let message = format!("must be at most {NAMES_MAX}, and are {}", names.len());
        let problem = Problem::new(Reason::TooManyItems, message).in_field("names");
        return Err(problem.figure("limit", NAMES_MAX).into());
    }
    let names = names.iter().enumerate();
    names.map(|(index, name)| CustomerId::parse_name(name).at_index("names", index)).collect()
}

/// In the order of the ids, each as often as it is named.
async fn handle(rpc: &Rpc, call: &Call, ids: Vec<CustomerId>) -> Result<Vec<Customer>, Error> {
    let tenant = call.tenant_id()?;
    let read = move |conn: &mut PgConnection| {
        let found = customers::select_all(conn, tenant, &ids)?;
        let find = |id: &CustomerId| found.get(id).cloned().ok_or_else(|| id.not_found());
        Ok(ids.iter().map(find).collect::<Result<Vec<_>, _>>()?)
    };
    rpc.db.read("batch_get_customers", call.scope(), read).await
}
