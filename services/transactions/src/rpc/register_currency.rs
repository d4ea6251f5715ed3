//! `CurrencyService.RegisterCurrency`.

use diesel::PgConnection;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::ids::TenantId;
use shared::money::Currency;
use shared::outcome::{Once, once};
use shared::problem::{Problem, Reason};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, currencies, get_currency};
use crate::error::Error;
use crate::store;
use crate::store::currencies::Registered;

const OPERATION: &str = "register-currency";
const DISPLAY_NAME_MAX: usize = 64;

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::RegisterCurrencyRequest>,
) -> Result<Response<wire::Currency>, Status> {
    let call = Call::of(&request)?;
    let register = decode(request.into_inner())?;
    Ok(handle(rpc, &call, register).await?)
}

struct Register {
    currency: Currency,
    display_name: String,
    request_id: Option<String>,
    validate_only: bool,
}

fn decode(request: wire::RegisterCurrencyRequest) -> Decoded<Register> {
    let currency = field::required(request.currency).at("currency")?;
    let display_name = field::text(currency.display_name, 0, DISPLAY_NAME_MAX);
    Ok(Register {
        currency: own(&currency.code, currency.decimals).at("currency")?,
        display_name: display_name.at("display_name").at("currency")?,
        request_id: field::request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

fn own(code: &str, decimals: i32) -> Decoded<Currency> {
    if Currency::new(code, 0).is_none() {
        return Err(invalid("must be 3 to 12 upper case letters and digits")).at("code");
    }
    let decimals = u8::try_from(decimals).ok();
    let currency = decimals.and_then(|decimals| Currency::new(code, decimals));
    currency.ok_or_else(|| invalid("must be 0 to 18")).at("decimals")
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    register: Register,
) -> Result<Response<wire::Currency>, Problem> {
    let tenant = call.tenant_id()?;
    let Register { currency, display_name, request_id, validate_only } = register;
    if let Some(iso) = Currency::iso(currency.code()) {
        return Err(taken(iso, "is in ISO 4217"));
    }
    let asked = (currency.code(), currency.decimals(), &display_name);
    let request = request_id.map(|id| call.request(OPERATION, id, &asked, &rpc.clock));
    let request = request.transpose()?;
    let new = Registered { currency, display_name, create_time: rpc.clock.now() };
    if validate_only {
        let check = move |conn: &mut PgConnection| existing(conn, tenant, currency);
        let found = rpc.db.read("validate_currency", call.scope(), check).await?;
        return Ok(Response::new(currencies::encode(found.unwrap_or(new))));
    }
    let write = move |conn: &mut PgConnection| {
        store::currencies::lock(conn, tenant)?;
        if let Some(found) = existing(conn, tenant, currency)? {
            return Ok(found);
        }
        store::currencies::insert(conn, tenant, &new)?;
        Ok::<_, Error>(new.clone())
    };
    let name = currencies::name(currency.code());
    match once(&rpc.db, "register_currency", call.scope(), request, name, write).await? {
        Once::Done(registered) => Ok(Response::new(currencies::encode(registered))),
        Once::Replayed(name) => {
            let code = currencies::parse_name(&name)?;
            let found = get_currency::find(rpc, call, code).await?;
            let found = found.ok_or_else(|| Problem::not_found("currency", &name))?;
            Ok(replayed(currencies::encode(found)))
        }
    }
}

/// The currency where it is registered as it is asked for; none where it may be registered.
fn existing(
    conn: &mut PgConnection,
    tenant: TenantId,
    asked: Currency,
) -> Result<Option<Registered>, Error> {
    match store::currencies::select(conn, tenant, asked.code())? {
        Some(found) if found.currency == asked => Ok(Some(found)),
        Some(found) => Err(taken(found.currency, "is in use").into()),
        None if store::currencies::count(conn, tenant)? >= currencies::REGISTERED_MAX => {
            Err(too_many().into())
        }
        None => Ok(None),
    }
}

fn taken(currency: Currency, how: &str) -> Problem {
    let (name, decimals) = (currencies::name(currency.code()), currency.decimals());
    let message = format!("{name} {how}, with {decimals} decimals.");
    Problem::new(Reason::IdTaken, message).figure("name", name).figure("decimals", decimals)
}

fn too_many() -> Problem {
    let limit = currencies::REGISTERED_MAX;
    let message = format!("A tenant registers at most {limit} currencies.");
    Problem::new(Reason::LimitExceeded, message).figure("limit", limit).figure("used", limit)
}
