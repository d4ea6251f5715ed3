//! Where the data is: databases that somebody else runs, or a private Postgres. In either case with
//! the schemas of all services brought up to date.

use std::path::{Path, PathBuf};
use std::time::Duration;

use shared::db::{MigrateError, Schema, migrate, restore};
use shared::postgres::{self, Cluster, provision, service_urls};
use shared::task;
use uuid::Uuid;

use crate::error::Error;
use crate::keys::Keys;
use crate::options::{Databases, Options};
use crate::progress::Progress;

/// The pause after the first failure to connect; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The database of one service.
pub(crate) struct Place {
    schema: Schema,
    /// As whom the service serves.
    pub(crate) runtime: String,
    /// As whom its schema is migrated; where it is absent the schema is taken as it is.
    owner: Option<String>,
}

/// The databases of all services.
pub(crate) struct Database {
    pub(crate) accounts: Place,
    pub(crate) records: Place,
    pub(crate) transactions: Place,
    /// The private Postgres, where there is one.
    pub(crate) cluster: Option<Cluster>,
}

impl Database {
    /// Finds the databases, or brings up a Postgres.
    pub(crate) async fn find(
        options: &Options,
        keys: &Keys,
        progress: &Progress,
    ) -> Result<Self, Error> {
        if let Some(given) = given(&options.databases)? {
            return Ok(given);
        }
        let password = keys.role_password()?;
        let (admin, cluster) = if let Some(url) = &options.databases.database_url {
            (url.clone(), None)
        } else {
            let cluster = progress.step("Postgres", bring_up(options, progress)).await?;
            (cluster.url().to_owned(), Some(cluster))
        };
        progress.step("roles", make_roles(&admin, &password, progress)).await?;
        let place = |schema: Schema| {
            let urls = service_urls(&admin, &password, schema.name)?;
            Ok::<_, Error>(Place { schema, runtime: urls.runtime, owner: Some(urls.owner) })
        };
        Ok(Self {
            accounts: place(accounts::SERVICE.schema)?,
            records: place(records::SERVICE.schema)?,
            transactions: place(transactions::SERVICE.schema)?,
            cluster,
        })
    }

    /// Brings all schemas up to date, at the same time.
    pub(crate) async fn migrate(&self, progress: &Progress) -> Result<(), Error> {
        progress.say("bringing the schemas up to date");
        tokio::try_join!(
            migrate_one(&self.accounts, progress),
            migrate_one(&self.records, progress),
            migrate_one(&self.transactions, progress),
        )?;
        Ok(())
    }

    /// Begins a new timeline in the schema of a service, once it is up to date.
    pub(crate) async fn restore(&self, service: &str, progress: &Progress) -> Result<Uuid, Error> {
        let places = [&self.accounts, &self.records, &self.transactions];
        let named = places.into_iter().find(|place| place.schema.name == service);
        let found = named.and_then(|place| Some((place, place.owner.clone()?)));
        let Some((place, url)) = found else {
            let sentence = format!("the URL of the owner of the schema {service} is needed");
            return Err(Error::Usage(sentence));
        };
        migrate_one(place, progress).await?;
        let schema = place.schema.name;
        let begun = task::blocking(move || restore(&url, schema)).await?;
        begun.map_err(|source| Error::Migrate { schema, source })
    }

    /// The folder of the private Postgres, where there is one.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        self.cluster.as_ref().map(|cluster| cluster.folder().to_owned())
    }
}

/// One URL for each service: all of them or none.
fn given(databases: &Databases) -> Result<Option<Database>, Error> {
    let runtimes = [
        &databases.accounts_database_url,
        &databases.records_database_url,
        &databases.transactions_database_url,
    ];
    let [Some(accounts), Some(records), Some(transactions)] = runtimes else {
        return match runtimes.iter().all(|url| url.is_none()) {
            true => Ok(None),
            false => Err(Error::Usage(
                "the database URLs of accounts, records and transactions are given together".into(),
            )),
        };
    };
    let place = |schema, runtime: &String, owner: &Option<String>| Place {
        schema,
        runtime: runtime.clone(),
        owner: owner.clone(),
    };
    let Databases {
        accounts_migrate_database_url: accounts_owner,
        records_migrate_database_url: records_owner,
        transactions_migrate_database_url: transactions_owner,
        ..
    } = databases;
    Ok(Some(Database {
        accounts: place(accounts::SERVICE.schema, accounts, accounts_owner),
        records: place(records::SERVICE.schema, records, records_owner),
        transactions: place(transactions::SERVICE.schema, transactions, transactions_owner),
        cluster: None,
    }))
}

async fn bring_up(options: &Options, progress: &Progress) -> Result<Cluster, Error> {
    let downloads = options.downloads.as_deref().unwrap_or(&options.state);
    let folder = options.state.join("postgres");
    let settings = postgres::Options::new(folder, downloads, options.durability);
    let progress = progress.clone();
    let started = task::blocking(move || Cluster::start(&settings, &|line| progress.say(line)));
    Ok(started.await??)
}

async fn make_roles(admin: &str, password: &str, progress: &Progress) -> Result<(), Error> {
    progress.say("making roles and schemas");
    patiently(progress, || {
        let (admin, password) = (admin.to_owned(), password.to_owned());
        move || match provision(&admin, &password) {
            Err(postgres::Error::Connect(reason)) => Ok(Err(reason)),
            other => other.map(Ok).map_err(Error::from),
        }
    })
    .await
}

async fn migrate_one(place: &Place, progress: &Progress) -> Result<(), Error> {
    let Some(owner) = &place.owner else { return Ok(()) };
    let schema = place.schema;
    patiently(progress, || {
        let owner = owner.clone();
        move || match migrate(&owner, schema.name, schema) {
            Err(MigrateError::Connect(reason)) => Ok(Err(reason.to_string())),
            other => other.map(Ok).map_err(|source| Error::Migrate { schema: schema.name, source }),
        }
    })
    .await
}

/// Runs blocking work, again and again for as long as Postgres is away. The inner error says why
/// it cannot be reached.
async fn patiently<W>(progress: &Progress, make: impl Fn() -> W) -> Result<(), Error>
where
    W: FnOnce() -> Result<Result<(), String>, Error> + Send + 'static,
{
    let mut pause = PAUSE;
    loop {
        let Err(reason) = task::blocking(make()).await?? else { return Ok(()) };
        let reason = reason.lines().next().unwrap_or_default();
        progress.say(&format!(
            "waiting for Postgres, next try in {:.1} s: {reason}",
            pause.as_secs_f32()
        ));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// A path as people write it: below the current folder without that.
pub(crate) fn short(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
