//! Who holds accounts: what that does to them, and how many there can be.

use futures_util::future::join_all;
use prost_types::{FieldMask, Timestamp};
use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::outcomes::v1::outcome;
use strongroom_proto::transactions::v1::block::Effect;
use tonic::{Response, Status};
use uuid::Uuid;
use wire::holder::Role;

use crate::setup::{Client, World, eventually, new_account, request_id, uuid_of};

/// Times that no test waits for.
const SOON: Timestamp = Timestamp { seconds: 7_000_000_000, nanos: 0 };
const LATER: Timestamp = Timestamp { seconds: 7_100_000_000, nanos: 0 };
const PAST: Timestamp = Timestamp { seconds: 1_000_000_000, nanos: 0 };

pub(crate) fn adding(account: &str, customer: &str, role: Role) -> wire::AddHolderRequest {
    let customer = customer.to_owned();
    let holder = wire::Holder { customer, role: role.into(), ..Default::default() };
    wire::AddHolderRequest {
        parent: account.to_owned(),
        holder: Some(holder),
        request_id: request_id(),
        validate_only: false,
    }
}

/// Adds somebody who holds an account only later.
fn adding_later(account: &str, customer: &str, role: Role) -> wire::AddHolderRequest {
    let mut request = adding(account, customer, role);
    let holder = request.holder.as_mut().unwrap();
    (holder.start_time, holder.end_time) = (Some(SOON), Some(LATER));
    request
}

fn updating(holder: wire::Holder, mask: &[&str]) -> wire::UpdateHolderRequest {
    let paths = mask.iter().map(|path| (*path).to_owned()).collect();
    let update_mask = Some(FieldMask { paths });
    wire::UpdateHolderRequest { holder: Some(holder), update_mask, request_id: request_id() }
}

fn micros(time: Option<Timestamp>) -> i64 {
    shared::time::Timestamp::decode(time.unwrap()).unwrap().micros()
}

fn name_of(account: &str, customer: &str) -> String {
    format!("{account}/holders/{}", uuid_of(customer))
}

impl Client {
    pub(crate) async fn add_holder(
        &mut self,
        request: wire::AddHolderRequest,
    ) -> Result<wire::Holder, Status> {
        self.accounts.add_holder(request).await.map(Response::into_inner)
    }

    async fn update_holder(
        &mut self,
        request: wire::UpdateHolderRequest,
    ) -> Result<wire::Holder, Status> {
        self.accounts.update_holder(request).await.map(Response::into_inner)
    }

    async fn set_role(&mut self, name: &str, role: Role) -> Result<wire::Holder, Status> {
        let (name, role) = (name.to_owned(), role.into());
        let holder = wire::Holder { name, role, ..Default::default() };
        self.update_holder(updating(holder, &[])).await
    }

    pub(crate) async fn remove_holder(&mut self, name: &str) -> Result<wire::Holder, Status> {
        let (name, request_id) = (name.to_owned(), request_id());
        let request = wire::RemoveHolderRequest { name, request_id };
        self.accounts.remove_holder(request).await.map(Response::into_inner)
    }

    async fn holders(&mut self, parent: &str, show_ended: bool) -> Vec<wire::Holder> {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let (parent, page_size) = (parent.to_owned(), 2);
            let request = wire::ListHoldersRequest { parent, show_ended, page_size, page_token };
            let page = self.accounts.list_holders(request).await.unwrap().into_inner();
            found.extend(page.holders);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return found;
            }
        }
    }

    async fn suspend(&mut self, name: &str) {
        let request = wire::SuspendCustomerRequest {
            name: name.to_owned(),
            reason_code: "FRAUD_SUSPECTED".to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        self.customers.suspend_customer(request).await.unwrap();
    }

    async fn reinstate(&mut self, name: &str) {
        let (name, request_id) = (name.to_owned(), request_id());
        let request = wire::ReinstateCustomerRequest { name, request_id, ..Default::default() };
        self.customers.reinstate_customer(request).await.unwrap();
    }

    async fn freeze(&mut self, customer: &str) {
        let freeze = wire::Freeze {
            direction: wire::freeze::Direction::Debit.into(),
            reason_code: "COURT_ORDER".to_owned(),
            authority: "court-of-zurich".to_owned(),
            ..Default::default()
        };
        let request = wire::FreezeCustomerRequest {
            parent: customer.to_owned(),
            freeze: Some(freeze),
            request_id: request_id(),
            ..Default::default()
        };
        self.customers.freeze_customer(request).await.unwrap();
    }
}

