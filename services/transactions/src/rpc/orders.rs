//! Orders, as every way of asking for them shares it.

use std::sync::Arc;

use shared::grpc::Call;
use shared::ids::Resource as _;
use shared::lane::Priority;
use shared::principal::{Scope, missing};
use shared::problem::{Problem, Reason};

use super::Rpc;
use super::introduce::introduce;
use super::replay::replay;
use crate::domain::{AccountKind, BatchId, Made, Order};
use crate::engine::{self, Ask, Item, Job, Settled, preview};

/// The permission to override rules.
const FORCE: &str = "transactions.transactions.force";
/// The permission to bring what another ledger posted.
const IMPORT: &str = "transactions.transactions.import";
/// The permission to book where a period is closed softly.
const BOOK_SOFT_CLOSED: &str = "transactions.periods.postSoftClosed";
/// The permission to see balances, and the figures that would tell them.
const SEE_BALANCES: &str = "transactions.balances.get";
/// The figures of refusals that tell balances. In LIMIT_EXCEEDED "limit" is a name, and tells none.
const BALANCES: [&str; 7] =
    ["available", "held", "blocked", "limit", "shortfall", "used", "used_count"];

/// The method by which an order is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    CreateTransaction,
    CreateTransfer,
    ReverseTransaction,
    CreateHold,
    CaptureHold,
    ReleaseHold,
    ExtendHold,
    IncreaseHold,
}

impl Method {
    /// The operation by which a request id of it is found again.
    fn operation(self) -> &'static str {
        match self {
            Self::CreateTransaction | Self::CreateTransfer => "create-transaction",
            Self::ReverseTransaction => "reverse-transaction",
            Self::CreateHold => "create-hold",
            Self::CaptureHold => "capture-hold",
            Self::ReleaseHold => "release-hold",
            Self::ExtendHold => "extend-hold",
            Self::IncreaseHold => "increase-hold",
        }
    }

    /// The permission that it needs, also as an item of a batch.
    fn permission(self) -> &'static str {
        match self {
            Self::CreateTransaction | Self::CreateTransfer => "transactions.transactions.create",
            Self::ReverseTransaction => "transactions.transactions.reverse",
            Self::CreateHold => "transactions.holds.create",
            Self::CaptureHold => "transactions.holds.capture",
            Self::ReleaseHold => "transactions.holds.release",
            Self::ExtendHold => "transactions.holds.extend",
            Self::IncreaseHold => "transactions.holds.increase",
        }
    }

    /// The field of a batch's item that asks for it.
    pub(super) fn item_field(self) -> &'static str {
        match self {
            Self::CreateTransaction => "transaction",
            Self::CreateTransfer => "transfer",
            Self::ReverseTransaction => "reversal",
            Self::CreateHold => "hold",
            Self::CaptureHold => "capture",
            Self::ReleaseHold => "release",
            Self::ExtendHold => "extension",
            Self::IncreaseHold => "increase",
        }
    }

    /// A field of what is posted or held, as the request has it.
    fn own_field(self, field: &str) -> String {
        match self {
            Self::CreateTransaction => format!("transaction.{field}"),
            Self::CreateHold => format!("hold.{field}"),
            // The entries of a transfer are its own fields.
            Self::CreateTransfer => {
                let inside = field.strip_prefix("entries[").and_then(|e| e.split_once("]."));
                inside.map_or(field, |(_, field)| field).to_owned()
            }
            _ => field.to_owned(),
        }
    }
}

/// Orders that are asked for.
pub(super) struct Asked {
    /// One, or the items of a batch, which is done all or nothing.
    pub(super) orders: Vec<(Method, Order)>,
    pub(super) is_batch: bool,
    /// Empty only where it is validated.
    pub(super) request_id: String,
    pub(super) validate_only: bool,
    pub(super) priority: Priority,
}

impl Asked {
    /// One order.
    pub(super) fn one(
        method: Method,
        order: Order,
        request_id: String,
        validate_only: bool,
        priority: Priority,
    ) -> Self {
        let orders = vec![(method, order)];
        Self { orders, is_batch: false, request_id, validate_only, priority }
    }
}

/// What came of it, and whether it had before.
pub(super) struct Done {
    pub(super) made: Vec<Made>,
    pub(super) replayed: bool,
}

/// Has orders done, once for each request id.
pub(super) async fn submit(rpc: &Rpc, call: &Call, asked: Asked) -> Result<Done, Problem> {
    let done = match check(rpc, call, &asked) {
        Ok(()) => with_introduction(rpc, call, &asked).await,
        Err(problem) => Err(problem),
    };
    done.map_err(|problem| tell(call, &asked, problem))
}

