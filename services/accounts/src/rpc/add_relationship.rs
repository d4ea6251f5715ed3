//! `AddRelationship`.

use std::collections::BTreeSet;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::outcome::Once;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};

use super::{Rpc, encode};
use crate::domain::{
    CustomerId, Relationship, RelationshipId, RelationshipKind, Span, WHOLE, most_at_once,
};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{customers, relationships};

const OPERATION: &str = "add-relationship";
/// The most customers that are followed in search of a circle, and the most relationships of one
/// kind that customers may have at one step of it.
const FOLLOWED_MAX: usize = 1_000;

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Debug, Clone, Serialize)]
struct AddRelationship {
    id: Option<RelationshipId>,
    customer: CustomerId,
    kind: RelationshipKind,
    other: CustomerId,
    share: Option<i32>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    #[serde(skip)]
    request_id: String,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::AddRelationshipRequest>,
) -> Result<Response<wire::Relationship>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    Ok(handle(rpc, &call, command).await?.respond(encode::relationship))
}

fn decode(request: wire::AddRelationshipRequest) -> Decoded<AddRelationship> {
    let customer = CustomerId::parse_name(&request.parent).at("parent")?;
    let relationship = field::required(request.relationship).at("relationship")?;
    let fields = fields(&relationship, customer).at("relationship")?;
    Ok(AddRelationship {
        id: RelationshipId::parse_chosen(&request.relationship_id).at("relationship_id")?,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
        ..fields
    })
}

fn fields(wire: &wire::Relationship, customer: CustomerId) -> Decoded<AddRelationship> {
    let kind = RelationshipKind::from_number(wire.kind)
        .ok_or_else(|| invalid("must be BENEFICIAL_OWNER, GUARDIAN or REPRESENTATIVE"))
        .at("kind")?;
    let other = CustomerId::parse_name(&wire.other).at("other")?;
    if other == customer {
        return Err(invalid("must be another customer")).at("other");
    }
    let share = share(kind, wire.share_basis_points).at("share_basis_points")?;
    let start = wire.start_time.map(Timestamp::decode).transpose().at("start_time")?;
    let end = wire.end_time.map(Timestamp::decode).transpose().at("end_time")?;
    let (request_id, validate_only) = (String::new(), false);
    let id = None;
    Ok(AddRelationship { id, customer, kind, other, share, start, end, request_id, validate_only })
}

fn share(kind: RelationshipKind, share: i32) -> Decoded<Option<i32>> {
    match (kind, share) {
        (RelationshipKind::BeneficialOwner, 1..=WHOLE) => Ok(Some(share)),
        (RelationshipKind::BeneficialOwner, _) => {
            Err(invalid(format!("must be 1 to {WHOLE}, in hundredths of a per cent")))
        }
        (_, 0) => Ok(None),
        _ => Err(invalid("must be 0 but for BENEFICIAL_OWNER")),
    }
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    command: AddRelationship,
) -> Result<Created<Relationship>, Error> {
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let relationship = Relationship {
        id: command.id.unwrap_or_else(RelationshipId::generate),
        customer: command.customer,
        kind: command.kind,
        other: command.other,
        share: command.share,
        span: Span { start: command.start.unwrap_or(now), end: command.end },
        create_time: now,
    };
    let adding = relationship;
    if command.validate_only {
        // A write that is rolled back, because it takes the same locks.
        let check = move |conn: &mut PgConnection| {
            add(conn, tenant, &adding)?;
            Err::<(), _>(Error::Checked)
        };
        return match rpc.db.write("check_relationship", call.scope(), check).await {
            Ok(()) | Err(Error::Checked) => Ok(Created::Now(relationship)),
            Err(error) => Err(error),
        };
    }
    let act = move |conn: &mut PgConnection| {
        add(conn, tenant, &adding)?;
        let event = Event::new(tenant, "relationship.added", adding.name(), now)
            .with("customer", adding.customer.name())
            .with("kind", adding.kind.name())
            .with("other", adding.other.name());
        Ok(events::record(conn, tenant, &event)?)
    };
    let name = relationship.name();
    match rpc.once(call, "add_relationship", request, name, act).await? {
        Once::Done(()) => Ok(Created::Now(relationship)),
        Once::Replayed(name) => find(rpc, call, &name).await.map(Created::Before),
    }
}

