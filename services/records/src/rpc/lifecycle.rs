//! What `DeleteRecord`, `UndeleteRecord` and `PurgeRecord` have in common.

use diesel::{PgConnection, QueryResult};
use serde::Serialize;
use shared::field::{self, At as _, Decoded};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::outcome::Once;
use shared::problem::Problem;
use shared::time::Timestamp;

use super::{Rpc, encode};
use crate::domain::access::Action;
use crate::domain::record::{Record, RecordId};
use crate::domain::retention;
use crate::domain::subject::{SubjectId, SubjectState, erased};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{accesses, legal_holds, record_changes, records, retention_interests, subjects};

/// One of the three, as it differs from the others.
pub(super) struct Step {
    /// The operation, for GetOutcome.
    pub(super) operation: &'static str,
    /// The unit of work.
    pub(super) unit: &'static str,
    /// The permission that it takes.
    pub(super) action: Action,
    /// The event.
    pub(super) event: &'static str,
    /// Decides, and gives the record as it shall be. Writes nothing.
    pub(super) decide: fn(&mut PgConnection, &Found) -> Result<Record, Error>,
    /// Writes the record as it shall be.
    pub(super) write: fn(&mut PgConnection, TenantId, &Record) -> QueryResult<()>,
}

/// What is decided upon. Subject and record are locked where it is going to be written.
pub(super) struct Found {
    pub(super) tenant: TenantId,
    pub(super) record: Record,
    pub(super) subject: SubjectState,
    pub(super) now: Timestamp,
}

impl Found {
    /// Whether the data of its subject is still there.
    pub(super) fn not_erased(&self) -> Result<(), Problem> {
        match self.subject {
            SubjectState::Erased => Err(erased(self.record.subject)),
            SubjectState::Active | SubjectState::Restricted => Ok(()),
        }
    }

    /// Whether no legal hold forbids to end the record.
    pub(super) fn allow_delete(&self, conn: &mut PgConnection) -> Result<(), Error> {
        let (subject, id) = (self.record.subject, self.record.id);
        let holds = legal_holds::blocking(conn, self.tenant, subject, Some(id))?;
        Ok(retention::allow_end(&holds, &[])?)
    }

    /// Whether neither a legal hold nor a retention interest forbids it.
    pub(super) fn allow_purge(&self, conn: &mut PgConnection) -> Result<(), Error> {
        let (subject, id) = (self.record.subject, self.record.id);
        let holds = legal_holds::blocking(conn, self.tenant, subject, Some(id))?;
        let interests = retention_interests::blocking(conn, self.tenant, subject, self.now)?;
        Ok(retention::allow_end(&holds, &interests)?)
    }
}

/// What is asked for.
#[derive(Clone, Serialize)]
pub(super) struct Asked {
    id: RecordId,
    etag: String,
    #[serde(skip)]
    request_id: Option<String>,
    #[serde(skip)]
    validate_only: bool,
}

impl Asked {
    /// Reads a request.
    pub(super) fn decode(
        name: &str,
        etag: String,
        request_id: String,
        validate_only: bool,
    ) -> Decoded<Self> {
        Ok(Self {
            id: RecordId::parse_name(name).at("name")?,
            etag,
            request_id: field::request_id(request_id).at("request_id")?,
            validate_only,
        })
    }
}

/// Takes a step in the life of a record.
pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    step: Step,
    asked: Asked,
) -> Result<Created<Record>, Error> {
    let (tenant, id, now) = (call.tenant_id()?, asked.id, rpc.clock.now());
    let request = |id| call.request(step.operation, id, &asked, &rpc.clock);
    let request = asked.request_id.clone().map(request).transpose()?;
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(records::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?)
    };
    let (record, subject) = rpc.db.read("get_record", call.scope(), read).await?;
    let owner = record.subject;
    if asked.validate_only {
        let check = move |conn: &mut PgConnection| {
            decide(conn, &step, &asked, &Found { tenant, record: record.clone(), subject, now })
        };
        let record = rpc.db.read("check_record", call.scope(), check).await?;
        return Ok(Created::Now(record));
    }
    let mut access = rpc.access(call, step.action);
    (access.subject, access.record) = (Some(owner), Some(id));
    access.version = Some(record.version);
    let unit = step.unit;
    let act = move |conn: &mut PgConnection| {
        let old = lock(conn, tenant, owner, id, now)?;
        let new = decide(conn, &step, &asked, &old)?;
        (step.write)(conn, tenant, &new)?;
        accesses::insert(conn, tenant, &access)?;
        let event = Event::new(tenant, step.event, id.name(), now).with("subject", owner.name());
        events::record(conn, tenant, &event)?;
        Ok(new)
    };
    match rpc.once(call, unit, request, id.name(), act).await? {
        Once::Done(record) => Ok(Created::Now(record)),
        Once::Replayed(_) => {
            Ok(Created::Before(rpc.db.read("get_record", call.scope(), read).await?.0))
        }
    }
}

/// Locks a record, and its subject before it.
fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    id: RecordId,
    now: Timestamp,
) -> Result<Found, Error> {
    let state = subjects::lock_state(conn, tenant, subject)?;
    let state = state.ok_or_else(|| subject.not_found())?;
    let record = record_changes::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
    Ok(Found { tenant, record, subject: state, now })
}

fn decide(
    conn: &mut PgConnection,
    step: &Step,
    asked: &Asked,
    found: &Found,
) -> Result<Record, Error> {
    encode::check_etag(&asked.etag, found.record.revision, &asked.id.name())?;
    (step.decide)(conn, found)
}
