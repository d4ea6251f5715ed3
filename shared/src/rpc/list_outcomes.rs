//! `OutcomeService.ListOutcomes`.

use strongroom_proto::outcomes::v1 as wire;
use tonic::{Request, Response, Status};

use super::outcomes::{OutcomeRpc, encode};
use crate::db::DbError;
use crate::field::{At as _, Decoded};
use crate::filter::{self, Period, Term};
use crate::grpc::Call;
use crate::ids::{Id, Resource};
use crate::outcome::{self, Outcome, OutcomeState, Place};
use crate::page::{Found, Page};
use crate::problem::{Problem, Reason, reason_from_name};

const QUERY: &str = "list-outcomes";
const FIELDS: [&str; 5] = ["account", "operation", "reason", "state", "create_time"];

/// What refusals are about, by the name that their figure has.
enum Account {}

impl Resource for Account {
    const COLLECTION: &'static str = "accounts";
    const TYPE: &'static str = "account";
}

/// What a list lets through. The account and the period are looked for; the rest is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Filter {
    account: Option<Id<Account>>,
    period: Period,
    operation: Option<String>,
    reason: Option<Reason>,
    state: Option<OutcomeState>,
}

pub(super) async fn call(
    rpc: &OutcomeRpc,
    request: Request<wire::ListOutcomesRequest>,
) -> Result<Response<wire::ListOutcomesResponse>, Status> {
    let call = Call::of(&request)?;
    let tenant = call.tenant()?;
    let request = request.into_inner();
    let filter = parse(&request.filter, rpc.operations).at("filter")?;
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::decode(&tenant.key, QUERY, &(tenant.id, &request.filter), size, token)?;
    let found = handle(rpc, &call, filter, page.clone()).await?;
    let (outcomes, next_page_token) =
        page.fill(found, rpc.message_bytes_max, Outcome::place, encode);
    Ok(Response::new(wire::ListOutcomesResponse { outcomes, next_page_token }))
}

async fn handle(
    rpc: &OutcomeRpc,
    call: &Call,
    filter: Filter,
    page: Page<Place>,
) -> Result<Found<Outcome, Place>, Problem> {
    let tenant = call.tenant_id()?;
    let account = filter.account.map(Id::name);
    let read = move |conn: &mut diesel::PgConnection| {
        let candidates = |after: Option<&Place>, limit| {
            outcome::list(conn, tenant, account.as_deref(), filter.period, after, limit)
        };
        let found = Found::among(&page, candidates, Outcome::place, |one| filter.keeps(one));
        Ok::<_, DbError>(found?)
    };
    Ok(rpc.db.read("list_outcomes", call.scope(), read).await?)
}

impl Filter {
    fn keeps(&self, outcome: &Outcome) -> bool {
        self.operation.as_ref().is_none_or(|operation| outcome.operation == *operation)
            && self.reason.is_none_or(|reason| outcome.reason == Some(reason))
            && self.state.is_none_or(|state| outcome.state == state)
    }
}

fn parse(text: &str, operations: &[&str]) -> Decoded<Filter> {
    let mut filter = Filter::default();
    for term in filter::parse(text)? {
        match term.path.as_str() {
            "account" => term.set(&mut filter.account, term.name()?)?,
            "operation" => term.set(&mut filter.operation, operation(&term, operations)?)?,
            "reason" => term.set(&mut filter.reason, term.read(reason)?)?,
            "state" => term.set(&mut filter.state, state(&term)?)?,
            "create_time" => filter.period.add(&term)?,
            _ => return Err(term.unknown(&FIELDS)),
        }
    }
    Ok(filter)
}

fn operation(term: &Term, operations: &[&str]) -> Decoded<String> {
    let operation = term.equal()?;
    if operations.contains(&operation) {
        return Ok(operation.to_owned());
    }
    let operations = operations.join(", ");
    Err(term.refused(format_args!("must compare operation with one of {operations}")))
}

/// A reason by its name in the contract, with its prefix or without.
fn reason(name: &str) -> Option<Reason> {
    reason_from_name(name.strip_prefix("ERROR_REASON_").unwrap_or(name))
}

/// A state by its name in the contract, with its prefix or without.
fn state(term: &Term) -> Decoded<OutcomeState> {
    let name = term.equal()?;
    match name.strip_prefix("STATE_").unwrap_or(name) {
        "UNKNOWN" => Ok(OutcomeState::Unknown),
        "IN_PROGRESS" => Ok(OutcomeState::InProgress),
        "REJECTED" => Ok(OutcomeState::Rejected),
        _ => Err(term.refused("must compare state with UNKNOWN, IN_PROGRESS or REJECTED")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const OPERATIONS: [&str; 2] = ["create-thing", "drop-thing"];

    #[test]
    fn every_field_is_read() {
        let account = Id::generate();
        let text = format!(
            "account = {account} AND operation = drop-thing AND reason = INSUFFICIENT_FUNDS \
             AND state = STATE_REJECTED AND create_time >= \"1970-01-01T00:00:01Z\" \
             AND create_time < \"1970-01-01T00:00:02Z\""
        );
        let time = |micros| Some(Timestamp::from_micros(micros));
        let expected = Filter {
            account: Some(account),
            period: Period { from: time(1_000_000), before: time(2_000_000) },
            operation: Some("drop-thing".to_owned()),
            reason: Some(Reason::InsufficientFunds),
            state: Some(OutcomeState::Rejected),
        };
        assert_eq!(parse(&text, &OPERATIONS).unwrap(), expected);
        let prefixed = parse("reason = ERROR_REASON_KYC_REQUIRED", &OPERATIONS).unwrap();
        assert_eq!(prefixed.reason, Some(Reason::KycRequired));
        assert_eq!(parse("", &OPERATIONS).unwrap(), Filter::default());
    }

    #[test]
    fn what_is_refused_says_why() {
        for (term, sentence) in [
            ("account = \"\"", "must compare account with accounts/{uuid}"),
            ("account = holds/00000000-0000-7000-8000-000000000001", "must compare account with"),
            ("account >= accounts/1", "must compare with ="),
            ("operation = x", "must compare operation with one of create-thing, drop-thing"),
            ("reason = BAD_LUCK", "must have a usable reason"),
            ("state = SUCCEEDED", "must compare state with UNKNOWN, IN_PROGRESS or REJECTED"),
            ("create_time = \"2026-11-01T00:00:00Z\"", "must compare times with >= or <"),
            ("request_id = r", "must compare account, operation, reason, state or create_time"),
            ("principal.x = \"' OR true --\"", "must compare account,"),
        ] {
            let text = format!("state = UNKNOWN AND {term}");
            let problem = parse(&text, &OPERATIONS).unwrap_err();
            assert_eq!(problem.reason, Reason::FilterInvalid, "{text}");
            assert_eq!(problem.figures["position"], "21", "{text}");
            assert!(problem.message.starts_with(sentence), "{text}: {problem}");
        }
        assert!(parse("reason = DEADLINE AND reason = DEADLINE", &OPERATIONS).is_err());
    }
}
