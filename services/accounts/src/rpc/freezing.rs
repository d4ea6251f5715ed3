//! What orders to freeze an account and a customer have in common.

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::money::{Currencies, Currency, Money};
use shared::outcome;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::common::v1::Money as WireMoney;

use super::Rpc;
use super::control::Begin;
use super::create_account::in_currency;
use crate::domain::{
    ACCOUNT_FREEZES_MAX, AccountId, CUSTOMER_FREEZES_MAX, Direction, Freeze, FreezeId, Frozen,
    is_reserved, parse_freeze_name,
};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{account_holders, accounts, customers, freezes};

const AUTHORITY_MAX: usize = 64;
const REFERENCE_MAX: usize = 256;

/// A freeze with the currency of its account.
pub(super) type Shown = (Freeze, Option<Currency>);

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Order {
    id: Option<FreezeId>,
    of: Frozen,
    direction: Direction,
    amount: Option<Money>,
    reason_code: String,
    authority: String,
    case_reference: Option<String>,
    end_time: Option<Timestamp>,
    honour_holds: bool,
    #[serde(skip)]
    request_id: String,
    #[serde(skip)]
    validate_only: bool,
}

impl Order {
    /// Reads an order to freeze an account or a customer.
    pub(super) fn decode(
        of: Frozen,
        id: &str,
        freeze: Option<wire::Freeze>,
        request_id: String,
        validate_only: bool,
    ) -> Decoded<Self> {
        let freeze = field::required(freeze).at("freeze")?;
        Ok(Self {
            id: FreezeId::parse_chosen(id).at("freeze_id")?,
            request_id: field::required_request_id(request_id).at("request_id")?,
            validate_only,
            ..fields(of, freeze).at("freeze")?
        })
    }

    fn freeze(&self, request: &outcome::Request) -> Freeze {
        Freeze {
            id: self.id.unwrap_or_else(FreezeId::generate),
            of: self.of,
            direction: self.direction,
            amount: self.amount.map(|money| money.units),
            reason_code: self.reason_code.clone(),
            authority: self.authority.clone(),
            case_reference: self.case_reference.clone(),
            end_time: self.end_time,
            honour_holds: self.honour_holds,
            principal: request.principal.clone(),
            create_time: request.time,
            lift: None,
            version: 1,
        }
    }
}

fn fields(of: Frozen, freeze: wire::Freeze) -> Decoded<Order> {
    let direction = Direction::from_number(freeze.direction)
        .ok_or_else(|| invalid("must be DEBIT, CREDIT or ALL"))
        .at("direction")?;
    let amount = freeze.amount.as_ref().map(|money| amount(of, direction, money));
    let case_reference = field::text(freeze.case_reference, 0, REFERENCE_MAX);
    Ok(Order {
        id: None,
        of,
        direction,
        amount: amount.transpose().at("amount")?,
        reason_code: reason_code(freeze.reason_code).at("reason_code")?,
        authority: field::kebab(freeze.authority, AUTHORITY_MAX).at("authority")?,
        case_reference: Some(case_reference.at("case_reference")?).filter(|text| !text.is_empty()),
        end_time: freeze.end_time.map(Timestamp::decode).transpose().at("end_time")?,
        honour_holds: freeze.honour_holds,
        request_id: String::new(),
        validate_only: false,
    })
}

fn amount(of: Frozen, direction: Direction, money: &WireMoney) -> Decoded<Money> {
    match (of, direction) {
        (Frozen::Customer(_), _) => Err(invalid("must not be given for a customer")),
        (_, Direction::Debit) => Money::decode_positive(money, &Currencies::iso()),
        _ => Err(invalid("may be given with DEBIT only")),
    }
}

/// Whoever reads why something is refused has to know whether a state or a freeze says so.
fn reason_code(code: String) -> Decoded<String> {
    let code = field::code(code)?;
    if is_reserved(&code) {
        return Err(invalid("must not be one of the table of effects"));
    }
    Ok(code)
}