fn assert_field(answer: Result<wire::Holder, Status>, field: &str) {
    let (reason, at, _) = refusal(&answer.unwrap_err());
    assert_eq!((reason, &*at), (Reason::FieldInvalid, field));
}

fn assert_state(answer: Result<wire::Holder, Status>, state: &str) {
    let (reason, _, figures) = refusal(&answer.unwrap_err());
    assert_eq!((reason, &*figures["state"]), (Reason::InvalidTransition, state));
}

fn assert_missing(answer: Result<wire::Holder, Status>, name: &str) {
    let (reason, _, figures) = refusal(&answer.unwrap_err());
    assert_eq!((reason, &*figures["name"]), (Reason::ResourceNotFound, name));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_hold_an_account_is_refused() {
    let world = World::start().await;
    let mut client = world.client();
    let (anna, ben) = (client.customer().await, client.customer().await);
    let account = client.account(&anna).await;
    let mut house = new_account("");
    house.account.as_mut().unwrap().class = 1;
    let house = client.create_account(house).await.unwrap().name;
    let (no_account, nobody) =
        (format!("accounts/{}", Uuid::now_v7()), format!("customers/{}", Uuid::now_v7()));

    let joint = |account: &str, customer: &str| adding(account, customer, Role::Joint);
    assert_missing(client.add_holder(joint(&no_account, &ben)).await, &no_account);
    assert_missing(client.add_holder(joint(&account, &nobody)).await, &nobody);
    assert_field(client.add_holder(joint(&house, &ben)).await, "parent");
    assert_field(client.add_holder(joint(&account, "customers/1")).await, "holder.customer");
    let none = adding(&account, &ben, Role::Unspecified);
    assert_field(client.add_holder(none).await, "holder.role");
    for (start_time, end_time) in [(Some(LATER), SOON), (Some(SOON), SOON), (None, PAST)] {
        let mut request = joint(&account, &ben);
        let holder = request.holder.as_mut().unwrap();
        (holder.start_time, holder.end_time) = (start_time, Some(end_time));
        assert_field(client.add_holder(request).await, "holder.end_time");
    }
    let again = client.add_holder(adding(&account, &anna, Role::Viewer)).await.unwrap_err();
    let (reason, _, figures) = refusal(&again);
    assert_eq!((reason, &figures["name"]), (Reason::IdTaken, &name_of(&account, &anna)));
    client.suspend(&ben).await;
    for role in [Role::Joint, Role::Viewer] {
        assert_state(client.add_holder(adding(&account, &ben, role)).await, "SUSPENDED");
    }

    let owner = name_of(&account, &anna);
    assert_field(client.set_role(&owner, Role::Joint).await, "holder.name");
    assert_field(client.remove_holder(&owner).await, "name");
    let stranger = name_of(&account, &ben);
    assert_missing(client.set_role(&stranger, Role::Joint).await, &stranger);
    assert_missing(client.remove_holder(&stranger).await, &stranger);
    assert_field(client.remove_holder(&account).await, "name");
    let another = wire::Holder { name: stranger, customer: anna.clone(), ..Default::default() };
    assert_field(client.update_holder(updating(another, &["role"])).await, "holder.customer");
    assert_eq!(client.holders(&account, true).await.len(), 1, "nothing came of it");
    assert_eq!(client.get_account(&account).await.unwrap().effect.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_account_keeps_its_holders() {
    let world = World::start().await;
    let mut client = world.client();
    let (anna, ben, cem) =
        (client.customer().await, client.customer().await, client.customer().await);
    let account = client.account(&anna).await;
    client.add_holder(adding(&account, &ben, Role::Viewer)).await.unwrap();
    for (state, name) in [(4, "CLOSING"), (5, "CLOSED")] {
        let account_id = uuid_of(&account);
        let set = format!(
            "UPDATE {}.accounts SET state = {state} WHERE id = '{account_id}'",
            world.database.name
        );
        tokio::task::block_in_place(|| {
            use diesel::connection::SimpleConnection as _;
            world.database.admin().batch_execute(&set).unwrap();
        });
        assert_state(client.add_holder(adding(&account, &cem, Role::Viewer)).await, name);
        let ben = name_of(&account, &ben);
        assert_state(client.set_role(&ben, Role::Joint).await, name);
        assert_state(client.remove_holder(&ben).await, name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_stopped_stops_the_accounts_that_they_hold_while_they_hold_them() {
    let world = World::start().await;
    let mut client = world.client();
    let anna = client.customer().await;
    let account = client.account(&anna).await;
    let is_stopped = || world.peers.forbids(&account, Effect::Debit);
    for frozen in [false, true] {
        let ben = client.customer().await;
        let ben_holds = name_of(&account, &ben);
        client.add_holder(adding(&account, &ben, Role::Joint)).await.unwrap();
        assert!(!is_stopped());
        if frozen {
            client.freeze(&ben).await;
        } else {
            client.suspend(&ben).await;
        }
        assert!(is_stopped());
        client.set_role(&ben_holds, Role::Owner).await.unwrap();
        assert!(is_stopped(), "it is all the same as what");
        client.set_role(&ben_holds, Role::Viewer).await.unwrap();
        assert!(!is_stopped(), "who only sees an account does not stop it");
        if frozen {
            client.set_role(&ben_holds, Role::Joint).await.unwrap();
            assert!(is_stopped());
        } else {
            assert_state(client.set_role(&ben_holds, Role::Joint).await, "SUSPENDED");
            client.reinstate(&ben).await;
            client.set_role(&ben_holds, Role::Joint).await.unwrap();
            client.suspend(&ben).await;
            assert!(is_stopped());
        }
        client.remove_holder(&ben_holds).await.unwrap();
        assert!(!is_stopped(), "who holds it no more does not stop it");
        assert_state(client.remove_holder(&ben_holds).await, "ENDED");
        assert_state(client.set_role(&ben_holds, Role::Joint).await, "ENDED");
    }
    let effect = client.get_account(&account).await.unwrap().effect.unwrap();
    assert!(effect.debits && effect.reasons.is_empty());
    assert_eq!(effect.acknowledged_version, effect.version);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_knows_when_somebody_holds_an_account() {
    let world = World::start().await;
    let mut client = world.client();
    let (anna, ben) = (client.customer().await, client.customer().await);
    let account = client.account(&anna).await;
    client.add_holder(adding_later(&account, &ben, Role::Joint)).await.unwrap();
    client.suspend(&ben).await;
    let blocks = || {
        let ledger = world.peers.ledger_account(&account).unwrap();
        let blocks = ledger.controls.into_iter().flat_map(|controls| controls.blocks);
        blocks.map(|block| (block.start_time, block.end_time)).collect::<Vec<_>>()
    };
    assert_eq!(blocks(), [(Some(SOON), Some(LATER))]);
    assert!(!world.peers.forbids(&account, Effect::Debit), "not yet");

    let name = name_of(&account, &ben);
    let open = wire::Holder { name: name.clone(), ..Default::default() };
    let held = client.update_holder(updating(open.clone(), &["end_time"])).await.unwrap();
    assert_eq!((held.start_time, held.end_time), (Some(SOON), None));
    assert_eq!(blocks(), [(Some(SOON), None)]);
    client.update_holder(updating(open, &["start_time"])).await.unwrap();
    assert!(world.peers.forbids(&account, Effect::Debit), "from now on");
    let over = wire::Holder { name: name.clone(), end_time: Some(PAST), ..Default::default() };
    assert_field(client.update_holder(updating(over, &[])).await, "holder.end_time");
    client.remove_holder(&name).await.unwrap();
    assert!(blocks().is_empty());

    // Who was to hold it and never will has ended before it began.
    client.reinstate(&ben).await;
    client.add_holder(adding_later(&account, &ben, Role::Joint)).await.unwrap();
    let removed = client.remove_holder(&name).await.unwrap();
    assert_eq!(removed.end_time, removed.start_time);
    assert_state(client.remove_holder(&name).await, "ENDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_told_of_those_who_can_stop_an_account_only() {
    let world = World::start().await;
    let mut client = world.client();
    let (anna, ben) = (client.customer().await, client.customer().await);
    let account = client.account(&anna).await;
    world.transactions.set(Fault::Cut);
    let viewer = client.add_holder(adding(&account, &ben, Role::Viewer)).await.unwrap();
    let later = wire::Holder { end_time: Some(LATER), ..viewer.clone() };
    client.update_holder(updating(later, &["end_time"])).await.unwrap();
    client.remove_holder(&viewer.name).await.unwrap();
    assert_eq!(client.get_account(&account).await.unwrap().effect.unwrap().version, 1);

    let request = adding(&account, &ben, Role::Joint);
    let refused = client.add_holder(request.clone()).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::PeerUnavailable);
    let found = client.holders(&account, false).await;
    assert_eq!((found.len(), found[1].role()), (2, Role::Joint), "it is known here");
    world.transactions.set(Fault::None);
    eventually("the delivery", async || {
        let outcome = client.outcome("add-holder", &request.request_id).await;
        (outcome.state() == outcome::State::Succeeded).then_some(())
    })
    .await;
    let repeated = client.accounts.add_holder(request).await.unwrap();
    assert!(repeated.metadata().contains_key("strongroom-replayed"));
    assert_eq!(repeated.into_inner(), found[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_never_has_more_holders_than_it_may_have() {
    let world = World::start().await;
    let mut client = world.client();
    let anna = client.customer().await;
    let account = client.account(&anna).await;
    let mut customers = Vec::new();
    for _ in 0..5 {
        let eight = join_all((0..8).map(|_| {
            let mut client = client.clone();
            async move { client.customer().await }
        }));
        customers.extend(eight.await);
    }
    // All at once, some of them for later: who is to come counts too.
    let race = async |customers: &[String], role: Role| {
        let requests = customers.iter().enumerate().map(|(n, customer)| match n % 2 {
            0 => adding(&account, customer, role),
            _ => adding_later(&account, customer, role),
        });
        let calls = requests.map(|request| {
            let mut client = client.clone();
            async move { client.add_holder(request).await }
        });
        let (added, refused): (Vec<_>, Vec<_>) =
            join_all(calls).await.into_iter().partition(Result::is_ok);
        for refused in refused {
            let (reason, _, figures) = refusal(&refused.unwrap_err());
            assert_eq!(reason, Reason::TooManyItems);
            assert_eq!(figures["limit"], if role == Role::Joint { "4" } else { "32" });
        }
        added.into_iter().map(|added| added.unwrap().name).collect::<Vec<_>>()
    };
    let joint = race(&customers[..8], Role::Joint).await;
    assert_eq!(joint.len(), 3);
    let viewers = race(&customers[8..], Role::Viewer).await;
    assert_eq!(viewers.len(), 28);
    assert_eq!(client.clone().holders(&account, true).await.len(), 32);

    // Nobody becomes one of too many later, and who has ended makes room.
    let mut client = client.clone();
    let refused = client.set_role(&viewers[0], Role::Joint).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::TooManyItems);
    client.remove_holder(&joint[0]).await.unwrap();
    client.set_role(&viewers[0], Role::Joint).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_held_an_account_may_hold_it_again() {
    let world = World::start().await;
    let mut client = world.client();
    let (anna, ben) = (client.customer().await, client.customer().await);
    let account = client.account(&anna).await;
    let check =
        wire::AddHolderRequest { validate_only: true, ..adding(&account, &ben, Role::Joint) };
    assert_eq!(client.add_holder(check).await.unwrap().role(), Role::Joint);
    assert_eq!(client.holders(&account, true).await.len(), 1, "a check adds nobody");

    let request = adding(&account, &ben, Role::Joint);
    let first = client.add_holder(request.clone()).await.unwrap();
    assert_eq!(first.name, name_of(&account, &ben));
    assert_eq!((first.start_time, first.end_time), (first.create_time, None));
    assert_eq!(client.add_holder(request).await.unwrap(), first, "a repeat");
    let removed = client.remove_holder(&first.name).await.unwrap();
    assert!(micros(removed.end_time) >= micros(first.start_time));
    assert_eq!(client.holders(&account, false).await.len(), 1);
    assert_eq!(client.holders(&account, true).await[1], removed);

    let second = client.add_holder(adding(&account, &ben, Role::Viewer)).await.unwrap();
    assert_eq!((second.role(), second.create_time), (Role::Viewer, first.create_time));
    assert!(micros(second.start_time) > micros(first.start_time) && second.end_time.is_none());
    assert_eq!(client.holders(&account, true).await[1], second);
    let events = tokio::task::block_in_place(|| crate::customers::dump(&world));
    for kind in ["holder.added", "holder.removed"] {
        assert!(events.iter().any(|(_, line)| line.contains(kind)), "{kind}");
    }
}
