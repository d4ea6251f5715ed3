//! What customers are to each other.

use futures_util::future::join_all;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as wire;
use tonic::{Response, Status};
use wire::relationship::Kind;

use crate::setup::{Client, World, new_customer, request_id};

async fn organisation(client: &mut Client) -> String {
    let mut request = new_customer();
    let customer = request.customer.as_mut().unwrap();
    customer.kind = wire::customer::Kind::Organisation.into();
    customer.profile.as_mut().unwrap().birth_date.clear();
    client.create_customer(request).await.unwrap().name
}

fn adding(parent: &str, kind: Kind, other: &str, share: i32) -> wire::AddRelationshipRequest {
    let relationship = wire::Relationship {
        kind: kind.into(),
        other: other.to_owned(),
        share_basis_points: share,
        ..Default::default()
    };
    wire::AddRelationshipRequest {
        parent: parent.to_owned(),
        relationship: Some(relationship),
        request_id: request_id(),
        ..Default::default()
    }
}

async fn add(
    client: &mut Client,
    request: wire::AddRelationshipRequest,
) -> Result<wire::Relationship, Status> {
    client.customers.add_relationship(request).await.map(Response::into_inner)
}

async fn remove(client: &mut Client, name: &str) -> Result<wire::Relationship, Status> {
    let (name, request_id) = (name.to_owned(), request_id());
    let request = wire::RemoveRelationshipRequest { name, request_id };
    client.customers.remove_relationship(request).await.map(Response::into_inner)
}

async fn list(client: &mut Client, parent: &str, show_ended: bool) -> Vec<wire::Relationship> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let (parent, page_size) = (parent.to_owned(), 1);
        let request = wire::ListRelationshipsRequest { parent, show_ended, page_size, page_token };
        let page = client.customers.list_relationships(request).await.unwrap().into_inner();
        found.extend(page.relationships);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

fn assert_field(answer: Result<wire::Relationship, Status>, field: &str) {
    let (reason, at, _) = refusal(&answer.unwrap_err());
    assert_eq!((reason, &*at), (Reason::FieldInvalid, field));
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_own_no_more_than_the_whole_at_any_time() {
    let world = World::start().await;
    let mut client = world.client();
    let firm = organisation(&mut client).await;
    let (anna, ben) = (client.customer().await, client.customer().await);
    let owner = |who: &str, share| adding(&firm, Kind::BeneficialOwner, who, share);
    let first = add(&mut client, owner(&anna, 6_000)).await.unwrap();
    assert_field(add(&mut client, owner(&ben, 4_001)).await, "relationship.share_basis_points");
    let check = wire::AddRelationshipRequest { validate_only: true, ..owner(&ben, 4_000) };
    add(&mut client, check).await.unwrap();
    add(&mut client, owner(&ben, 4_000)).await.unwrap();
    // What has ended makes room, and is shown on request only.
    let removed = remove(&mut client, &first.name).await.unwrap();
    assert!(removed.end_time.is_some());
    add(&mut client, owner(&anna, 5_000)).await.unwrap();
    let (current, all) =
        (list(&mut client, &firm, false).await, list(&mut client, &firm, true).await);
    assert_eq!((current.len(), all.len()), (2, 3));
    assert_eq!(all[0], removed, "the oldest first");
    assert_eq!(list(&mut client, &ben, false).await, current[..1], "from the other side too");
    let (reason, _, figures) = refusal(&remove(&mut client, &first.name).await.unwrap_err());
    assert_eq!((reason, &*figures["state"]), (Reason::InvalidTransition, "ENDED"));
    let foreign = first.name.replace(&firm, &anna);
    let refused = remove(&mut client, &foreign).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::ResourceNotFound);

    // Two at the same time do not pass each other by.
    let small = organisation(&mut client).await;
    let halves = [&anna, &ben].map(|who| {
        let (mut client, request) =
            (client.clone(), adding(&small, Kind::BeneficialOwner, who, 6_000));
        async move { add(&mut client, request).await.is_ok() }
    });
    assert_eq!(join_all(halves).await.into_iter().filter(|done| *done).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_for_kinds_of_customers() {
    let world = World::start().await;
    let mut client = world.client();
    let firm = organisation(&mut client).await;
    let (anna, ben) = (client.customer().await, client.customer().await);
    for (request, field) in [
        (adding(&anna, Kind::BeneficialOwner, &ben, 1), "relationship.kind"),
        (adding(&firm, Kind::Guardian, &ben, 0), "relationship.kind"),
        (adding(&firm, Kind::Unspecified, &ben, 0), "relationship.kind"),
        (adding(&firm, Kind::BeneficialOwner, &ben, 0), "relationship.share_basis_points"),
        (adding(&firm, Kind::BeneficialOwner, &ben, 10_001), "relationship.share_basis_points"),
        (adding(&anna, Kind::Guardian, &ben, 1), "relationship.share_basis_points"),
        (adding(&anna, Kind::Guardian, &anna, 0), "relationship.other"),
    ] {
        assert_field(add(&mut client, request).await, field);
    }
    let mut request = adding(&anna, Kind::Representative, &ben, 0);
    let relationship = request.relationship.as_mut().unwrap();
    relationship.start_time = Some(prost_types::Timestamp { seconds: 10, nanos: 0 });
    relationship.end_time = relationship.start_time;
    assert_field(add(&mut client, request.clone()).await, "relationship.end_time");
    request.relationship.as_mut().unwrap().end_time = None;
    let absent = format!("customers/{}", uuid::Uuid::now_v7());
    for request in
        [adding(&absent, Kind::Guardian, &ben, 0), adding(&anna, Kind::Guardian, &absent, 0)]
    {
        let refused = add(&mut client, request).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::ResourceNotFound);
    }
    request.relationship_id = uuid::Uuid::now_v7().to_string();
    let added = add(&mut client, request.clone()).await.unwrap();
    assert_eq!(add(&mut client, request.clone()).await.unwrap(), added, "a repeat");
    request.request_id = request_id();
    assert_eq!(refusal(&add(&mut client, request).await.unwrap_err()).0, Reason::IdTaken);
    // Who acts for each other makes no circle.
    add(&mut client, adding(&ben, Kind::Representative, &anna, 0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_owns_itself_through_others_however_many_add_at_once() {
    let world = World::start().await;
    let mut client = world.client();
    for length in [2, 3, 4] {
        let mut firms = Vec::new();
        for _ in 0..length {
            firms.push(organisation(&mut client).await);
        }
        // All but one step of the circle, whichever come first.
        let steps = (0..length).map(|n| {
            let (parent, other) = (&firms[n], &firms[(n + 1) % length]);
            let request = adding(parent, Kind::BeneficialOwner, other, 1_000);
            let mut client = client.clone();
            async move { add(&mut client, request).await }
        });
        let (added, refused): (Vec<_>, Vec<_>) =
            join_all(steps).await.into_iter().partition(Result::is_ok);
        assert_eq!((added.len(), refused.len()), (length - 1, 1), "a circle of {length}");
        for refused in refused {
            assert_field(refused, "relationship.other");
        }
        // Once a step is over, another may take its place.
        remove(&mut client, &added[0].as_ref().unwrap().name).await.unwrap();
        let open: Vec<String> =
            added[1..].iter().map(|added| added.as_ref().unwrap().name.clone()).collect();
        let missing =
            firms.iter().position(|firm| !open.iter().any(|name| name.starts_with(&**firm)));
        let parent = missing.unwrap();
        let other = &firms[(parent + 1) % length];
        add(&mut client, adding(&firms[parent], Kind::BeneficialOwner, other, 1)).await.unwrap();
    }
}