/// Freezes, has the ledger know, and gives the freeze.
pub(super) async fn order(
    rpc: &Rpc,
    call: &Call,
    operation: &str,
    order: Order,
) -> Result<Created<Shown>, Error> {
    let request = call.request(operation, order.request_id.clone(), &order, &rpc.clock)?;
    let (freeze, amount) = (order.freeze(&request), order.amount);
    let act = {
        let freeze = freeze.clone();
        move |conn: &mut PgConnection, begin: &Begin<'_>| insert(conn, begin, &freeze, amount)
    };
    if order.validate_only {
        rpc.would(call, "check_freeze", request, act).await?;
        return Ok(Created::Now((freeze, amount.map(|money| money.currency))));
    }
    let ordered = rpc.control(call, "order_freeze", request, freeze.name(), act).await?;
    let shown = find(rpc, call, ordered.resource()).await?;
    Ok(ordered.with(shown))
}

/// The first transaction. What is frozen is locked, so that no two orders together are too many,
/// and an account that is opened at the same time either is among those of the customer or finds
/// the freeze.
fn insert(
    conn: &mut PgConnection,
    begin: &Begin<'_>,
    freeze: &Freeze,
    amount: Option<Money>,
) -> Result<(), Error> {
    let (tenant, now) = (begin.tenant, begin.now());
    let stopped = match freeze.of {
        Frozen::Account(id) => {
            let account = accounts::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
            account.allow_freeze()?;
            let amount = amount.map(|money| in_currency(money, account.terms.currency));
            amount.transpose().at("amount").at("freeze")?;
            vec![id]
        }
        Frozen::Customer(id) => {
            let customer = customers::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
            customer.allow_change()?;
            account_holders::stopped_by(conn, tenant, id, now)?
        }
    };
    if freeze.end_time.is_some_and(|end| end <= now) {
        return Err(invalid("must be in the future").in_field("freeze.end_time").into());
    }
    check_room(conn, begin, freeze.of)?;
    if !freezes::insert(conn, tenant, freeze)? {
        return Err(Error::IdTaken(freeze.name()));
    }
    begin.change(conn, &stopped)?;
    record(conn, begin, "freeze.created", freeze)
}

/// Whether one more may hold: the ledger takes so many blocks of an account and no more.
fn check_room(conn: &mut PgConnection, begin: &Begin<'_>, of: Frozen) -> Result<(), Error> {
    let (accounts, customers, limit) = match of {
        Frozen::Account(id) => (vec![id], Vec::new(), ACCOUNT_FREEZES_MAX),
        Frozen::Customer(id) => (Vec::new(), vec![id], CUSTOMER_FREEZES_MAX),
    };
    let active = freezes::active(conn, begin.tenant, &accounts, &customers, begin.now())?;
    if active.len() < limit {
        return Ok(());
    }
    let message = format!("{} cannot have more than {limit} freezes that hold.", of.name());
    Err(Problem::new(Reason::TooManyItems, message).figure("limit", limit).into())
}

/// Records what became of a freeze.
pub(super) fn record(
    conn: &mut PgConnection,
    begin: &Begin<'_>,
    kind: &'static str,
    freeze: &Freeze,
) -> Result<(), Error> {
    let event = Event::new(begin.tenant, kind, freeze.name(), begin.now())
        .with("of", freeze.of.name())
        .with("direction", freeze.direction.name())
        .with("reason", freeze.reason_code.as_str())
        .with("authority", freeze.authority.as_str());
    Ok(events::record(conn, begin.tenant, &event)?)
}

/// A freeze by its name, or `RESOURCE_NOT_FOUND`: it has to be of what the name has in front.
pub(super) async fn find(rpc: &Rpc, call: &Call, name: &str) -> Result<Shown, Error> {
    let (tenant, (of, id)) = (call.tenant_id()?, parse_freeze_name(name).at("name")?);
    let account = |of| match of {
        Frozen::Account(id) => Some::<AccountId>(id),
        Frozen::Customer(_) => None,
    };
    let read = move |conn: &mut PgConnection| {
        let found = freezes::select(conn, tenant, id)?.filter(|found| found.of == of);
        let account = account(of).map(|id| accounts::select(conn, tenant, id)).transpose()?;
        let currency = account.flatten().map(|account| account.terms.currency);
        Ok::<_, Error>(found.map(|found| (found, currency)))
    };
    let found = rpc.db.read("get_freeze", call.scope(), read).await?;
    Ok(found.ok_or_else(|| Problem::not_found("freeze", name))?)
}
