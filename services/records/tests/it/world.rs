//! What the tests share: a service on a schema of its own, and callers of it.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use records::seal::FileProvider;
use records::{Config, SERVICE, serve};
use shared::clock::Clock;
use shared::ids::TenantId;
use shared::problem::Reason;
use shared::task;
use shared::testing::{Issuer, Running, TestDatabase, config, refusal};
use shared::transparency::{LogKey, generate};
use strongroom_proto::records::v1 as wire;
use tempfile::TempDir;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use wire::record_service_client::RecordServiceClient;
use wire::subject_service_client::SubjectServiceClient;

/// A running service with a tenant.
pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) issuer: Issuer,
    pub(crate) tenant: TenantId,
    pub(crate) running: Running,
    pub(crate) folder: TempDir,
}

/// Somebody who calls the service.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) records: RecordServiceClient<Channel>,
    subjects: SubjectServiceClient<Channel>,
    pub(crate) channel: Channel,
    bearer: AsciiMetadataValue,
}

pub(crate) type Answer<T> = Result<Response<T>, Status>;

impl World {
    pub(crate) async fn new() -> Self {
        let database = task::blocking(|| TestDatabase::new(SERVICE.schema)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kek = folder.path().join("kek.json");
        FileProvider::create(&kek).unwrap();
        let issuer = Issuer::new(&[]);
        let tenant = database.tenant();
        let running = start(&database, &issuer, &kek).await;
        Self { database, issuer, tenant, running, folder }
    }

    /// The same database behind another process, with these key-encryption keys.
    pub(crate) async fn restart(&mut self, kek: &Path) {
        self.running.cancel();
        self.running = start(&self.database, &self.issuer, kek).await;
    }

    /// The key with which what the service signs is verified.
    pub(crate) fn verifier_key(&self) -> String {
        LogKey::load(&log_key(self.folder.path())).unwrap().verifier_key()
    }

    /// Somebody who may do everything in the tenant.
    pub(crate) fn caller(&self) -> Caller {
        self.caller_in(self.tenant, &["*"])
    }

    pub(crate) fn caller_in(&self, tenant: TenantId, permissions: &[&str]) -> Caller {
        self.caller_at(&self.running, tenant, permissions)
    }

    /// Somebody who calls another replica, over a connection of its own.
    pub(crate) fn caller_at(
        &self,
        running: &Running,
        tenant: TenantId,
        permissions: &[&str],
    ) -> Caller {
        let channel = running.channel();
        let records = RecordServiceClient::new(channel.clone());
        Caller {
            records: records.max_decoding_message_size(8 << 20),
            subjects: SubjectServiceClient::new(channel.clone()),
            channel,
            bearer: self.issuer.bearer(tenant, permissions).parse().unwrap(),
        }
    }

    /// Another process on the same database.
    pub(crate) async fn twin(&self) -> Running {
        start(&self.database, &self.issuer, &self.folder.path().join("kek.json")).await
    }

    /// Runs SQL as the owner of the schema, inside the tenant: the policies hold for it too.
    pub(crate) fn owner_sql(&self, sql: &str) {
        let mut owner = self.database.owner();
        let tenant = self.tenant.uuid();
        owner.batch_execute(&format!("SET strongroom.tenant = '{tenant}'; {sql}")).unwrap();
    }

    /// Counts what a query gives, without any policy.
    pub(crate) fn count(&self, from: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        let query = diesel::sql_query(format!("SELECT count(*) AS count FROM {from}"));
        query.get_result::<Count>(&mut self.database.admin()).unwrap().count
    }

    /// The entries of the access log, oldest first: action, purpose, view, decision, reason.
    pub(crate) fn accesses(&self) -> Vec<Entry> {
        let query = "SELECT action, purpose, view::bigint, decision::bigint, reason, trace_id, \
                     principal, subject_id::text AS subject, record_id::text AS record \
                     FROM accesses ORDER BY time, id";
        diesel::sql_query(query).load(&mut self.database.admin()).unwrap()
    }
}

/// An entry of the access log.
#[derive(Debug, QueryableByName)]
pub(crate) struct Entry {
    #[diesel(sql_type = Text)]
    pub(crate) action: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) purpose: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) view: Option<i64>,
    #[diesel(sql_type = BigInt)]
    pub(crate) decision: i64,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) reason: Option<String>,
    #[diesel(sql_type = Text)]
    pub(crate) trace_id: String,
    #[diesel(sql_type = Text)]
    pub(crate) principal: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) subject: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) record: Option<String>,
}