/// A relationship by its name.
pub(super) async fn find(rpc: &Rpc, call: &Call, name: &str) -> Result<Relationship, Error> {
    let (tenant, (customer, id)) = (call.tenant_id()?, parse_name(name).at("name")?);
    let read = move |conn: &mut PgConnection| relationships::select(conn, tenant, id);
    let found = rpc.db.read("get_relationship", call.scope(), read).await?;
    let found = found.filter(|found| found.customer == customer);
    Ok(found.ok_or_else(|| Problem::not_found("relationship", name))?)
}

/// Reads `customers/{uuid}/relationships/{uuid}`.
pub(super) fn parse_name(name: &str) -> Decoded<(CustomerId, RelationshipId)> {
    let parse = || {
        let (customer, id) = name.split_once("/relationships/")?;
        let id = RelationshipId::parse_chosen(id).ok().flatten()?;
        Some((CustomerId::parse_name(customer).ok()?, id))
    };
    parse().ok_or_else(|| invalid("must be customers/{uuid}/relationships/{uuid}"))
}

/// Adds a relationship where it may be. Both customers stay as they are meanwhile, and of a kind
/// without circles nobody else adds one.
fn add(conn: &mut PgConnection, tenant: TenantId, adding: &Relationship) -> Result<(), Error> {
    if adding.span.end.is_some_and(|end| end <= adding.span.start) {
        let sentence = "must be later than the start";
        return Err(invalid(sentence).in_field("relationship.end_time").into());
    }
    if adding.kind.is_acyclic() {
        relationships::lock_graph(conn, tenant, adding.kind)?;
    }
    for id in BTreeSet::from([adding.customer, adding.other]) {
        let held = customers::hold(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        if id == adding.customer {
            held.allow_change()?;
            adding.kind.allow(held.kind).at("relationship.kind")?;
        }
    }
    if let Some(share) = adding.share {
        check_shares(conn, tenant, adding, share)?;
    }
    if adding.kind.is_acyclic() {
        check_circle(conn, tenant, adding)?;
    }
    if !relationships::insert(conn, tenant, adding)? {
        return Err(Error::IdTaken(adding.name()));
    }
    Ok(())
}

/// Whether all owners together own no more than the whole, at any time.
fn check_shares(
    conn: &mut PgConnection,
    tenant: TenantId,
    adding: &Relationship,
    share: i32,
) -> Result<(), Error> {
    let owners = neighbours(conn, tenant, &[adding.customer], adding)?;
    let shares = owners.iter().filter_map(|owner| Some((owner.span, owner.share?)));
    let shares: Vec<(Span, i32)> = shares.collect();
    let together = most_at_once(&shares, adding.span).saturating_add(share);
    if together <= WHOLE {
        return Ok(());
    }
    let sentence = format!("must leave all owners together at most {WHOLE}, and not {together}");
    Err(invalid(sentence).in_field("relationship.share_basis_points").into())
}

/// Whether the customer is not this to the other already, at the same time, directly or through
/// others.
fn check_circle(
    conn: &mut PgConnection,
    tenant: TenantId,
    adding: &Relationship,
) -> Result<(), Error> {
    let mut seen = BTreeSet::from([adding.other]);
    let mut next = vec![adding.other];
    while !next.is_empty() {
        let found = neighbours(conn, tenant, &next, adding)?;
        next = found.into_iter().map(|found| found.other).filter(|id| seen.insert(*id)).collect();
        if seen.contains(&adding.customer) {
            let sentence = "must not be a customer to whom this one is the same, through others \
                            neither";
            return Err(invalid(sentence).in_field("relationship.other").into());
        }
        if seen.len() > FOLLOWED_MAX {
            return Err(too_many());
        }
    }
    Ok(())
}

/// What others are to some customers, of the kind and in the time of what is added.
fn neighbours(
    conn: &mut PgConnection,
    tenant: TenantId,
    customers: &[CustomerId],
    adding: &Relationship,
) -> Result<Vec<Relationship>, Error> {
    let (kind, span) = (adding.kind, adding.span);
    let found = relationships::within(conn, tenant, customers, kind, span, FOLLOWED_MAX)?;
    found.ok_or_else(too_many)
}

fn too_many() -> Error {
    let message = format!("The relationships of this kind are more than {FOLLOWED_MAX}.");
    Problem::new(Reason::TooManyItems, message).figure("limit", FOLLOWED_MAX).into()
}
