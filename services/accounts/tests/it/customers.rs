//! Customers while everybody is there.

use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::json;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::outcomes::v1::outcome;
use strongroom_proto::records::v1::{GetRecordRequest, RecordView};
use tonic::Status;
use uuid::Uuid;
use wire::customer::{Kind, State};

use crate::setup::{Client, MARKER, World, new_customer, profile, request_id, uuid_of};

/// The marker as a dump shows it in a column of bytes.
const MARKER_HEX: &str = "5a71376d61726b6572";

async fn read(
    client: &mut Client,
    name: &str,
    view: RecordView,
    purpose: &str,
) -> Result<wire::Customer, Status> {
    let request = wire::GetCustomerRequest {
        name: name.to_owned(),
        view: view.into(),
        purpose: purpose.to_owned(),
    };
    client.customers.get_customer(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_a_subject_with_a_sealed_profile() {
    let world = World::start().await;
    let mut client = world.client();
    let request = new_customer();
    let customer = client.create_customer(request.clone()).await.unwrap();
    assert_eq!(customer.state(), State::Active);
    assert_eq!(customer.kind(), Kind::Person);
    assert_eq!(customer.profile, None, "the profile is given by views only");
    assert_eq!(customer.labels["segment"], "retail");
    let id = uuid_of(&customer.name).to_string();
    assert_eq!(customer.subject, format!("subjects/{id}"));

    assert_eq!(world.peers.subjects(), [id]);
    let [sealed] = &world.peers.records()[..] else { panic!("one record") };
    let record = sealed.record.clone().unwrap();
    assert_eq!(record.subject, customer.subject);
    assert_eq!((&*record.r#type, &*record.content_type), ("customer-profile", "application/json"));
    let document: serde_json::Value = serde_json::from_slice(&record.content).unwrap();
    let expected = json!({
        "fullName": format!("Zoë {MARKER}"), "birthDate": "1990-02-28",
        "email": format!("{MARKER}@example.com"), "phone": "+41446681800",
        "addresses": [{
            "lines": [format!("{MARKER}strasse 1")], "postalCode": "8001", "city": MARKER,
            "country": "CH",
        }],
        "taxIds": [{ "country": "CH", "number": MARKER, "key": format!("CH{MARKER}") }],
    });
    assert_eq!(document, expected);

    let repeated = client.customers.create_customer(request.clone()).await.unwrap();
    assert!(repeated.metadata().contains_key("strongroom-replayed"));
    assert_eq!(repeated.into_inner(), customer);
    assert_eq!(client.get_customer(&customer.name).await.unwrap(), customer);
    let outcome = client.outcome("create-customer", &request.request_id).await;
    assert_eq!(outcome.state(), outcome::State::Succeeded);
    assert_eq!(outcome.resource, customer.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_leaves_by_views_with_a_purpose() {
    let world = World::start().await;
    let mut client = world.client();
    let name = client.customer().await;
    let full = read(&mut client, &name, RecordView::Full, "SUPPORT").await.unwrap();
    assert_eq!(full.profile, Some(profile()));
    let masked = read(&mut client, &name, RecordView::Masked, "SUPPORT").await.unwrap();
    let masked = masked.profile.unwrap();
    assert_eq!((&*masked.full_name, &*masked.birth_date), ("***", "***"));
    assert_eq!(masked.addresses[0].country, "***");
    assert_eq!(masked.tax_ids.len(), 1);
    let asked: Vec<_> = world.peers.reads().iter().map(GetRecordRequest::view).collect();
    assert_eq!(asked, [RecordView::Full, RecordView::Masked]);

    for view in [RecordView::Unspecified, RecordView::Basic] {
        assert_eq!(read(&mut client, &name, view, "").await.unwrap().profile, None);
    }
    for view in [RecordView::Masked, RecordView::Full] {
        let refused = read(&mut client, &name, view, "").await.unwrap_err();
        let (reason, field, _) = refusal(&refused);
        assert_eq!((reason, &*field), (Reason::PurposeRequired, "purpose"));
        let refused = read(&mut client, &name, view, "FUN").await.unwrap_err();
        let (reason, field, _) = refusal(&refused);
        assert_eq!((reason, &*field), (Reason::PurposeUnknown, "purpose"));
    }
    assert_eq!(world.peers.reads().len(), 2, "records hears of nothing without a purpose");

    let mut masked_only = world.client_of(world.tenant, &["accounts.customers.get"]);
    let refused = read(&mut masked_only, &name, RecordView::Full, "SUPPORT").await.unwrap_err();
    let (reason, _, figures) = refusal(&refused);
    assert_eq!(reason, Reason::PermissionMissing);
    assert_eq!(figures["permission"], "accounts.customers.getFull");
    read(&mut masked_only, &name, RecordView::Masked, "SUPPORT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_may_be_chosen_once() {
    let world = World::start().await;
    let mut client = world.client();
    let id = Uuid::now_v7().to_string();
    let chosen = |request_id: String| wire::CreateCustomerRequest {
        customer_id: id.clone(),
        request_id,
        ..new_customer()
    };
    let first = chosen(request_id());
    let customer = client.create_customer(first.clone()).await.unwrap();
    assert_eq!(customer.name, format!("customers/{id}"));
    let second = chosen(request_id());
    let refused = client.create_customer(second.clone()).await.unwrap_err();
    let (reason, _, figures) = refusal(&refused);
    assert_eq!((reason, &figures["name"]), (Reason::IdTaken, &customer.name));
    let outcome = client.outcome("create-customer", &second.request_id).await;
    assert_eq!(outcome.state(), outcome::State::Unknown, "the request id stays free");

    let mut other = first;
    other.customer.as_mut().unwrap().profile.as_mut().unwrap().phone.clear();
    let refused = client.create_customer(other).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::RequestIdReused);
    assert_eq!(world.peers.subjects(), [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_creates_nothing() {
    let world = World::start().await;
    let mut client = world.client();
    let check = wire::CreateCustomerRequest { validate_only: true, ..new_customer() };
    let customer = client.create_customer(check.clone()).await.unwrap();
    assert_eq!(customer.state(), State::Pending);
    let refused = client.get_customer(&customer.name).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::ResourceNotFound);
    assert!(world.peers.subjects().is_empty());
    // The id is free: the real request may have it.
    let real = wire::CreateCustomerRequest { validate_only: false, ..check };
    let customer = client.create_customer(real).await.unwrap();
    let taken = wire::CreateCustomerRequest {
        customer_id: uuid_of(&customer.name).to_string(),
        validate_only: true,
        ..new_customer()
    };
    assert_eq!(refusal(&client.create_customer(taken).await.unwrap_err()).0, Reason::IdTaken);
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn lines(conn: &mut PgConnection, sql: String) -> Vec<String> {
    let lines: Vec<Line> = diesel::sql_query(sql).load(conn).unwrap();
    lines.into_iter().map(|line| line.line).collect()
}

/// Every row of every table, with the table.
pub(crate) fn dump(world: &World) -> Vec<(String, String)> {
    let schema = &world.database.name;
    tokio::task::block_in_place(|| {
        let mut admin = world.database.admin();
        let tables = lines(
            &mut admin,
            format!("SELECT tablename::text AS line FROM pg_tables WHERE schemaname = '{schema}'"),
        );
        assert!(tables.len() >= 8, "{tables:?}");
        let mut rows = Vec::new();
        for table in tables {
            let dump = format!("SELECT t::text AS line FROM {schema}.{table} AS t");
            rows.extend(lines(&mut admin, dump).into_iter().map(|line| (table.clone(), line)));
        }
        rows
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_profile_is_in_any_table() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    client.account(&customer).await;
    read(&mut client, &customer, RecordView::Full, "SUPPORT").await.unwrap();
    let mut seen = 0;
    for (table, line) in dump(&world) {
        seen += usize::from(line.contains(&uuid_of(&customer).to_string()));
        for trace in [MARKER, MARKER_HEX, "1990-02-28", "446681800"] {
            assert!(!line.contains(trace), "{table} has {trace}");
        }
    }
    assert!(seen >= 3, "the dump shows what is there");
}
