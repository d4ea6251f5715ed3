//! Postings of several tenants in one commit. What is called the same there never meets.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use shared::ids::TenantId;
use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::block_in_place;
use uuid::Uuid;

use crate::books::assert_books_of;
use crate::gate::Gate;
use crate::requests::{capture, hold, reversal, why};
use crate::setup::{Client, Ledger, eur, request_id, transfer, unbounded};

/// Rounds until both have met in a commit. Nearly always it is the first.
const ROUNDS: i32 = 50;

/// What both tenants have, under the same ids.
struct Names {
    house: Uuid,
    account: Uuid,
}

impl Names {
    fn house(&self) -> String {
        format!("accounts/{}", self.house)
    }

    fn account(&self) -> String {
        format!("accounts/{}", self.account)
    }

    async fn register(&self, client: &mut Client, funds: &str) {
        for (id, overdraft) in [(self.house, Some(unbounded())), (self.account, None)] {
            let account = wire::LedgerAccount {
                currency: "EUR".to_owned(),
                class: wire::AccountClass::Liability.into(),
                overdraft,
                ..Default::default()
            };
            let request = wire::RegisterLedgerAccountRequest {
                account: Some(account),
                account_id: id.to_string(),
                ..Default::default()
            };
            client.ledger.register_ledger_account(request).await.unwrap();
        }
        client.pay(&self.house(), &self.account(), funds).await.unwrap();
    }
}

/// A limit that is never reached, so that all that is posted is counted.
fn counted() -> wire::Controls {
    let limit = wire::Limit {
        id: "day".to_owned(),
        effect: wire::block::Effect::All.into(),
        window: wire::limit::Window::Day.into(),
        max_amount: Some(eur("1000000")),
        ..Default::default()
    };
    let (source, version) = ("accounts".to_owned(), 1);
    wire::Controls { source, version, limits: vec![limit], ..Default::default() }
}

/// One of each kind, with the same request ids for both tenants.
#[derive(Clone)]
struct Round {
    hold: wire::CreateHoldRequest,
    original: wire::CreateTransferRequest,
    plain: wire::CreateTransferRequest,
    told: wire::CreateTransferRequest,
    large: wire::CreateTransferRequest,
    capture: wire::CaptureHoldRequest,
    reversal: wire::ReverseTransactionRequest,
}

impl Round {
    fn new(names: &Names) -> Self {
        let (account, house) = (names.account(), names.house());
        let (hold_id, original_id) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
        let description = "for both of us".to_owned();
        let told = transfer(&account, &house, "1");
        let mut told = wire::CreateTransferRequest { description, ..told };
        told.labels.insert("order".to_owned(), "7".to_owned());
        told.external_ids.insert("ORDER".to_owned(), request_id());
        Self {
            hold: wire::CreateHoldRequest {
                hold_id: hold_id.clone(),
                ..hold(&account, &house, "2")
            },
            original: wire::CreateTransferRequest {
                transaction_id: original_id.clone(),
                ..transfer(&account, &house, "3")
            },
            plain: transfer(&account, &house, "1"),
            told,
            large: transfer(&account, &house, "1000"),
            capture: capture(&format!("holds/{hold_id}")),
            reversal: reversal(&format!("transactions/{original_id}")),
        }
    }

    /// What has to be there before.
    async fn prepare(&self, client: &mut Client) {
        client.hold(&self.hold).await.unwrap();
        client.transactions.create_transfer(self.original.clone()).await.unwrap();
    }

    /// Everything at once.
    async fn ask(self, mut client: Client, is_rich: bool) {
        let post = |request| {
            let mut client = client.clone();
            async move { client.transactions.create_transfer(request).await }
        };
        let (mut holds, mut transactions) = (client.holds.clone(), client.transactions.clone());
        let (plain, told, large, again, captured, reversed) = tokio::join!(
            post(self.plain),
            post(self.told.clone()),
            post(self.large),
            post(self.original.clone()),
            holds.capture_hold(self.capture),
            transactions.reverse_transaction(self.reversal),
        );
        plain.unwrap();
        match is_rich {
            true => drop(large.unwrap()),
            false => assert_eq!(why(large).0, Reason::InsufficientFunds),
        }
        let name = format!("transactions/{}", self.original.transaction_id);
        assert_eq!(again.unwrap().into_inner().name, name);
        captured.unwrap();
        assert_eq!(reversed.unwrap().into_inner().reverses, name);
        let get = wire::GetTransactionRequest { name: told.unwrap().into_inner().name };
        let told = client.transactions.get_transaction(get).await.unwrap().into_inner();
        assert_eq!(told.description, self.told.description);
        assert_eq!((told.labels, told.external_ids), (self.told.labels, self.told.external_ids));
    }
}

/// Whether transactions of several tenants have come in one commit.
fn have_met(ledger: &Ledger) -> bool {
    #[derive(QueryableByName)]
    struct Commits {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let sql = "SELECT count(*) AS count FROM (SELECT FROM transactions GROUP BY xmin::text \
               HAVING count(DISTINCT tenant_id) > 1) c";
    let query = diesel::sql_query(sql);
    let found: Commits = block_in_place(|| query.get_result(&mut ledger.database.admin()).unwrap());
    found.count > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_two_tenants_share_a_commit_and_nothing_else() {
    let ledger = Ledger::start_with(&["--lanes", "1"]).await;
    let mut third = ledger.client();
    let (house, account) = third.funded("100").await;
    let tenants: [TenantId; 2] = block_in_place(|| [(); 2].map(|()| ledger.database.tenant()));
    let [mut poor, mut rich] = tenants.map(|tenant| ledger.client_of(tenant, &["*"]));
    let names = Names { house: Uuid::now_v7(), account: Uuid::now_v7() };
    names.register(&mut poor, "1000").await;
    names.register(&mut rich, "100000").await;
    rich.control(&names.account(), counted()).await.unwrap();
    let mut rounds = 0;
    while rounds == 0 || (!have_met(&ledger) && rounds < ROUNDS) {
        let round = Round::new(&names);
        round.prepare(&mut poor).await;
        round.prepare(&mut rich).await;
        // The lane waits for an account of a third one while the others' orders come together.
        let mut gate = Gate::close(&ledger, &account);
        let (mut first, request) = (third.clone(), transfer(&account, &house, "0.01"));
        let first = tokio::spawn(async move { first.transactions.create_transfer(request).await });
        gate.wait_for(1).await;
        let both = [(poor.clone(), false), (rich.clone(), true)]
            .map(|(client, is_rich)| tokio::spawn(round.clone().ask(client, is_rich)));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        drop(gate);
        for one in both {
            one.await.unwrap();
        }
        first.await.unwrap().unwrap();
        rounds += 1;
    }
    assert!(have_met(&ledger), "no commit had both in {rounds} rounds");
    let account = names.account();
    assert_eq!(poor.posted(&account).await, format!("{}.00", 1_000 - 4 * rounds));
    assert_eq!(rich.posted(&account).await, format!("{}.00", 100_000 - 1_004 * rounds));
    for tenant in tenants {
        assert_books_of(&ledger, tenant);
    }
}
