//! A service that works in the background all the time, under a clock that tests move, with a key
//! of its log; and members of its tenant, who may do everything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use records::seal::FileProvider;
use records::{Config, SERVICE, serve};
use shared::clock::Clock;
use shared::task;
use shared::testing::{Bearer, Issuer, MockClock, Running, TestDatabase, config};
use shared::transparency;
use strongroom_proto::records::v1 as wire;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use wire::erasure::{LegalBasis, State};
use wire::governance_service_client::GovernanceServiceClient;
use wire::record_service_client::RecordServiceClient;
use wire::subject_service_client::SubjectServiceClient;

use crate::world::{Answer, World, create};

type Signed = InterceptedService<Channel, Bearer>;

/// A running service.
pub(crate) struct Realm {
    pub(crate) world: World,
    pub(crate) clock: MockClock,
    /// With which notes of the log are verified.
    pub(crate) verifier_key: String,
}

/// Somebody who may do everything in a tenant.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) governance: GovernanceServiceClient<Signed>,
    pub(crate) subjects: SubjectServiceClient<Signed>,
    pub(crate) records: RecordServiceClient<Signed>,
}

impl Realm {
    pub(crate) async fn new() -> Self {
        let database = task::blocking(|| TestDatabase::new(SERVICE.schema)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        FileProvider::create(&folder.path().join("kek.json")).unwrap();
        std::fs::create_dir_all(folder.path().join("objects")).unwrap();
        let (pem, verifier_key) = transparency::generate().unwrap();
        std::fs::write(folder.path().join("log.pem"), pem).unwrap();
        let (issuer, tenant) = (Issuer::new(&[]), database.tenant());
        let clock = MockClock::at(Clock::system().now());
        let running = start(&database, &issuer, folder.path().to_owned(), &clock).await;
        let world = World { database, issuer, tenant, running, folder };
        Self { world, clock, verifier_key }
    }

    /// The same database and objects behind another process. What the first one has begun it may
    /// still end.
    pub(crate) async fn restart(&mut self) {
        self.world.running.cancel();
        let World { database, issuer, folder, .. } = &self.world;
        self.world.running = start(database, issuer, folder.path().to_owned(), &self.clock).await;
    }

    /// Somebody new.
    pub(crate) fn member(&self) -> Member {
        self.member_of(self.world.tenant)
    }

    /// Somebody new in another tenant.
    pub(crate) fn member_of(&self, tenant: shared::ids::TenantId) -> Member {
        let mut claims = self.world.issuer.claims(tenant, &["*"]);
        // The clock of the test may go on for days.
        claims.exp += 365 * 86_400;
        let bearer = Bearer::new(&format!("Bearer {}", self.world.issuer.sign(&claims)));
        let channel = InterceptedService::new(self.world.running.channel(), bearer);
        Member {
            governance: GovernanceServiceClient::new(channel.clone()),
            subjects: SubjectServiceClient::new(channel.clone()),
            records: RecordServiceClient::new(channel),
        }
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * 86_400));
    }

    /// How many events of a kind there are.
    pub(crate) fn events(&self, kind: &str) -> i64 {
        self.world.count(&format!("changes WHERE kind = '{kind}'"))
    }
}

async fn start(
    database: &TestDatabase,
    issuer: &Issuer,
    folder: PathBuf,
    clock: &MockClock,
) -> Running {
    let config: Config = configuration(database, issuer, &folder);
    let clock = clock.clock();
    Running::start(|listener, shutdown| serve(listener, config, clock, shutdown)).await
}

/// The configuration of a service on a folder of its own.
pub(crate) fn configuration(database: &TestDatabase, issuer: &Issuer, folder: &Path) -> Config {
    let path = |name: &str| folder.join(name).display().to_string();
    let (kek, log_key) = (path("kek.json"), path("log.pem"));
    let objects = format!("file://{}", path("objects"));
    let mut arguments = database.arguments();
    arguments.extend(issuer.arguments());
    arguments.extend(["--kek-file", &kek, "--object-store", &objects, "--log-key", &log_key]);
    arguments.extend(["--sweep-interval", "0.02", "--sequence-interval", "0.01"]);
    arguments.extend(["--checkpoint-interval", "0.02"]);
    config(&arguments)
}

