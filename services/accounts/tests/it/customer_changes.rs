//! What becomes of customers: activation, changes, and how they are found again.

use std::collections::BTreeMap;

use prost_types::FieldMask;
use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::outcomes::v1::outcome;
use tonic::{Response, Status};
use wire::customer::{Kind, State};
use wire::lookup_customer_request::Key;

use crate::fakes::Failure;
use crate::setup::{Client, MARKER, World, new_customer, profile, request_id, uuid_of};

fn assert_refused(
    answer: Result<impl std::fmt::Debug, Status>,
    reason: Reason,
) -> BTreeMap<String, String> {
    let (refused, _, figures) = refusal(&answer.unwrap_err());
    assert_eq!(refused, reason);
    figures.into_iter().collect()
}

async fn activate(client: &mut Client, name: &str) -> Result<wire::Customer, Status> {
    let (name, request_id) = (name.to_owned(), request_id());
    let request = wire::ActivateCustomerRequest { name, etag: String::new(), request_id };
    client.customers.activate_customer(request).await.map(Response::into_inner)
}

fn ids(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(kind, value)| ((*kind).to_owned(), (*value).to_owned())).collect()
}

fn with_ids(pairs: &[(&str, &str)]) -> wire::CreateCustomerRequest {
    let mut request = new_customer();
    request.customer.as_mut().unwrap().external_ids = ids(pairs);
    request
}

fn change(name: &str, mask: &[&str]) -> wire::UpdateCustomerRequest {
    let paths = mask.iter().map(|path| (*path).to_owned()).collect();
    wire::UpdateCustomerRequest {
        customer: Some(wire::Customer { name: name.to_owned(), ..Default::default() }),
        update_mask: Some(FieldMask { paths }),
        request_id: request_id(),
        validate_only: false,
    }
}

async fn update(
    client: &mut Client,
    request: wire::UpdateCustomerRequest,
) -> Result<wire::Customer, Status> {
    client.customers.update_customer(request).await.map(Response::into_inner)
}

