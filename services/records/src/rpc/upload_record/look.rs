//! What the store says of a request id.

use diesel::PgConnection;
use shared::field::invalid;
use shared::ids::TenantId;
use shared::outcome::{self, Claim, Request};
use shared::problem::Problem;
use shared::time::Timestamp;

use super::OPERATION;
use super::header::{Asked, Target};
use crate::domain::record::RecordId;
use crate::domain::subject::SubjectId;
use crate::domain::upload::{Header, Lease, Upload, UploadId, in_progress};
use crate::error::Error;
use crate::rpc::encode;
use crate::seal::SealBroken;
use crate::store::keys::{self, KeyChain};
use crate::store::{records, subjects, uploads};

/// What the store says of a request id.
pub(super) enum Found {
    /// It is done: the name of the version.
    Done(String),
    /// It goes on from here.
    Kept(Upload, KeyChain),
    /// What was kept is of no use any more, and gone.
    Useless,
    /// It is new.
    New(Draft, KeyChain),
}

/// What a new upload shall make.
pub(super) struct Draft {
    pub(super) record: RecordId,
    pub(super) subject: SubjectId,
    pub(super) version: i64,
    pub(super) header: Header,
}

/// One look for what there is.
pub(super) struct Look {
    pub(super) tenant: TenantId,
    pub(super) id: UploadId,
    pub(super) offset: u64,
    pub(super) asked: Option<Asked>,
    pub(super) request: Request,
    pub(super) lease: Lease,
    pub(super) now: Timestamp,
    /// Why no stream may begin now.
    pub(super) refusal: Option<Problem>,
}

impl Look {
    pub(super) fn find(&self, conn: &mut PgConnection) -> Result<Found, Error> {
        let (tenant, id) = (self.tenant, self.id);
        let kept = uploads::select(conn, tenant, id)?;
        let mut request = self.request.clone();
        match (&self.asked, &kept) {
            (None, Some(kept)) => request.hash.clone_from(&kept.request_hash),
            (None, None) => {
                let sentence = "must be given: no upload with this request_id is kept";
                return Err(Problem::from(invalid(sentence)).in_field("header.record").into());
            }
            _ => {}
        }
        let key = (OPERATION, request.request_id.as_str());
        let found = outcome::find_all(conn, tenant, &[key])?.into_values().next();
        if let Some(found) = found
            && let Claim::Replayed(name) | Claim::Resumed(name) = found.answer(&request)?
        {
            return Ok(Found::Done(name));
        }
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone().into());
        }
        let received = kept.as_ref().map_or(0, |kept| kept.received);
        if self.offset > received {
            let sentence = format!("must be at most {received}: no more than that is kept");
            let problem = Problem::from(invalid(sentence)).in_field("header.offset");
            return Err(problem.figure("received_bytes", received).into());
        }
        match (kept, &self.asked) {
            (Some(kept), _) if kept.request_hash != request.hash => {
                Err(outcome::reused(OPERATION).into())
            }
            (Some(kept), _) => self.resume(conn, &kept),
            (None, Some(asked)) => self.draft(conn, asked),
            (None, None) => Err(in_progress().into()),
        }
    }

    /// Takes the lease of what is kept. Its subject is locked first, as everywhere.
    fn resume(&self, conn: &mut PgConnection, seen: &Upload) -> Result<Found, Error> {
        let tenant = self.tenant;
        let chain = self.chain(conn, seen.subject)?;
        let kept = uploads::lock(conn, tenant, self.id)?;
        // Meanwhile it was done, removed, or another stream went on with it.
        let is_same = |kept: &Upload| kept.received == seen.received && kept.done_time.is_none();
        let kept = kept.filter(is_same).ok_or_else(in_progress)?;
        kept.allow_resume(self.now)?;
        uploads::take(conn, tenant, self.id, self.lease)?;
        // After a leak of old keys nothing new is to be sealed under them.
        if chain.generation != kept.subject_key_generation || kept.data_key.is_none() {
            uploads::abandon(conn, tenant, self.id, self.lease.id, self.now)?;
            return Ok(Found::Useless);
        }
        Ok(Found::Kept(Upload { lease: Some(self.lease), ..kept }, chain))
    }

    fn draft(&self, conn: &mut PgConnection, asked: &Asked) -> Result<Found, Error> {
        let (tenant, content_type) = (self.tenant, asked.content_type.to_string());
        let draft = match &asked.target {
            Target::New { id, subject, kind, labels, event_time } => {
                let id = id.unwrap_or_else(RecordId::generate);
                if records::exists(conn, tenant, id)? {
                    return Err(Error::IdTaken(id));
                }
                let (kind, labels, event_time) = (kind.clone(), labels.clone(), *event_time);
                let header = Header { kind, content_type, labels, event_time, revision: None };
                Draft { record: id, subject: *subject, version: 1, header }
            }
            Target::Version { id, etag } => {
                let found = records::select(conn, tenant, *id)?;
                let (record, _) = found.ok_or_else(|| id.not_found())?;
                encode::check_etag(etag, record.revision, &id.name())?;
                record.allow_change()?;
                let header = Header {
                    kind: record.kind,
                    content_type,
                    labels: record.labels,
                    event_time: record.event_time,
                    revision: (!etag.is_empty()).then_some(record.revision),
                };
                let version = record.version + 1;
                Draft { record: *id, subject: record.subject, version, header }
            }
        };
        let chain = self.chain(conn, draft.subject)?;
        Ok(Found::New(draft, chain))
    }

    /// The key chain of a subject of whom something may be sealed.
    fn chain(&self, conn: &mut PgConnection, subject: SubjectId) -> Result<KeyChain, Error> {
        let state = subjects::lock_state(conn, self.tenant, subject)?;
        state.ok_or_else(|| subject.not_found())?.allow_write(subject)?;
        Ok(keys::key_chain(conn, self.tenant, subject, None)?.ok_or(SealBroken)?)
    }
}