pub(crate) async fn start(database: &TestDatabase, issuer: &Issuer, kek: &Path) -> Running {
    let mut arguments = database.arguments();
    arguments.extend(issuer.arguments());
    let objects = kek.parent().unwrap().join("objects");
    std::fs::create_dir_all(&objects).unwrap();
    let objects = format!("file://{}", objects.display());
    arguments.extend(["--kek-file", kek.to_str().unwrap(), "--object-store", &objects]);
    let log_key = log_key(kek.parent().unwrap());
    arguments.extend(["--log-key", log_key.to_str().unwrap()]);
    let config: Config = config(&arguments);
    Running::start(|listener, shutdown| serve(listener, config, Clock::system(), shutdown)).await
}

/// The key of the log in a folder, made where there is none.
fn log_key(folder: &Path) -> PathBuf {
    let path = folder.join("log.pem");
    if !path.exists() {
        std::fs::write(&path, generate().unwrap().0).unwrap();
    }
    path
}

impl Caller {
    /// A message with the caller's token.
    pub(crate) fn signed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        request
    }

    pub(crate) async fn create_subject(
        &self,
        request: wire::CreateSubjectRequest,
    ) -> Answer<wire::Subject> {
        self.subjects.clone().create_subject(self.signed(request)).await
    }

    pub(crate) async fn create_record(
        &self,
        request: wire::CreateRecordRequest,
    ) -> Answer<wire::Record> {
        self.records.clone().create_record(self.signed(request)).await
    }

    pub(crate) async fn get_record(&self, request: wire::GetRecordRequest) -> Answer<wire::Record> {
        self.records.clone().get_record(self.signed(request)).await
    }

    /// A new subject's name.
    pub(crate) async fn subject(&self) -> String {
        let request = wire::CreateSubjectRequest::default();
        self.create_subject(request).await.unwrap().into_inner().name
    }

    /// A new record about a subject.
    pub(crate) async fn record(&self, subject: &str, kind: &str, content: &[u8]) -> wire::Record {
        let request = create(subject, kind, content);
        self.create_record(request).await.unwrap().into_inner()
    }

    /// Reads a record for KYC.
    pub(crate) async fn read(&self, name: &str, view: wire::RecordView) -> Answer<wire::Record> {
        self.get_record(get(name, view, "KYC")).await
    }

    /// The content of a record, or why it is not given.
    pub(crate) async fn content(&self, name: &str) -> Result<Vec<u8>, Reason> {
        match self.read(name, wire::RecordView::Full).await {
            Ok(record) => Ok(record.into_inner().content.to_vec()),
            Err(status) => Err(refusal(&status).0),
        }
    }
}

pub(crate) fn create(
    subject: &str,
    content_type: &str,
    content: &[u8],
) -> wire::CreateRecordRequest {
    let record = wire::Record {
        subject: subject.to_owned(),
        r#type: "kyc-file".to_owned(),
        content_type: content_type.to_owned(),
        content: content.to_vec().into(),
        ..wire::Record::default()
    };
    wire::CreateRecordRequest { record: Some(record), ..wire::CreateRecordRequest::default() }
}

pub(crate) fn get(name: &str, view: wire::RecordView, purpose: &str) -> wire::GetRecordRequest {
    let (name, purpose) = (name.to_owned(), purpose.to_owned());
    wire::GetRecordRequest { name, view: view.into(), purpose, version: 0 }
}

/// The id in a resource name.
pub(crate) fn id_of(name: &str) -> &str {
    name.split_once('/').unwrap().1
}

pub(crate) fn is_replayed<T>(response: &Response<T>) -> bool {
    response.metadata().contains_key("strongroom-replayed")
}

/// The reason of a refusal.
pub(crate) fn reason<T: std::fmt::Debug>(answer: Answer<T>) -> Reason {
    refusal(&answer.unwrap_err()).0
}
