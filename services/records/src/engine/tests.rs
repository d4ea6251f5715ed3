use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use shared::commitment::Commitment;
use shared::problem::Reason::{IdTaken, ResourceNotFound};
use shared::task;
use shared::testing::TestDatabase;

use super::*;
use crate::SERVICE;
use crate::domain::access::{AccessId, Action, PRINCIPAL};
use crate::domain::content_type::ContentType;
use crate::domain::purpose::Purpose;
use crate::domain::record::{RecordState, View};
use crate::domain::subject::{Subject, SubjectId, SubjectState};
use crate::seal::provider::{Capabilities, ProviderFuture};
use crate::seal::{
    Context, FileProvider, Key, KeyError, KeyId, KeyProvider, Keyring, KeyringLimits, Wrapped,
};
use crate::store::keys::{self, SubjectKeyRow};
use crate::store::subjects;
use crate::vault::{self, Vault};

const CONTENT: &[u8] = b"secret";

/// A provider that can go away.
struct Switch {
    provider: FileProvider,
    is_away: AtomicBool,
}

impl KeyProvider for Switch {
    fn capabilities(&self) -> Capabilities {
        self.provider.capabilities()
    }

    fn wrap<'a>(&'a self, key: &'a Key, context: &'a Context) -> ProviderFuture<'a, Wrapped> {
        self.provider.wrap(key, context)
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, context: &'a Context) -> ProviderFuture<'a, Key> {
        if self.is_away.load(Ordering::SeqCst) {
            return Box::pin(async { Err(KeyError::Unavailable("away".to_owned())) });
        }
        self.provider.unwrap(wrapped, context)
    }

    fn active(&self) -> KeyId {
        self.provider.active()
    }

    fn versions(&self) -> Vec<KeyId> {
        self.provider.versions()
    }
}

/// A database with one subject in each of two tenants, and a provider of keys.
struct World {
    database: TestDatabase,
    tenants: [TenantId; 2],
    subject: SubjectId,
    provider: Arc<Switch>,
}