/// Whether the caller may ask for it, and whether it is of the present.
fn check(rpc: &Rpc, call: &Call, asked: &Asked) -> Result<(), Problem> {
    let now = rpc.clock.now();
    for (index, (method, order)) in asked.orders.iter().enumerate() {
        let item = |problem: Problem| match asked.is_batch {
            true => problem.figure("item", index),
            false => problem,
        };
        require(call, method.permission()).map_err(item)?;
        if order.force().is_some() {
            require(call, FORCE).map_err(item)?;
        }
        if order.draft().is_some_and(|draft| draft.import_source.is_some()) {
            require(call, IMPORT).map_err(item)?;
        }
        if order.draft().and_then(|draft| draft.effective_time).is_some_and(|time| time > now) {
            let problem = Problem::new(Reason::FieldInvalid, "must not be in the future");
            return Err(item(problem.in_field("effective_time")));
        }
    }
    Ok(())
}

fn require(call: &Call, permission: &str) -> Result<(), Problem> {
    match call.principal.require(permission)? {
        Scope::Tenant => Ok(()),
        Scope::Own => Err(missing(permission)),
    }
}

/// Whether the caller may see what accounts have.
pub(super) fn sees_balances(call: &Call) -> bool {
    require(call, SEE_BALANCES).is_ok()
}

/// A refusal as the caller is told: with the fields of its own request, and without figures that it
/// may not see.
fn tell(call: &Call, asked: &Asked, mut problem: Problem) -> Problem {
    let item = problem.figures.get("item").and_then(|item| item.parse::<usize>().ok());
    // What is wrong with a batch as a whole is of no item.
    let index = if asked.is_batch { item } else { Some(0) };
    let method = index.and_then(|index| asked.orders.get(index)).map(|(method, _)| *method);
    if let (Some(method), Some(field)) = (method, &problem.field) {
        let field = method.own_field(field);
        problem.field = Some(match item {
            Some(item) if asked.is_batch => {
                format!("items[{item}].{}.{field}", method.item_field())
            }
            _ => field,
        });
    }
    if !sees_balances(call) {
        hide_balances(&mut problem);
    }
    problem
}

/// Takes out of a refusal what would tell a balance.
pub(super) fn hide_balances(problem: &mut Problem) {
    let names_limit = problem.reason == Reason::LimitExceeded;
    problem.figures.retain(|name, _| match name.as_str() {
        "limit" if names_limit => true,
        name => !BALANCES.contains(&name),
    });
    if problem.reason == Reason::InsufficientFunds {
        let account = problem.figures.get("account").map_or("The account", String::as_str);
        problem.message = format!("{account} has not enough available.");
    }
}

async fn with_introduction(rpc: &Rpc, call: &Call, asked: &Asked) -> Result<Done, Problem> {
    match attempt(rpc, call, asked).await {
        // An account that accounts has just opened, and that has not reached the ledger yet.
        Err(problem) if is_unknown_account(&problem) => {
            let accounts = job(rpc, call, asked)?.accounts();
            match introduce(rpc, call, accounts).await? {
                true => attempt(rpc, call, asked).await,
                false => Err(problem),
            }
        }
        answer => answer,
    }
}

fn is_unknown_account(problem: &Problem) -> bool {
    let kind = problem.figures.get("type").map(String::as_str);
    problem.reason == Reason::ResourceNotFound && kind == Some(AccountKind::TYPE)
}

async fn attempt(rpc: &Rpc, call: &Call, asked: &Asked) -> Result<Done, Problem> {
    let job = job(rpc, call, asked)?;
    if asked.validate_only {
        let now = rpc.clock.now();
        let decide = move |conn: &mut diesel::PgConnection| preview(conn, &job, now);
        let made = rpc.db.read("validate_orders", call.scope(), decide).await?;
        return Ok(Done { made, replayed: false });
    }
    match engine::submit(&rpc.lanes, job, call.deadline, asked.priority).await? {
        Settled::Done(made) => Ok(Done { made, replayed: false }),
        Settled::Replayed(name) => {
            let captures = asked
                .orders
                .first()
                .is_some_and(|(method, _)| *method == Method::CaptureHold && !asked.is_batch);
            let made = replay(rpc, call, &name, captures).await?;
            Ok(Done { made, replayed: true })
        }
    }
}

fn job(rpc: &Rpc, call: &Call, asked: &Asked) -> Result<Job, Problem> {
    let (request_id, clock) = (asked.request_id.clone(), &rpc.clock);
    let request = match (asked.is_batch, asked.orders.as_slice()) {
        (false, [(method, order)]) => call.request(method.operation(), request_id, order, clock)?,
        (_, all) => {
            let orders: Vec<&Order> = all.iter().map(|(_, order)| order).collect();
            call.request("execute-batch", request_id, &orders, clock)?
        }
    };
    let batch = asked.is_batch.then(BatchId::generate);
    let books_soft_closed = require(call, BOOK_SOFT_CLOSED).is_ok();
    let item = |(_, order): &(Method, Order)| {
        let mut order = order.clone();
        if let Some(draft) = order.draft_mut() {
            draft.books_soft_closed = books_soft_closed;
        }
        Item::new(order)
    };
    let items = asked.orders.iter().map(item).collect();
    let tenant = Arc::clone(call.tenant()?);
    Ok(Job { tenant, ask: Ask::Orders { request, batch, items } })
}
