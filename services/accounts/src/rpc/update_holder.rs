//! `UpdateHolder`.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::mask::Mask;
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::control::Begin;
use super::{Rpc, encode, holders};
use crate::domain::{AccountId, CustomerId, Holder, Role, holder_name, parse_holder_name};
use crate::error::Error;
use crate::store::{account_holders, customers};

const OPERATION: &str = "update-holder";
const ROLE: &str = "role";
const START: &str = "start_time";
const END: &str = "end_time";
const FIELDS: [&str; 3] = [ROLE, START, END];

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Serialize)]
struct UpdateHolder {
    account: AccountId,
    customer: CustomerId,
    /// The fields that are taken over.
    fields: Vec<&'static str>,
    role: Option<Role>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    #[serde(skip)]
    request_id: String,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::UpdateHolderRequest>,
) -> Result<Response<wire::Holder>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    Ok(handle(rpc, &call, command).await?.respond(encode::holder))
}

fn decode(request: wire::UpdateHolderRequest) -> Decoded<UpdateHolder> {
    let holder = field::required(request.holder).at("holder")?;
    let (account, customer) = parse_holder_name(&holder.name).at("holder.name")?;
    if !holder.customer.is_empty() && holder.customer != customer.name() {
        return Err(invalid("cannot be changed")).at("holder.customer");
    }
    let mask = Mask::decode(&request.update_mask.unwrap_or_default().paths, &FIELDS);
    let fields = mask.at("update_mask")?.fields(|field| match field {
        ROLE => holder.role != 0,
        START => holder.start_time.is_some(),
        _ => holder.end_time.is_some(),
    });
    let fields = fields.at("update_mask")?;
    let role = fields.contains(&ROLE).then(|| holders::role(holder.role));
    let time = |time: Option<_>| time.map(Timestamp::decode).transpose();
    Ok(UpdateHolder {
        account,
        customer,
        fields,
        role: role.transpose().at("holder.role")?,
        start: time(holder.start_time).at("holder.start_time")?,
        end: time(holder.end_time).at("holder.end_time")?,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
    })
}

async fn handle(rpc: &Rpc, call: &Call, command: UpdateHolder) -> Result<Created<Holder>, Error> {
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let (account, customer) = (command.account, command.customer);
    let name = holder_name(account, customer);
    let act = move |conn: &mut PgConnection, begin: &Begin<'_>| command.write(conn, begin);
    let updated = rpc.control(call, "update_holder", request, name, act).await?;
    Ok(updated.with(holders::read(rpc, call, account, customer).await?))
}

impl UpdateHolder {
    /// The holder as it shall be.
    fn apply(&self, mut holder: Holder, now: Timestamp) -> Holder {
        if let Some(role) = self.role {
            holder.role = role;
        }
        if self.fields.contains(&START) {
            holder.span.start = self.start.unwrap_or(now);
        }
        if self.fields.contains(&END) {
            holder.span.end = self.end;
        }
        holder
    }

    /// Changes the holder. Who becomes an owner or a joint holder has to be somebody who may be
    /// added as one.
    fn write(&self, conn: &mut PgConnection, begin: &Begin<'_>) -> Result<(), Error> {
        let (tenant, now) = (begin.tenant, begin.now());
        let customer = customers::hold(conn, tenant, self.customer)?;
        let customer = customer.ok_or_else(|| self.customer.not_found())?;
        customer.allow_change()?;
        let account = holders::lock(conn, tenant, self.account)?;
        let before = holders::find(conn, tenant, &account, self.customer, "holder.name", now)?;
        let after = self.apply(before, now);
        holders::check_span(after.span, now)?;
        if after.role.is_principal() && !before.role.is_principal() {
            customer.allow_account()?;
            holders::check_room(conn, tenant, &after, now)?;
        }
        account_holders::update(conn, tenant, &after)?;
        if after.stops_otherwise_than(before) {
            begin.change(conn, &[account.id])?;
        }
        holders::record(conn, begin, "holder.updated", after, &self.fields)
    }
}
