//! Two tenants on the same few connections.

use std::collections::BTreeSet;

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as accounts;
use strongroom_proto::outcomes::v1::{GetOutcomeRequest, outcome::State};
use strongroom_proto::transactions::v1 as transactions;
use suite::Clients;
use tokio::task::JoinSet;
use transactions::AccountClass;

use crate::trio::Trio;
use crate::wire::{account, cents, open, send, source, transfer};
use crate::world::run;

/// Rounds of mixed calls for each tenant, all at once.
const ROUNDS: usize = 60;
/// Connections of each service, far fewer than calls. Nothing is refused for want of one.
const FEW: [&str; 6] = ["--pool-size", "2", "--pool-wait", "60", "--default-deadline", "60"];

/// A tenant with two accounts and a posting.
#[derive(Clone)]
struct Books {
    clients: Clients,
    house: String,
    account: String,
    transaction: String,
    request_id: String,
}

impl Books {
    async fn open(clients: Clients) -> Self {
        let (house, account) =
            (source(&clients).await, open(&clients, AccountClass::Liability).await);
        let request = transfer(&house, &account, "0.01");
        let request_id = request.request_id.clone();
        let posted = send(&clients, request).await.unwrap().into_inner();
        Self { clients, house, account, transaction: posted.name, request_id }
    }
}

#[test]
fn tenants_on_shared_connections_never_meet() {
    run(async {
        let trio = Trio::start(&FEW).await;
        let one = Books::open(trio.newcomer()).await;
        let two = Books::open(trio.newcomer()).await;
        let mut rounds = JoinSet::new();
        for index in 0..ROUNDS {
            rounds.spawn(round(one.clone(), two.clone(), index));
            rounds.spawn(round(two.clone(), one.clone(), index));
        }
        let opened = rounds.join_all().await;
        for (books, other) in [(&one, &two), (&two, &one)] {
            // A posting before the rounds, and one in each.
            let moved = i64::try_from(ROUNDS).unwrap() + 1;
            assert_eq!(cents(&books.clients, &books.account).await, moved);
            assert_eq!(cents(&books.clients, &books.house).await, -moved);
            let names = names(&books.clients).await;
            assert_eq!(names.len(), ROUNDS + 2);
            assert!(!names.contains(&other.account) && !names.contains(&other.house));
            assert_eq!(opened.iter().filter(|name| names.contains(*name)).count(), ROUNDS);
        }
    });
}

/// Works in one's own tenant and reaches for what is the other's. Gives the account it opened.
async fn round(own: Books, other: Books, index: usize) -> String {
    let clients = &own.clients;
    // Both tenants use the same ids.
    let mut request = account(AccountClass::Liability);
    request.request_id = format!("open-{index}");
    let opened = clients.accounts.clone().create_account(request).await.unwrap().into_inner();
    let mut request = transfer(&own.house, &own.account, "0.01");
    request.request_id = format!("move-{index}");
    let posted = send(clients, request).await.unwrap();
    assert!(!crate::wire::is_replay(&posted));

    let missing = |status: tonic::Status| {
        assert_eq!(refusal(&status).0, Reason::ResourceNotFound, "{status:?}");
    };
    let request = accounts::GetAccountRequest { name: other.account.clone() };
    missing(clients.accounts.clone().get_account(request).await.unwrap_err());
    let request = transactions::GetBalanceRequest { account: other.account.clone(), as_of: None };
    missing(clients.balances.clone().get_balance(request).await.unwrap_err());
    let request = transactions::GetTransactionRequest { name: other.transaction };
    missing(clients.transactions.clone().get_transaction(request).await.unwrap_err());
    missing(send(clients, transfer(&own.house, &other.account, "0.01")).await.unwrap_err());
    let request = GetOutcomeRequest {
        operation: "create-transaction".to_owned(),
        request_id: other.request_id,
        fence: false,
    };
    let outcome = clients.transactions_outcomes.clone().get_outcome(request).await.unwrap();
    assert_eq!(outcome.into_inner().state(), State::Unknown);

    let names = names(clients).await;
    assert!(names.contains(&opened.name) && !names.contains(&other.account), "{names:?}");
    opened.name
}

async fn names(clients: &Clients) -> BTreeSet<String> {
    let request = accounts::ListAccountsRequest { page_size: 1_000, ..Default::default() };
    let page = clients.accounts.clone().list_accounts(request).await.unwrap().into_inner();
    assert_eq!(page.next_page_token, "");
    page.accounts.into_iter().map(|account| account.name).collect()
}
