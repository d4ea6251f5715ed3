//! The three services, each on a database of its own, with a network between them that can be cut.

use std::ops::Deref;
use std::path::PathBuf;

use records::seal::FileProvider;
use shared::clock::Clock;
use shared::ids::TenantId;
use shared::testing::{Issuer, Proxy, Running, TestDatabase, config, listener};
use suite::{Addresses, Clients};
use tokio::net::TcpListener;
use tokio::task::block_in_place;

/// What each service may ask of the others.
const WORKLOADS: [(&str, &[&str]); 2] = [
    ("accounts", &["events.events.list", "records.*", "transactions.ledgerAccounts.*"]),
    ("transactions", &["accounts.accounts.get", "events.events.list", "records.subjects.list"]),
];

/// Seconds for which callers are believed: longer than any test takes.
const HOUR: u64 = 3_600;

/// What is there without the services: databases, keys, and the network between them.
pub(crate) struct Ground {
    pub(crate) at: Addresses,
    /// From accounts to records.
    pub(crate) to_records: Proxy,
    /// From accounts to transactions.
    pub(crate) to_transactions: Proxy,
    /// From transactions to accounts.
    pub(crate) to_accounts: Proxy,
    pub(crate) issuer: Issuer,
    accounts: TestDatabase,
    records: TestDatabase,
    pub(crate) transactions: TestDatabase,
    keys: tempfile::TempDir,
}

impl Ground {
    /// The ground, with the listeners of accounts, records and transactions.
    pub(crate) async fn new() -> (Self, [TcpListener; 3]) {
        let [accounts, records, transactions] = block_in_place(|| {
            [accounts::SERVICE, records::SERVICE, transactions::SERVICE]
                .map(|service| TestDatabase::new(service.schema))
        });
        let doors = [listener().await, listener().await, listener().await];
        let addresses = doors.each_ref().map(|door| door.local_addr().unwrap());
        let [accounts_at, records_at, transactions_at] = addresses;
        let at =
            Addresses { accounts: accounts_at, records: records_at, transactions: transactions_at };
        let keys = tempfile::tempdir().unwrap();
        FileProvider::create(&keys.path().join("kek.json")).unwrap();
        let ground = Self {
            at,
            to_records: Proxy::to(records_at).await,
            to_transactions: Proxy::to(transactions_at).await,
            to_accounts: Proxy::to(accounts_at).await,
            issuer: Issuer::new(&WORKLOADS),
            accounts,
            records,
            transactions,
            keys,
        };
        (ground, doors)
    }

    /// The arguments of accounts, records and transactions.
    pub(crate) fn arguments(&self) -> [Vec<String>; 3] {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let own = |service| text(self.issuer.workload_key(service));
        let peer = |proxy: &Proxy| proxy.address.to_string();
        let kek = text(self.keys.path().join("kek.json"));
        let objects = format!("file://{}", self.keys.path().display());
        let workloads = text(self.issuer.workload_jwks());
        let all = |database: &TestDatabase, more: &[[&str; 2]]| {
            let common = [database.arguments(), self.issuer.arguments()].concat();
            let more = more.concat();
            let workloads = ["--workload-jwks", &workloads];
            common.into_iter().chain(workloads).chain(more).map(str::to_owned).collect()
        };
        [
            all(
                &self.accounts,
                &[
                    ["--workload-key", &own("accounts")],
                    ["--records", &peer(&self.to_records)],
                    ["--transactions", &peer(&self.to_transactions)],
                    ["--reconcile-interval", "0.2"],
                    ["--reconcile-backoff", "1"],
                ],
            ),
            all(&self.records, &[["--kek-file", &kek], ["--object-store", &objects]]),
            all(
                &self.transactions,
                &[
                    ["--workload-key", &own("transactions")],
                    ["--accounts", &peer(&self.to_accounts)],
                ],
            ),
        ]
    }

    /// A token with every permission in a new tenant.
    pub(crate) fn token(&self) -> String {
        let tenant = TenantId::generate();
        block_in_place(|| {
            for database in [&self.accounts, &self.records, &self.transactions] {
                database.add_tenant(tenant);
            }
        });
        let mut claims = self.issuer.claims(tenant, &["*"]);
        claims.exp += HOUR;
        self.issuer.sign(&claims)
    }

    /// A caller with every permission in a new tenant.
    pub(crate) fn newcomer(&self) -> Clients {
        Clients::new(self.at, Some(&self.token())).unwrap()
    }
}

/// The services and what is between them.
pub(crate) struct Trio {
    ground: Ground,
    _running: [Running; 3],
}

impl Deref for Trio {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl Trio {
    /// Starts all services with these arguments for each.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let (ground, [one, two, three]) = Ground::new().await;
        let more = arguments.iter().copied().map(str::to_owned);
        let all = ground.arguments().map(|own| own.into_iter().chain(more.clone()).collect());
        let [accounts, records, transactions]: [Vec<String>; 3] = all;
        let config_one: accounts::Config = parse(&accounts);
        let config_two: records::Config = parse(&records);
        let config_three: transactions::Config = parse(&transactions);
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
        Self { ground, _running: running }
    }
}

/// The configuration of these arguments.
pub(crate) fn parse<C: clap::Args>(arguments: &[String]) -> C {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    config(&arguments)
}
