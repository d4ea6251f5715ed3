//! Tenants do not see each other, and customers see what is their own.

use diesel::connection::SimpleConnection as _;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1::{self as wire, CreateCustomerRequest};
use strongroom_proto::records::v1::RecordView;
use tonic::{Response, Status};

use crate::setup::{Client, World, eventually, new_account, new_customer};

fn assert_not_found<T: std::fmt::Debug>(answer: Result<T, Status>, name: &str) {
    let (reason, _, figures) = refusal(&answer.unwrap_err());
    assert_eq!((reason, &*figures["name"]), (Reason::ResourceNotFound, name));
}

async fn read(client: &mut Client, name: &str, view: RecordView) -> Result<wire::Customer, Status> {
    let request = wire::GetCustomerRequest {
        name: name.to_owned(),
        view: view.into(),
        purpose: "SUPPORT".to_owned(),
    };
    client.customers.get_customer(request).await.map(Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_sees_nothing() {
    let world = World::start().await;
    let foreign = tokio::task::block_in_place(|| world.database.tenant());
    let (mut client, mut stranger) = (world.client(), world.client_of(foreign, &["*"]));
    let request = new_customer();
    let customer = client.create_customer(request.clone()).await.unwrap().name;
    let account = client.account(&customer).await;

    assert_not_found(stranger.get_customer(&customer).await, &customer);
    assert_not_found(read(&mut stranger, &customer, RecordView::Full).await, &customer);
    assert_not_found(stranger.get_account(&account).await, &account);
    assert_not_found(stranger.create_account(new_account(&customer)).await, &customer);
    for filter in ["", &*format!("customer = {customer}")] {
        assert!(stranger.list(0, "", filter).await.unwrap().accounts.is_empty());
    }
    // The request ids of two tenants do not meet either.
    let theirs = stranger.create_customer(request).await.unwrap();
    assert_ne!(theirs.name, customer);
    assert!(world.peers.reads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_sees_what_is_its_own() {
    let world = World::start().await;
    let mut client = world.client();
    let (anna, ben) = (client.customer().await, client.customer().await);
    let (annas, bens) = (client.account(&anna).await, client.account(&ben).await);
    let mut house = new_account("");
    house.account.as_mut().unwrap().class = 1;
    let house = client.create_account(house).await.unwrap().name;

    let own = ["accounts.accounts.*:own", "accounts.customers.*:own"];
    let mut own = world.client_as(&anna, &own);
    own.get_account(&annas).await.unwrap();
    for foreign in [&bens, &house] {
        assert_not_found(own.get_account(foreign).await, foreign);
    }
    read(&mut own, &anna, RecordView::Full).await.unwrap();
    for view in [RecordView::Basic, RecordView::Masked, RecordView::Full] {
        assert_not_found(read(&mut own, &ben, view).await, &ben);
    }
    for filter in ["", &*format!("customer = {anna}"), "currency = EUR"] {
        let listed = own.list(0, "", filter).await.unwrap().accounts;
        assert_eq!(listed.len(), 1, "{filter}");
        assert_eq!(listed[0].name, annas);
    }
    for filter in [&*format!("customer = {ben}"), "customer = \"\""] {
        assert!(own.list(0, "", filter).await.unwrap().accounts.is_empty(), "{filter}");
    }
    // To create is not one's own to do.
    let refused = own.create_account(new_account(&anna)).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::PermissionMissing);

    // Who may read all customers, but only the own profile as it is, does not get another's.
    let mixed = ["accounts.customers.get", "accounts.customers.getFull:own"];
    let mut mixed = world.client_as(&anna, &mixed);
    read(&mut mixed, &anna, RecordView::Full).await.unwrap();
    read(&mut mixed, &ben, RecordView::Masked).await.unwrap();
    let refused = read(&mut mixed, &ben, RecordView::Full).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::PermissionMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_read_only_is_read() {
    let world = World::start().await;
    let frozen = tokio::task::block_in_place(|| {
        let frozen = world.database.tenant();
        let update = format!("UPDATE tenants SET state = 2 WHERE id = '{}'", frozen.uuid());
        world.database.owner().batch_execute(&update).unwrap();
        frozen
    });
    let mut client = world.client_of(frozen, &["*"]);
    let check = CreateCustomerRequest { validate_only: true, ..new_customer() };
    // A change of a tenant takes a moment to be seen.
    let refused =
        eventually("the change", async || client.create_customer(check.clone()).await.err()).await;
    assert_eq!(refusal(&refused).0, Reason::TenantState);
    let nobody = "customers/00000000-0000-7000-8000-00000000000a";
    assert_not_found(client.get_customer(nobody).await, nobody);
    assert!(client.list(0, "", "").await.unwrap().accounts.is_empty());
}
