//! Migrations, as the owner role: one runner at a time, and a check before serving.

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration as _, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use uuid::Uuid;

use super::error::connect_message;
use super::pool::session_url;
use crate::timeline;

/// The tables that every service has: tenants, outcomes, the state of the schema.
const COMMON: EmbeddedMigrations = embed_migrations!("migrations");

diesel::table! {
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

diesel::table! {
    schema_state (singleton) {
        singleton -> Bool,
        min_binary -> Integer,
    }
}

/// The schema that a service owns.
#[derive(Clone, Copy)]
pub struct Schema {
    /// Its name, which is also the service's.
    pub name: &'static str,
    /// The service's own migrations; those that every service has run before them.
    pub migrations: &'static EmbeddedMigrations,
    /// The version of this binary, which a schema may ask a minimum of.
    pub binary: i32,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Schema").field(&self.name).finish()
    }
}

/// Why a schema cannot be brought up or served.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// There is no connection.
    #[error("cannot connect: {}", connect_message(.0))]
    Connect(#[from] ConnectionError),
    /// A statement failed.
    #[error("{0}")]
    Database(#[from] DieselError),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migration(Box<dyn std::error::Error + Send + Sync>),
    /// The binary needs migrations that have not run.
    #[error("the schema lacks the migrations {0}: run `migrate` first")]
    Behind(String),
    /// The schema needs a newer binary.
    #[error("the schema needs a binary of version {min_binary}, and this one is {binary}")]
    TooOld {
        /// What the schema asks for.
        min_binary: i32,
        /// What this binary is.
        binary: i32,
    },
    /// Serving under this role would void the policies.
    #[error("refusing to serve as a superuser or a role with BYPASSRLS: use the runtime role")]
    Privileged,
    /// The owner may change what was posted.
    #[error("refusing to serve as the schema's owner: use the runtime role")]
    Owner,
    /// Errors are told apart by their English texts.
    #[error("lc_messages is {0:?}, and must be C or English: see deploy/postgres/roles.sql")]
    Messages(String),
}

/// Brings a schema up to date, as its owner. Runners exclude each other by a lock on a row, since
/// diesel's own takes none and advisory locks do not work on every Postgres. Blocks.
pub fn migrate(owner_url: &str, schema_name: &str, schema: Schema) -> Result<(), MigrateError> {
    let url = session_url(owner_url, schema_name);
    let mut lock = PgConnection::establish(&url)?;
    let mut conn = PgConnection::establish(&url)?;
    lock_row(&mut lock)?;
    // A migration that waits for a table makes everybody behind it wait: better it fails.
    conn.batch_execute("SET lock_timeout = '10s'")?;
    for source in [&COMMON, schema.migrations] {
        let ran = conn.run_pending_migrations(ByReference(source));
        for version in ran.map_err(MigrateError::Migration)? {
            tracing::info!(schema = schema_name, migration = %version, "migrated");
        }
    }
    timeline::ensure(&mut conn)?;
    lock.batch_execute("COMMIT")?;
    Ok(())
}

/// Begins a new timeline, as the owner of a schema that was restored to an earlier state, and gives
/// its id. Blocks.
pub fn restore(owner_url: &str, schema_name: &str) -> Result<Uuid, MigrateError> {
    let mut conn = PgConnection::establish(&session_url(owner_url, schema_name))?;
    Ok(timeline::begin(&mut conn)?)
}

fn lock_row(conn: &mut PgConnection) -> Result<(), DieselError> {
    let create = "CREATE TABLE IF NOT EXISTS migration_lock (id integer PRIMARY KEY); \
                  INSERT INTO migration_lock VALUES (1) ON CONFLICT DO NOTHING";
    match conn.batch_execute(create) {
        // Two runners created it at once: one of them has it now.
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
            conn.batch_execute(create)?;
        }
        other => other?,
    }
    // It is idle for as long as the migrations run, and must not lose the row meanwhile.
    conn.batch_execute(
        "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; \
         SELECT id FROM migration_lock FOR UPDATE",
    )
}

/// Whether the runtime role may serve this schema: all migrations have run, the binary is new
/// enough, the role is under the policies, and errors can be told apart. Blocks.
pub fn check(runtime_url: &str, schema_name: &str, schema: Schema) -> Result<(), MigrateError> {
    let mut conn = PgConnection::establish(&session_url(runtime_url, schema_name))?;
    let messages: String = diesel::select(diesel::dsl::sql::<diesel::sql_types::Text>(
        "current_setting('lc_messages')",
    ))
    .first(&mut conn)?;
    if !["C", "POSIX", ""].contains(&messages.as_str()) && !messages.starts_with("en_") {
        return Err(MigrateError::Messages(messages));
    }
    let privileged: bool = diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(
        "EXISTS (SELECT FROM pg_roles WHERE rolname IN (current_user, session_user) \
         AND (rolsuper OR rolbypassrls))",
    ))
    .first(&mut conn)?;
    if privileged {
        return Err(MigrateError::Privileged);
    }
    let owns: bool = diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(
        "EXISTS (SELECT FROM pg_namespace WHERE nspname = current_schema() \
         AND pg_has_role(nspowner, 'MEMBER'))",
    ))
    .first(&mut conn)?;
    if owns {
        return Err(MigrateError::Owner);
    }
    let missing = missing(&mut conn, schema)?;
    if !missing.is_empty() {
        return Err(MigrateError::Behind(missing.join(", ")));
    }
    let min_binary = schema_state::table.select(schema_state::min_binary).first(&mut conn)?;
    if schema.binary < min_binary {
        return Err(MigrateError::TooOld { min_binary, binary: schema.binary });
    }
    Ok(())
}

fn missing(conn: &mut PgConnection, schema: Schema) -> Result<Vec<String>, MigrateError> {
    let mut needed = Vec::new();
    for source in [&COMMON, schema.migrations] {
        for migration in
            MigrationSource::<Pg>::migrations(source).map_err(MigrateError::Migration)?
        {
            needed.push(migration.name().version().to_string());
        }
    }
    let present = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    let present: BTreeSet<String> = match present.load::<String>(conn) {
        Ok(versions) => versions.into_iter().collect(),
        // No table: nothing has run yet.
        Err(_) => BTreeSet::new(),
    };
    needed.retain(|version| !present.contains(version));
    Ok(needed)
}

/// Diesel takes a source by value.
struct ByReference(&'static EmbeddedMigrations);

impl MigrationSource<Pg> for ByReference {
    fn migrations(
        &self,
    ) -> diesel::migration::Result<Vec<Box<dyn diesel::migration::Migration<Pg>>>> {
        self.0.migrations()
    }
}
