//! One throw-away cluster for each test process, and a schema for each test.

use std::path::Path;
use std::sync::OnceLock;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::clock::Clock;
use crate::db::{self, Db, Schema, session_url};
use crate::ids::TenantId;
use crate::postgres::{
    Cluster, Durability, Options, ServiceUrls, provision, random_password, service_urls,
};
use crate::tenants::{self, TenantRow, TenantState};

struct Server {
    admin: String,
    password: String,
    /// Ends with the process: statics are not dropped, so the cluster's own watchdog does it.
    _cluster: Cluster,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let state = std::env::temp_dir().join(format!("strongroom-test-{}", Uuid::now_v7()));
        let downloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.strongroom");
        let options = Options::new(state, downloads, Durability::Throwaway);
        let cluster = Cluster::start(&options, &|_| ()).expect("a Postgres for tests starts");
        let password = random_password().expect("there is randomness");
        provision(cluster.url(), &password).expect("roles are made");
        Server { admin: cluster.url().to_owned(), password, _cluster: cluster }
    })
}

/// The URLs of a service on the cluster of this test process.
pub fn urls(service: &str) -> ServiceUrls {
    let server = server();
    service_urls(&server.admin, &server.password, service).expect("the URL is one")
}

/// A migrated schema of its own, dropped at the end of the test.
#[derive(Debug)]
pub struct TestDatabase {
    schema: Schema,
    /// Its name.
    pub name: String,
    /// The URL of the runtime role.
    pub runtime_url: String,
    /// The URL of the owner.
    pub owner_url: String,
}

impl TestDatabase {
    /// Makes a schema and migrates it. Blocks.
    pub fn new(schema: Schema) -> Self {
        let database = Self::empty(schema);
        db::migrate(&database.owner_url, &database.name, schema).expect("migrations run");
        database
    }

    /// Makes a schema without a table in it. Blocks.
    pub fn empty(schema: Schema) -> Self {
        let (urls, service) = (urls(schema.name), schema.name);
        let name = format!("{service}_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::establish(&server().admin).expect("the server answers");
        admin
            .batch_execute(&format!(
                "CREATE SCHEMA {name} AUTHORIZATION strongroom_{service}_owner; \
                 GRANT USAGE ON SCHEMA {name} TO strongroom_{service}"
            ))
            .expect("the schema is made");
        Self { schema, name, runtime_url: urls.runtime, owner_url: urls.owner }
    }

    /// The arguments with which a service's configuration points here.
    pub fn arguments(&self) -> Vec<&str> {
        vec!["--database-url", &self.runtime_url, "--schema", &self.name]
    }

    /// A pool of the runtime role.
    pub fn db(&self) -> Db {
        self.db_with(super::config(&[]))
    }

    /// A pool of the runtime role with these limits.
    pub fn db_with(&self, config: db::Config) -> Db {
        Db::new(&self.runtime_url, &self.name, config).expect("the pool is built")
    }

    /// Whether the runtime role may serve it.
    pub fn check(&self) -> Result<(), db::MigrateError> {
        db::check_schema(&self.runtime_url, &self.name, self.schema)
    }

    /// A connection of the owner, as which the policies still hold.
    pub fn owner(&self) -> PgConnection {
        self.connect(&self.owner_url)
    }

    /// A connection of the runtime role.
    pub fn runtime(&self) -> PgConnection {
        self.connect(&self.runtime_url)
    }

    /// A connection of the administrator, for whom no policy holds.
    pub fn admin(&self) -> PgConnection {
        self.connect(&server().admin)
    }

    fn connect(&self, url: &str) -> PgConnection {
        PgConnection::establish(&session_url(url, &self.name)).expect("the server answers")
    }

    /// The URL of the administrator.
    pub fn admin_url(&self) -> String {
        server().admin.clone()
    }

    /// A new tenant.
    pub fn tenant(&self) -> TenantId {
        self.add_tenant(TenantId::generate())
    }

    /// A tenant with this id.
    pub fn add_tenant(&self, id: TenantId) -> TenantId {
        let row = TenantRow {
            id,
            display_name: "test".to_owned(),
            time_zone: "Europe/Zurich".to_owned(),
            state: TenantState::Active.column(),
            key: vec![7; 32],
            version: 1,
            create_time: Clock::system().now(),
        };
        assert!(tenants::insert(&mut self.owner(), &row).expect("the tenant is inserted"));
        id
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // The cluster goes anyway; this keeps it small while it lives.
        if let Ok(mut admin) = PgConnection::establish(&server().admin) {
            let _ = admin.batch_execute(&format!("DROP SCHEMA {} CASCADE", self.name));
        }
    }
}