impl Member {
    /// A new subject's name.
    pub(crate) async fn subject(&mut self) -> String {
        let request = wire::CreateSubjectRequest::default();
        self.subjects.create_subject(request).await.unwrap().into_inner().name
    }

    /// A new record about a subject.
    pub(crate) async fn record(&mut self, subject: &str, content: &[u8]) -> wire::Record {
        let request = create(subject, "text/plain", content);
        self.records.create_record(request).await.unwrap().into_inner()
    }

    /// What may be done with a subject's data.
    pub(crate) async fn state(&mut self, subject: &str) -> wire::subject::State {
        let request = wire::GetSubjectRequest { name: subject.to_owned() };
        self.subjects.get_subject(request).await.unwrap().into_inner().state()
    }

    /// Asks for an erasure.
    pub(crate) async fn erase(&mut self, subject: &str) -> Answer<wire::Erasure> {
        let request = wire::EraseSubjectRequest {
            name: subject.to_owned(),
            legal_basis: LegalBasis::SubjectRequest.into(),
            ..wire::EraseSubjectRequest::default()
        };
        self.subjects.erase_subject(request).await
    }

    /// Reads an erasure.
    pub(crate) async fn erasure(&mut self, name: &str) -> wire::Erasure {
        let request = wire::GetErasureRequest { name: name.to_owned() };
        self.subjects.get_erasure(request).await.unwrap().into_inner()
    }

    /// Waits until an erasure stands somewhere.
    pub(crate) async fn until(&mut self, name: &str, state: State) -> wire::Erasure {
        self.until_it(name, |erasure| erasure.state() == state).await
    }

    /// Waits until an erasure is as wanted.
    pub(crate) async fn until_it(
        &mut self,
        name: &str,
        is_it: impl Fn(&wire::Erasure) -> bool,
    ) -> wire::Erasure {
        for _ in 0..3_000 {
            let erasure = self.erasure(name).await;
            if is_it(&erasure) {
                return erasure;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it stays as {:?}", self.erasure(name).await);
    }

    /// Places a hold.
    pub(crate) async fn hold(&mut self, target: &str) -> wire::LegalHold {
        let request = place(target);
        self.governance.place_legal_hold(request).await.unwrap().into_inner()
    }

    /// Releases a hold, or asks for that.
    pub(crate) async fn release(&mut self, hold: &str) -> Answer<wire::LegalHold> {
        let request =
            wire::ReleaseLegalHoldRequest { name: hold.to_owned(), request_id: String::new() };
        self.governance.release_legal_hold(request).await
    }

    /// Sets an interest of accounts.
    pub(crate) async fn interest(
        &mut self,
        subject: &str,
        end_time: Option<prost_types::Timestamp>,
    ) -> Answer<wire::RetentionInterest> {
        let interest = wire::RetentionInterest {
            subject: subject.to_owned(),
            source: "accounts".to_owned(),
            reference: "accounts/1".to_owned(),
            end_time,
            ..wire::RetentionInterest::default()
        };
        let request = wire::SetRetentionInterestRequest {
            retention_interest: Some(interest),
            ..wire::SetRetentionInterestRequest::default()
        };
        self.governance.set_retention_interest(request).await
    }

    /// Replaces the policy.
    pub(crate) async fn policy(&mut self, policy: wire::Policy) -> Answer<wire::Policy> {
        let policy = Some(policy);
        let request = wire::UpdatePolicyRequest { policy, ..Default::default() };
        self.governance.update_policy(request).await
    }
}

/// Asks to place a hold.
pub(crate) fn place(target: &str) -> wire::PlaceLegalHoldRequest {
    let legal_hold = wire::LegalHold {
        target: target.to_owned(),
        authority: "court-of-zurich".to_owned(),
        case_reference: "case 4711".to_owned(),
        ..wire::LegalHold::default()
    };
    wire::PlaceLegalHoldRequest { legal_hold: Some(legal_hold), ..Default::default() }
}

/// Whole days, as the wire has them.
#[expect(clippy::unnecessary_wraps, reason = "the wire has it so")]
pub(crate) fn days(days: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: days * 86_400, nanos: 0 })
}
