//! Periods, as the methods that change and list them share it.

use std::collections::BTreeMap;

use diesel::PgConnection;
use shared::changes;
use shared::grpc::Call;
use shared::grpc::call::replayed;
use shared::ids::TenantId;
use shared::outcome::{Once, once};
use shared::problem::{Problem, Reason};
use shared::time::{Day, Timestamp};
use strongroom_proto::transactions::v1 as wire;
use tonic::Response;

use super::Rpc;
use crate::domain::{Closings, Month, NotClosed, PeriodChange, PeriodState, Step};
use crate::error::Error;
use crate::store::calendars;
use crate::store::periods::{self, Changed};

/// A month whose state is to be changed.
pub(super) struct Asked {
    pub(super) step: Step,
    pub(super) month: Month,
    pub(super) reason_code: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) validate_only: bool,
}

/// A month as it stands.
#[derive(Debug, Clone)]
pub(super) struct Period {
    pub(super) month: Month,
    state: PeriodState,
    changed: Option<Changed>,
}

impl Period {
    pub(super) fn encode(self) -> wire::Period {
        use wire::period::State;
        let state = match self.state {
            PeriodState::Open => State::Open,
            PeriodState::SoftClosed => State::SoftClosed,
            PeriodState::Closed => State::Closed,
        };
        let (time, principal) = self.changed.map(|one| (one.time, one.principal)).unzip();
        wire::Period {
            name: self.month.name(),
            state: state.into(),
            update_time: time.map(Timestamp::encode),
            principal: principal.unwrap_or_default(),
        }
    }
}

/// Reads the months from `first` to `last` as they stand, the latest first. The caller bounds them.
pub(super) fn read(
    conn: &mut PgConnection,
    tenant: TenantId,
    (first, last): (Month, Month),
) -> Result<Vec<Period>, Error> {
    let closings = calendars::select(conn, tenant)?;
    let mut changed: BTreeMap<_, _> =
        periods::between(conn, tenant, (first, last))?.into_iter().collect();
    let months = std::iter::successors(Some(last), |month| Some(month.previous()));
    let period = |month: Month| Period {
        month,
        state: closings.state(month.first()),
        changed: changed.remove(&month),
    };
    Ok(months.take_while(|month| *month >= first).map(period).collect())
}

/// Changes the state of a month, once for its request id.
pub(super) async fn change(
    rpc: &Rpc,
    call: &Call,
    asked: Asked,
) -> Result<Response<wire::Period>, Problem> {
    let tenant = call.tenant()?;
    let (id, today, time) = (tenant.id, rpc.clock.now().day_in(&tenant.zone), rpc.clock.now());
    let Asked { step, month, reason_code, request_id, validate_only } = asked;
    let changed = Changed { time, principal: call.principal.subject.clone() };
    let left = Period { month, state: step.state(), changed: Some(changed.clone()) };
    if validate_only {
        let check = move |conn: &mut PgConnection| {
            take(calendars::select(conn, id)?, step, month, today).map(|_| ())
        };
        rpc.db.read("validate_period", call.scope(), check).await?;
        return Ok(Response::new(left.encode()));
    }
    let what = (month, &reason_code);
    let request = request_id.map(|id| call.request(step.operation(), id, &what, &rpc.clock));
    // The lock waits for every posting that has seen the month open, and makes later ones wait.
    let write = move |conn: &mut PgConnection| {
        let before = calendars::lock(conn, id)?;
        calendars::update(conn, id, take(before, step, month, today)?)?;
        let first = before.first_changed(step, month);
        periods::record(conn, id, (first, month), step.state(), &changed)?;
        let (principal, reason) = (changed.principal.as_str(), reason_code.as_deref());
        let leaf = PeriodChange::new(id, (step, month), principal, reason, time).leaf();
        changes::record(conn, id, step.kind(), &month.name(), &leaf, time)?;
        Ok::<_, Error>(())
    };
    let (request, name) = (request.transpose()?, month.name());
    match once(&rpc.db, "change_period", call.scope(), request, name, write).await? {
        Once::Done(()) => Ok(Response::new(left.encode())),
        Once::Replayed(_) => {
            let now = move |conn: &mut PgConnection| read(conn, id, (month, month));
            let found = rpc.db.read("get_period", call.scope(), now).await?.pop();
            let found = found.ok_or_else(Problem::internal)?;
            Ok(replayed(found.encode()))
        }
    }
}

fn take(closings: Closings, step: Step, month: Month, today: Day) -> Result<Closings, Error> {
    closings.take(step, month, today).map_err(|refused| {
        match refused {
            NotClosed::NotEnded => {
                Problem::new(Reason::FieldInvalid, "must be a month that has ended")
                    .in_field("name")
            }
            NotClosed::OutOfOrder { state, next } => {
                let (name, state, allowed) = (month.name(), state.name(), step.allowed());
                let next = next.map_or_else(|| "NONE".to_owned(), Month::name);
                let message = format!("{name} is {state}. The next one for this is {next}.");
                Problem::new(Reason::InvalidTransition, message)
                    .figure("period", name)
                    .figure("state", state)
                    .figure("allowed", allowed)
                    .figure("next", next)
            }
        }
        .into()
    })
}
