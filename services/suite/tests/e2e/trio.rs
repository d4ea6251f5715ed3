//! The three services, each on a database of its own, with a network between them that can be cut.

use records::seal::FileProvider;
use shared::clock::Clock;
use shared::ids::TenantId;
use shared::testing::{Issuer, Proxy, Running, TestDatabase, config, listener};
use suite::{Addresses, Clients};
use tokio::task::block_in_place;

/// What each service may ask of the others.
const WORKLOADS: [(&str, &[&str]); 2] = [
    ("accounts", &["events.events.list", "records.*", "transactions.ledgerAccounts.*"]),
    ("transactions", &["accounts.accounts.get"]),
];

/// The services and what is between them.
pub(crate) struct Trio {
    pub(crate) at: Addresses,
    /// From accounts to records.
    pub(crate) to_records: Proxy,
    /// From accounts to transactions.
    pub(crate) to_transactions: Proxy,
    /// From transactions to accounts.
    pub(crate) to_accounts: Proxy,
    issuer: Issuer,
    databases: [TestDatabase; 3],
    _running: [Running; 3],
    _keys: tempfile::TempDir,
}

impl Trio {
    /// Starts all services with these arguments for each.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let databases = block_in_place(|| {
            [accounts::SERVICE, records::SERVICE, transactions::SERVICE]
                .map(|service| TestDatabase::new(service.schema))
        });
        let issuer = Issuer::new(&WORKLOADS);
        let doors = [listener().await, listener().await, listener().await];
        let [accounts_at, records_at, transactions_at] =
            doors.each_ref().map(|door| door.local_addr().unwrap());
        let to_accounts = Proxy::to(accounts_at).await;
        let to_records = Proxy::to(records_at).await;
        let to_transactions = Proxy::to(transactions_at).await;

        let keys = tempfile::tempdir().unwrap();
        let kek = keys.path().join("kek.json");
        FileProvider::create(&kek).unwrap();
        let objects = format!("file://{}", keys.path().display());
        let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        let (kek, jwks) = (text(kek), text(issuer.workload_jwks()));
        let (own, own_too) =
            (text(issuer.workload_key("accounts")), text(issuer.workload_key("transactions")));
        let peers = [&to_accounts, &to_records, &to_transactions];
        let [accounts_peer, records_peer, transactions_peer] =
            peers.map(|proxy| proxy.address.to_string());
        let common = |index: usize, more: &[&str]| {
            let mut all: Vec<String> = Vec::new();
            let parts =
                [&databases[index].arguments(), &issuer.arguments(), arguments, more].concat();
            all.extend(parts.into_iter().map(str::to_owned));
            all.extend(["--workload-jwks".to_owned(), jwks.clone()]);
            all
        };
        let [one, two, three] = doors;
        let more = [
            "--workload-key",
            &own,
            "--records",
            &records_peer,
            "--transactions",
            &transactions_peer,
            "--reconcile-backoff",
            "1",
        ];
        let config_one: accounts::Config = parse(&common(0, &more));
        let more = ["--kek-file", &kek, "--object-store", &objects];
        let config_two: records::Config = parse(&common(1, &more));
        let more = ["--workload-key", &own_too, "--accounts", &accounts_peer];
        let config_three: transactions::Config = parse(&common(2, &more));
        let clock = Clock::system;
        let running = [
            Running::start_on(one, |door, stop| accounts::serve(door, config_one, clock(), stop))
                .await,
            Running::start_on(two, |door, stop| records::serve(door, config_two, clock(), stop))
                .await,
            Running::start_on(three, |door, stop| {
                transactions::serve(door, config_three, clock(), stop)
            })
            .await,
        ];
        let at =
            Addresses { accounts: accounts_at, records: records_at, transactions: transactions_at };
        Self {
            at,
            to_records,
            to_transactions,
            to_accounts,
            issuer,
            databases,
            _running: running,
            _keys: keys,
        }
    }

    /// A caller with every permission in a new tenant.
    pub(crate) fn newcomer(&self) -> Clients {
        let tenant = TenantId::generate();
        block_in_place(|| {
            for database in &self.databases {
                database.add_tenant(tenant);
            }
        });
        let token = self.issuer.sign(&self.issuer.claims(tenant, &["*"]));
        Clients::new(self.at, Some(&token)).unwrap()
    }
}

fn parse<C: clap::Args>(arguments: &[String]) -> C {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    config(&arguments)
}