async fn look_up(client: &mut Client, key: Key, purpose: &str) -> Result<Vec<String>, Status> {
    let request = wire::LookupCustomerRequest { key: Some(key), purpose: purpose.to_owned() };
    let found = client.customers.lookup_customer(request).await?.into_inner().customers;
    Ok(found.into_iter().map(|customer| customer.name).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_waits_is_activated_once_it_is_complete() {
    let world = World::start().await;
    let mut client = world.client();
    let request = wire::CreateCustomerRequest {
        customer_id: uuid::Uuid::now_v7().to_string(),
        wait: true,
        ..new_customer()
    };
    let name = format!("customers/{}", request.customer_id);
    assert_refused(activate(&mut client, &name).await, Reason::ResourceNotFound);
    world.records.set(Fault::Cut);
    assert_refused(client.create_customer(request.clone()).await, Reason::PeerUnavailable);
    assert_refused(activate(&mut client, &name).await, Reason::RequestInProgress);
    world.records.set(Fault::None);
    let waiting = client.create_customer(request).await.unwrap();
    assert_eq!(waiting.state(), State::Pending);

    let stale = wire::ActivateCustomerRequest {
        name: name.clone(),
        etag: "\"1\"".to_owned(),
        request_id: request_id(),
    };
    let figures =
        assert_refused(client.customers.activate_customer(stale).await, Reason::EtagMismatch);
    assert_eq!(figures["etag"], waiting.etag);
    assert_eq!(activate(&mut client, &name).await.unwrap().state(), State::Active);
    let figures = assert_refused(activate(&mut client, &name).await, Reason::InvalidTransition);
    assert_eq!((&*figures["state"], &*figures["allowed"]), ("ACTIVE", "PENDING"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_id_has_one_holder() {
    let world = World::start().await;
    let mut client = world.client();
    let request = with_ids(&[("CRM", "7"), ("ERP", "x")]);
    let anna = client.create_customer(request).await.unwrap();
    assert_eq!(anna.external_ids, ids(&[("CRM", "7"), ("ERP", "x")]));
    // Another kind is another id, and another value too.
    let request = with_ids(&[("CRM", "8"), ("SHOP", "7")]);
    let ben = client.create_customer(request).await.unwrap();

    let taken = with_ids(&[("CRM", "7"), ("ZZ", "1")]);
    for validate_only in [true, false] {
        let request = wire::CreateCustomerRequest { validate_only, ..taken.clone() };
        let figures =
            assert_refused(client.create_customer(request).await, Reason::ExternalIdTaken);
        assert_eq!((&figures["holder"], &*figures["kind"]), (&anna.name, "CRM"));
        let mut request = change(&ben.name, &["external_ids"]);
        request.customer.as_mut().unwrap().external_ids = ids(&[("CRM", "7")]);
        request.validate_only = validate_only;
        let figures = assert_refused(update(&mut client, request).await, Reason::ExternalIdTaken);
        assert_eq!(figures["holder"], anna.name);
    }
    assert_eq!(client.get_customer(&ben.name).await.unwrap(), ben);
    let outcome = client.outcome("create-customer", &taken.request_id).await;
    assert_eq!(outcome.state(), outcome::State::Unknown, "the request id stays free");

    // What is given back is free for others.
    update(&mut client, change(&anna.name, &["external_ids"])).await.unwrap();
    client.create_customer(taken).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_takes_over_what_its_mask_names() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.create_customer(with_ids(&[("CRM", "7")])).await.unwrap();
    let name = &customer.name;
    let mut request = change(name, &["labels"]);
    let body = request.customer.as_mut().unwrap();
    body.labels = ids(&[("tier", "gold")]);
    body.external_ids = ids(&[("CRM", "9")]);
    body.etag.clone_from(&customer.etag);
    let changed = update(&mut client, request.clone()).await.unwrap();
    assert_eq!(
        (&changed.labels, &changed.external_ids),
        (&ids(&[("tier", "gold")]), &ids(&[("CRM", "7")]))
    );
    assert_ne!(changed.etag, customer.etag);
    assert_eq!(update(&mut client, request.clone()).await.unwrap(), changed, "a repeat");
    let again = wire::UpdateCustomerRequest { request_id: request_id(), ..request };
    assert_refused(update(&mut client, again).await, Reason::EtagMismatch);

    // Without a mask it is what is populated.
    let mut request = change(name, &[]);
    let body = request.customer.as_mut().unwrap();
    body.external_ids = ids(&[("CRM", "9")]);
    body.kind = Kind::Person.into();
    let changed = update(&mut client, request).await.unwrap();
    assert_eq!(changed.external_ids, ids(&[("CRM", "9")]));
    assert_eq!(changed.labels, ids(&[("tier", "gold")]));
    for (mask, field) in
        [(&["state"][..], "update_mask"), (&[], "update_mask"), (&["profile"], "customer.profile")]
    {
        let refused = update(&mut client, change(name, mask)).await.unwrap_err();
        let (reason, at, _) = refusal(&refused);
        assert_eq!((reason, &*at), (Reason::FieldInvalid, field));
    }
    let mut request = change(name, &["labels"]);
    request.customer.as_mut().unwrap().kind = Kind::Organisation.into();
    assert_refused(update(&mut client, request).await, Reason::FieldInvalid);
    assert!(world.peers.updates().is_empty(), "the profile is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_sealed_as_its_next_version_once() {
    let world = World::start().await;
    let mut client = world.client();
    let name = client.customer().await;
    for (count, (fail, after_the_work)) in
        [(false, false), (true, false), (true, true)].into_iter().enumerate()
    {
        let mut request = change(&name, &["profile", "labels"]);
        let body = request.customer.as_mut().unwrap();
        body.profile = Some(wire::Profile { full_name: format!("Zoë {count}"), ..profile() });
        body.etag = client.get_customer(&name).await.unwrap().etag;
        if fail {
            // The check is asked too, so that nothing is changed where records is away.
            world.records.set(Fault::Cut);
            assert_refused(update(&mut client, request.clone()).await, Reason::PeerUnavailable);
            assert_eq!(client.get_customer(&name).await.unwrap().etag, body_etag(&request));
            world.records.set(Fault::None);
            world.peers.fail(Some(Failure { method: "UpdateRecord", after_the_work }));
            assert_refused(update(&mut client, request.clone()).await, Reason::PeerUnavailable);
            world.peers.fail(None);
        }
        let changed = update(&mut client, request.clone()).await.unwrap();
        assert_eq!(update(&mut client, request.clone()).await.unwrap(), changed);
        assert_eq!(world.peers.updates().len(), count + 1);
        let outcome = client.outcome("update-customer", &request.request_id).await;
        assert_eq!(outcome.state(), outcome::State::Succeeded);
    }
    let id = uuid_of(&name).to_string();
    world.peers.erase(&format!("subjects/{id}"), false);
    let mut request = change(&name, &["profile"]);
    request.customer.as_mut().unwrap().profile = Some(profile());
    for _ in 0..2 {
        assert_refused(update(&mut client, request.clone()).await, Reason::SubjectErased);
    }
    let outcome = client.outcome("update-customer", &request.request_id).await;
    assert_eq!(outcome.state(), outcome::State::Rejected, "a decision of business");
}

fn body_etag(request: &wire::UpdateCustomerRequest) -> String {
    request.customer.as_ref().unwrap().etag.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_are_found_by_what_is_known_of_them() {
    let world = World::start().await;
    let mut client = world.client();
    let anna = client.create_customer(with_ids(&[("CRM", "7")])).await.unwrap().name;
    let mut other = new_customer();
    other.customer.as_mut().unwrap().profile =
        Some(wire::Profile { full_name: "Ben".to_owned(), ..Default::default() });
    let ben = client.create_customer(other).await.unwrap().name;
    let [declared] = &world.peers.types()[..] else { panic!("the type is declared once") };
    assert_eq!(declared.record_type_id, "customer-profile");

    let crm = |value: &str| {
        let (kind, value) = ("CRM".to_owned(), value.to_owned());
        Key::ExternalId(wire::ExternalId { kind, value })
    };
    let tax_id = |country: &str| {
        let (country, number) = (country.to_owned(), MARKER.to_owned());
        Key::TaxId(wire::TaxId { country, number })
    };
    let email = || Key::Email(format!("{MARKER}@example.com"));
    let phone = |number: &str| Key::Phone(number.to_owned());
    assert_eq!(look_up(&mut client, crm("7"), "").await.unwrap(), [&*anna]);
    for (n, (key, found)) in [
        (crm("8"), false),
        (email(), true),
        (Key::Email("nobody@example.com".to_owned()), false),
        (phone("+41446681800"), true),
        (phone("+41446681801"), false),
        (tax_id("CH"), true),
        (tax_id("DE"), false),
    ]
    .into_iter()
    .enumerate()
    {
        let names = look_up(&mut client, key, "SUPPORT").await.unwrap();
        let expected: &[&str] = if found { &[&anna] } else { &[] };
        assert_eq!(names, expected, "key {n}");
    }
    let none = wire::LookupCustomerRequest { key: None, purpose: "SUPPORT".to_owned() };
    assert_refused(client.customers.lookup_customer(none).await, Reason::FieldInvalid);
    assert_refused(look_up(&mut client, email(), "").await, Reason::PurposeRequired);
    assert_refused(look_up(&mut client, email(), "FUN").await, Reason::PurposeUnknown);
    assert_refused(look_up(&mut client, phone("044"), "SUPPORT").await, Reason::FieldInvalid);
    world.records.set(Fault::Cut);
    assert_refused(look_up(&mut client, email(), "SUPPORT").await, Reason::PeerUnavailable);
    assert_eq!(look_up(&mut client, crm("7"), "").await.unwrap(), [&*anna]);

    let names = vec![ben.clone(), anna.clone(), ben.clone()];
    let request = wire::BatchGetCustomersRequest { names: names.clone() };
    let got = client.customers.batch_get_customers(request).await.unwrap().into_inner().customers;
    assert_eq!(got.into_iter().map(|customer| customer.name).collect::<Vec<_>>(), names);
    let absent = format!("customers/{}", uuid::Uuid::now_v7());
    for (names, reason) in [
        (Vec::new(), Reason::FieldInvalid),
        (vec![anna.clone(), absent], Reason::ResourceNotFound),
        (vec![anna.clone(); 101], Reason::TooManyItems),
    ] {
        let request = wire::BatchGetCustomersRequest { names };
        assert_refused(client.customers.batch_get_customers(request).await, reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_walk_along_every_filter() {
    let world = World::start().await;
    let mut client = world.client();
    let mut names = Vec::new();
    for n in 0..7 {
        let mut request = with_ids(&[("N", &n.to_string())]);
        request.wait = n % 2 == 1;
        let customer = request.customer.as_mut().unwrap();
        customer.labels = ids(&[("half", &(n / 4).to_string()), ("all", "yes")]);
        if n == 6 {
            customer.kind = Kind::Organisation.into();
            customer.profile.as_mut().unwrap().birth_date.clear();
        }
        names.push(client.create_customer(request).await.unwrap().name);
    }
    for (filter, expected) in [
        ("", &[0, 1, 2, 3, 4, 5, 6][..]),
        ("state = PENDING", &[1, 3, 5]),
        ("kind = ORGANISATION", &[6]),
        ("kind = PERSON AND state = ACTIVE", &[0, 2, 4]),
        ("labels.half = 1", &[4, 5, 6]),
        ("labels.all = yes AND labels.half = 0 AND state = ACTIVE", &[0, 2]),
        ("external_ids.N = 5", &[5]),
        ("external_ids.N = 5 AND kind = ORGANISATION", &[]),
        ("kyc_state = NONE AND kind = ORGANISATION", &[6]),
        ("kyc_state = EXPIRED", &[]),
        ("create_time < \"2020-01-01T00:00:00Z\"", &[]),
        ("create_time >= \"2020-01-01T00:00:00Z\" AND labels.half = 0", &[0, 1, 2, 3]),
    ] {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let filter = filter.to_owned();
            let request = wire::ListCustomersRequest { page_size: 2, page_token, filter };
            let page = client.customers.list_customers(request).await.unwrap().into_inner();
            found.extend(page.customers.into_iter().map(|customer| customer.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let expected: Vec<&String> = expected.iter().map(|n| &names[*n]).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
}
