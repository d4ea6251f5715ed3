//! What the ledger does not have yet, as it is listed.

use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::accounts::v1 as wire;
use tonic::{Response, Status};

use crate::setup::{Client, World, eventually, new_account, request_id};

async fn list(
    client: &mut Client,
    page_size: i32,
    page_token: &str,
) -> Result<wire::ListUndeliveredControlsResponse, Status> {
    let page_token = page_token.to_owned();
    let request = wire::ListUndeliveredControlsRequest { page_size, page_token };
    client.accounts.list_undelivered_controls(request).await.map(Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_does_not_have_is_listed_until_it_has_it() {
    let world = World::start().await;
    let mut client = world.client();
    let (first, second) = (client.customer().await, client.customer().await);
    assert!(list(&mut client, 0, "").await.unwrap().undelivered_controls.is_empty());
    let open = client.account(&first).await;
    world.transactions.set(Fault::Cut);
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let id = uuid::Uuid::now_v7().to_string();
        waiting.push((format!("accounts/{id}"), 1));
        let request = wire::CreateAccountRequest { account_id: id, ..new_account(&second) };
        client.create_account(request).await.unwrap_err();
    }
    let suspend = wire::SuspendCustomerRequest {
        name: first,
        reason_code: "FRAUD_SUSPECTED".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.suspend_customer(suspend).await.unwrap_err();
    waiting.push((open, 2));

    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page = list(&mut client, 2, &token).await.unwrap();
        found.extend(page.undelivered_controls);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let listed: Vec<_> = found.iter().map(|one| (one.account.clone(), one.version)).collect();
    assert_eq!(listed, waiting, "the oldest first, each once");
    assert!(found.iter().all(|one| one.due_time.is_some() && one.create_time.is_some()));
    eventually("another attempt", async || {
        let found = list(&mut client, 0, "").await.unwrap().undelivered_controls;
        found.iter().any(|one| one.attempts > 0).then_some(())
    })
    .await;

    let token = list(&mut client, 1, "").await.unwrap().next_page_token;
    let foreign = tokio::task::block_in_place(|| world.database.tenant());
    let mut stranger = world.client_of(foreign, &["*"]);
    assert!(list(&mut stranger, 0, "").await.unwrap().undelivered_controls.is_empty());
    let refused = list(&mut stranger, 1, &token).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::PageTokenInvalid);
    let mut nobody = world.client_of(world.tenant, &["accounts.accounts.*"]);
    let refused = list(&mut nobody, 1, "").await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::PermissionMissing);

    world.transactions.set(Fault::None);
    eventually("the delivery", async || {
        let found = list(&mut client, 0, "").await.unwrap().undelivered_controls;
        found.is_empty().then_some(())
    })
    .await;
}
