//! Postgres is away: at the start, and later.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::postgres::{self, Cluster, Durability};
use shared::problem::Reason;
use shared::testing::{Fault, Proxy, refusal, urls};
use strongroom_proto::transactions::v1::AccountClass;
use suite::{Clients, Databases, Options, Progress, start};
use tokio::task::block_in_place;
use tonic_types::StatusExt as _;

use crate::wire::{account, cents, open, send, source, transfer};
use crate::world::{downloads, folder, options, run};

#[test]
fn a_suite_survives_without_postgres() {
    run(async {
        let folder = folder();
        let settings = postgres::Options::new(
            folder.path().join("cluster"),
            downloads(),
            Durability::Throwaway,
        );
        let cluster = block_in_place(|| Cluster::start(&settings, &|_| ()).unwrap());
        let (proxy, url) = behind_proxy(cluster.url()).await;
        proxy.set(Fault::Cut);

        // Away at the start: a line that says so, and patience.
        let lines = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&lines);
        let progress = Progress::to(move |line| told.lock().unwrap().push(line.to_owned()));
        let mut options = options(&folder.path().join("state"));
        options.databases.database_url = Some(url);
        let starting = tokio::spawn(async move {
            Box::pin(start(&options, prometheus::Registry::new(), &progress)).await
        });
        let waiting = || {
            let lines = lines.lock().unwrap();
            lines.iter().filter(|line| line.starts_with("waiting for Postgres")).count()
        };
        until(async || waiting() >= 2).await;
        assert!(!starting.is_finished());
        proxy.set(Fault::None);
        let suite = starting.await.unwrap().unwrap();

        let clients = Clients::new(suite.addresses, None).unwrap();
        let house = source(&clients).await;
        let request = account(AccountClass::Liability);
        let opened = clients.accounts.clone().create_account(request).await.unwrap().into_inner();

        // Away later: the caller learns what to do, and the service waits for better times.
        proxy.set(Fault::Cut);
        let request = transfer(&house, &opened.name, "1.00");
        let refused = send(&clients, request.clone()).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::DatabaseUnavailable, "{refused:?}");
        assert!(refused.get_error_details().retry_info().is_some());
        proxy.set(Fault::None);
        until(async || send(&clients, request.clone()).await.is_ok()).await;
        assert_eq!(cents(&clients, &opened.name).await, 100);

        suite.stop().await.unwrap();
        block_in_place(|| cluster.stop().unwrap());
    });
}

#[test]
fn each_service_can_have_a_database_of_its_own() {
    run(async {
        let folder = folder();
        let mut options = options(folder.path());
        let urls = block_in_place(|| ["accounts", "records", "transactions"].map(urls));
        let [accounts, records, transactions] = urls.clone();
        options.databases = Databases {
            database_url: None,
            accounts_database_url: Some(accounts.runtime),
            records_database_url: Some(records.runtime),
            transactions_database_url: Some(transactions.runtime),
            accounts_migrate_database_url: Some(accounts.owner),
            records_migrate_database_url: Some(records.owner),
            transactions_migrate_database_url: Some(transactions.owner),
        };
        let up = async |options: &Options| {
            Box::pin(start(options, prometheus::Registry::new(), &Progress::silent())).await
        };
        let suite = up(&options).await.unwrap();
        assert!(suite.postgres.is_none());
        let clients = Clients::new(suite.addresses, None).unwrap();
        let name = open(&clients, AccountClass::Asset).await;
        suite.stop().await.unwrap();

        // Once migrated, the services need no owner.
        options.databases.accounts_migrate_database_url = None;
        options.databases.records_migrate_database_url = None;
        options.databases.transactions_migrate_database_url = None;
        let suite = up(&options).await.unwrap();
        let clients = Clients::new(suite.addresses, None).unwrap();
        assert_eq!(cents(&clients, &name).await, 0);
        suite.stop().await.unwrap();

        // Nobody serves from a schema that is not as the binary needs it.
        let [accounts, ..] = urls;
        options.databases.records_database_url = Some(accounts.runtime);
        let error = up(&options).await.err().unwrap().to_string();
        assert!(error.starts_with("records ended"), "{error}");
    });
}

/// The cluster's URL, but through a proxy over TCP.
async fn behind_proxy(url: &str) -> (Proxy, String) {
    let (credentials, place) = url.split_once('@').unwrap();
    let (address, _) = place.split_once('/').unwrap();
    let proxy = Proxy::to(address.parse().unwrap()).await;
    let url = format!("{credentials}@{}/postgres", proxy.address);
    (proxy, url)
}

async fn until(condition: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it does not happen");
}