impl World {
    async fn new() -> Self {
        let database = task::blocking(|| TestDatabase::new(SERVICE.schema)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kek.json");
        FileProvider::create(&file).unwrap();
        let provider = FileProvider::open(&file).unwrap();
        let provider = Arc::new(Switch { provider, is_away: AtomicBool::new(false) });
        let tenants = [database.tenant(), database.tenant()];
        let world = Self { database, tenants, subject: SubjectId::generate(), provider };
        for tenant in tenants {
            world.add_subject(tenant).await;
        }
        world
    }

    fn vault(&self) -> Vault {
        let (ttl, retry_after) = (Duration::from_secs(60), Duration::ZERO);
        let limits =
            KeyringLimits { capacity: 8, ttl, timeout: Duration::from_secs(60), retry_after };
        let ring = Keyring::new(self.provider.clone(), limits);
        Vault::new(self.database.db(), Clock::system(), ring)
    }

    fn engine(&self, vault: &Vault) -> Engine {
        Engine {
            session: self.database.db().session().0,
            keys: vault.open_keys(),
            clock: Clock::system(),
            timeout: Duration::from_secs(60),
            nudge: Nudge::default(),
        }
    }

    async fn add_subject(&self, tenant: TenantId) {
        let scope = Scope::tenant(tenant, Deadline::after(Duration::from_secs(60)));
        let above = self.vault().tenant_key(tenant, scope).await.unwrap();
        let (id, state, now) = (self.subject, SubjectState::Active, Clock::system().now());
        let (_, wrapped) = above.new_subject_key(id.uuid(), 1).unwrap();
        let subject = Subject { id, state, create_time: now, revision: 1 };
        let key = SubjectKeyRow {
            tenant_id: tenant,
            subject_id: id,
            generation: 1,
            tenant_key_epoch: above.epoch(),
            wrapped: wrapped.to_bytes(),
            create_time: now,
            first_epoch: Some(above.epoch()),
            made_epoch: above.epoch(),
        };
        let insert = move |conn: &mut PgConnection| {
            subjects::insert(conn, tenant, &subject)?;
            keys::insert_subject_key(conn, &key)?;
            Ok::<_, Error>(())
        };
        self.database.db().write("add_subject", scope, insert).await.unwrap();
    }

    fn count(&self, from: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        let query = diesel::sql_query(format!("SELECT count(*) AS count FROM {from}"));
        query.get_result::<Count>(&mut self.database.admin()).unwrap().count
    }

    fn create(&self, tenant: TenantId, id: RecordId) -> Job {
        let now = Clock::system().now();
        let record = Record {
            id,
            subject: self.subject,
            kind: "kyc-file".to_owned(),
            content_type: ContentType::parse("text/plain").unwrap(),
            labels: BTreeMap::new(),
            event_time: None,
            version: 1,
            size: i64::try_from(CONTENT.len()).unwrap(),
            create_time: now,
            update_time: now,
            revision: 1,
            state: RecordState::Active,
            delete_time: None,
            purge_time: None,
            expire_time: None,
        };
        let sealed = Loose::seal(tenant, &record, CONTENT).unwrap();
        let content = Ok(NewContent { sealed, tokens: Vec::new() });
        let access = access(Action::CREATE_RECORD);
        let create = Create { record, is_chosen: true, content, request: None, access };
        Job { tenant, ask: Ask::Create(Arc::new(create)) }
    }
}

fn access(action: Action) -> Access {
    let time = Clock::system().now();
    Access {
        id: AccessId::from_uuid(shared::changes::id(time)),
        time,
        principal: "ann".to_owned(),
        commitment: Commitment::new(PRINCIPAL, "ann"),
        workload: None,
        action,
        subject: None,
        record: None,
        version: None,
        view: None,
        purpose: None,
        refusal: None,
        resource: None,
        grounds: None,
        trace_id: "0".repeat(32),
    }
}

fn read(tenant: TenantId, id: RecordId) -> Job {
    let reading = Reading {
        action: Action::GET_RECORD,
        view: View::Full,
        principal: "ann".to_owned(),
        purpose: Purpose::parse("KYC"),
        full: Ok(()),
        is_one_answer: true,
    };
    let targets = vec![Target { id, version: 0, access: access(Action::GET_RECORD) }];
    Job { tenant, ask: Ask::Read(Arc::new(Read { reading, targets })) }
}

fn run(engine: &mut Engine, job: Job) -> Answer {
    engine.run(vec![job]).pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_holds_up_nobody_and_is_never_an_unlogged_read() {
    let world = World::new().await;
    let (tenant, id, vault) = (world.tenants[0], RecordId::generate(), world.vault());
    let mut engine = world.engine(&vault);
    world.provider.is_away.store(true, Ordering::SeqCst);
    let job = world.create(tenant, id);
    let again = Job { tenant, ask: job.ask.clone() };
    let Ok(Done::NeedsKey(chain)) = run(&mut engine, job) else { panic!("the key is not open") };
    let away = vault.subject_key(&chain).await.err().unwrap();
    assert!(matches!(away, Error::Key(KeyError::Unavailable(_))), "{away:?}");
    assert_eq!((world.count("records"), world.count("accesses")), (0, 0));

    world.provider.is_away.store(false, Ordering::SeqCst);
    vault.subject_key(&chain).await.unwrap();
    assert!(matches!(run(&mut engine, again), Ok(Done::Created)));
    assert_eq!((world.count("records"), world.count("accesses")), (1, 1));

    // Another process, whose keys are not open. It is logged before anybody asks for them.
    world.provider.is_away.store(true, Ordering::SeqCst);
    let vault = world.vault();
    let mut engine = world.engine(&vault);
    let Ok(Done::Seen(seen)) = run(&mut engine, read(tenant, id)) else { panic!("it is there") };
    assert_eq!(world.count("accesses"), 2);
    let (chain, sealed) = (seen[0].chain.as_ref().unwrap(), seen[0].sealed.as_ref().unwrap());
    let away = vault.subject_key(chain).await.err().unwrap();
    assert!(matches!(away, Error::Key(KeyError::Unavailable(_))), "{away:?}");
    world.provider.is_away.store(false, Ordering::SeqCst);
    let key = vault.subject_key(chain).await.unwrap();
    assert_eq!(*vault::open(&key, &seen[0].record, sealed).unwrap(), CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_in_one_batch_do_not_see_each_other() {
    let world = World::new().await;
    let ([one, other], vault) = (world.tenants, world.vault());
    let mut engine = world.engine(&vault);
    let (id, theirs) = (RecordId::generate(), RecordId::generate());
    for (tenant, id) in [(one, id), (other, theirs)] {
        let job = world.create(tenant, id);
        let again = Job { tenant, ask: job.ask.clone() };
        let Ok(Done::NeedsKey(chain)) = run(&mut engine, job) else { panic!("no key is open") };
        vault.subject_key(&chain).await.unwrap();
        assert!(matches!(run(&mut engine, again), Ok(Done::Created)));
    }
    let jobs = vec![
        read(one, id),
        read(other, id),
        world.create(other, id),
        read(one, theirs),
        Job { tenant: one, ask: Ask::Log(Arc::new([access(Action::GET_RECORD)])) },
        world.create(one, id),
        read(other, theirs),
    ];
    let answers = engine.run(jobs);
    let reasons: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().err().map(|p| p.reason)).collect();
    assert_eq!(
        reasons,
        [None, None, None, Some(ResourceNotFound), None, Some(IdTaken), None],
        "what the other tenant creates in the same batch is there for its own reads"
    );
    let entries =
        |tenant: TenantId| world.count(&format!("accesses WHERE tenant_id = '{}'", tenant.uuid()));
    assert_eq!((entries(one), entries(other)), (1 + 3, 1 + 3));
    let Ok(Done::Seen(seen)) = &answers[1] else { panic!("it is there by then") };
    let (record, sealed) = (&seen[0].record, seen[0].sealed.as_ref().unwrap());
    let chain = seen[0].chain.as_ref().unwrap();
    assert_eq!(chain.tenant_id, other);
    let key = vault.subject_key(chain).await.unwrap();
    assert_eq!(*vault::open(&key, record, sealed).unwrap(), CONTENT);
}
