//! What the methods about holds, interests, consents, leases and erasures share: refusals, pages,
//! and their resources as the wire has them.

use diesel::PgConnection;
use diesel::result::QueryResult;
use prost::Message;
use shared::field::{Decoded, invalid};
use shared::filter::Term;
use shared::grpc::Call;
use shared::page::{Found, Page};
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;

use super::{Rpc, encode};
use crate::domain::access::Access;
use crate::domain::break_glass::{Lease, Verdict};
use crate::domain::consent::Consent;
use crate::domain::legal_hold::{HoldState, LegalHold};
use crate::domain::retention::RetentionInterest;
use crate::domain::subject::{Subject, SubjectId, SubjectState, erased};
use crate::error::Error;
use crate::store::latest::Place;
use crate::store::{accesses, subjects};
use shared::ids::TenantId;

/// The subject of what is decided now, which nobody else changes meanwhile. Of an erased one
/// nothing more is decided.
pub(super) fn lock_subject(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: SubjectId,
) -> Result<Subject, Error> {
    let subject = subjects::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
    is_not_erased(subject)
}

/// The same without keeping anybody off: for what is only checked.
pub(super) fn find_subject(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: SubjectId,
) -> Result<Subject, Error> {
    let subject = subjects::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
    is_not_erased(subject)
}

fn is_not_erased(subject: Subject) -> Result<Subject, Error> {
    match subject.state {
        SubjectState::Erased => Err(erased(subject.id).into()),
        SubjectState::Active | SubjectState::Restricted => Ok(subject),
    }
}

/// `ID_TAKEN` for a name.
pub(super) fn id_taken(name: &str) -> Problem {
    Problem::new(Reason::IdTaken, format!("{name} is in use.")).figure("name", name)
}

/// Passes an answer on: a refusal is logged first, where every call is an entry of the log.
pub(super) async fn audited<T>(
    rpc: &Rpc,
    call: &Call,
    mut access: Access,
    answer: Result<T, Problem>,
) -> Result<T, Problem> {
    let problem = match answer {
        Ok(answer) => return Ok(answer),
        Err(problem) => problem,
    };
    access.refusal = Some(problem.reason);
    let tenant = call.tenant_id()?;
    let append =
        move |conn: &mut PgConnection| Ok::<_, Error>(accesses::insert(conn, tenant, &access)?);
    rpc.db.write("log_access", call.scope(), append).await.map_err(Problem::from)?;
    rpc.nudge.tenant(tenant);
    Err(problem)
}

/// What a list looks through, and what it gives of that.
pub(super) struct List<C, K, T, M> {
    /// The name of the unit of work.
    pub(super) name: &'static str,
    /// Candidates behind a place.
    pub(super) candidates: C,
    /// Whether the filter lets one through.
    pub(super) keeps: K,
    /// Where one is in the list.
    pub(super) place: fn(&T) -> Place,
    /// One as the wire has it.
    pub(super) encode: fn(T) -> M,
}

impl<C, K, T, M> List<C, K, T, M>
where
    C: Fn(&mut PgConnection, Option<&Place>, i64) -> QueryResult<Vec<T>> + Send + Sync + 'static,
    K: Fn(&T) -> bool + Send + Sync + 'static,
    T: 'static,
    M: Message + 'static,
{
    /// A page, and the token of the next.
    pub(super) async fn page(
        self,
        rpc: &Rpc,
        call: &Call,
        page: Page<Place>,
    ) -> Result<(Vec<M>, String), Error> {
        let (name, bytes_max) = (self.name, rpc.message_bytes_max);
        let read = move |conn: &mut PgConnection| {
            let candidates = |after: Option<&Place>, limit| (self.candidates)(conn, after, limit);
            let found = Found::among(&page, candidates, self.place, &self.keeps)?;
            Ok::<_, Error>(page.fill(found, bytes_max, self.place, self.encode))
        };
        rpc.db.read(name, call.scope(), read).await
    }
}

/// A value of an enum by its name in the contract, with its prefix or without.
pub(super) fn constant<T>(
    term: &Term,
    prefix: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Decoded<T> {
    term.read(|name| read(name).or_else(|| read(&format!("{prefix}{name}"))))
}

/// A time that is given as a period from now, in whole seconds.
pub(super) fn seconds(
    duration: prost_types::Duration,
    max: std::time::Duration,
) -> Decoded<std::time::Duration> {
    let refused = || invalid(format!("must be whole seconds, from 0 to {}", max.as_secs()));
    let seconds = u64::try_from(duration.seconds).map_err(|_| refused())?;
    let duration = (duration.nanos == 0).then(|| std::time::Duration::from_secs(seconds));
    duration.filter(|duration| *duration <= max).ok_or_else(refused)
}

/// A hold.
pub(super) fn legal_hold(hold: LegalHold) -> wire::LegalHold {
    use wire::legal_hold::State;
    let state = match hold.state {
        HoldState::Active => State::Active,
        HoldState::ReleaseRequested => State::ReleaseRequested,
        HoldState::Released => State::Released,
    };
    wire::LegalHold {
        name: hold.id.name(),
        target: hold.target(),
        authority: hold.authority,
        case_reference: hold.case_reference.unwrap_or_default(),
        state: state.into(),
        create_time: Some(hold.create_time.encode()),
        placer: hold.placer,
        release_requester: hold.release_requester.unwrap_or_default(),
        releaser: hold.releaser.unwrap_or_default(),
        release_time: hold.release_time.map(Timestamp::encode),
        etag: encode::etag(hold.revision),
    }
}

/// An interest.
pub(super) fn interest(interest: RetentionInterest) -> wire::RetentionInterest {
    wire::RetentionInterest {
        name: interest.id.name(),
        subject: interest.subject.name(),
        source: interest.source,
        reference: interest.reference,
        end_time: interest.end_time.map(Timestamp::encode),
        create_time: Some(interest.create_time.encode()),
        update_time: Some(interest.update_time.encode()),
    }
}

/// A consent.
pub(super) fn consent(consent: Consent) -> wire::Consent {
    use wire::consent::Decision;
    let decision = if consent.permits { Decision::Permit } else { Decision::Deny };
    wire::Consent {
        name: consent.id.name(),
        subject: consent.subject.name(),
        grantee: consent.grantee,
        purposes: consent.purposes,
        types: consent.kinds,
        decision: decision.into(),
        start_time: Some(consent.start_time.encode()),
        end_time: consent.end_time.map(Timestamp::encode),
        revoke_time: consent.revoke_time.map(Timestamp::encode),
        create_time: Some(consent.create_time.encode()),
        etag: encode::etag(consent.revision),
    }
}

/// A lease.
pub(super) fn lease(lease: Lease) -> wire::BreakGlassLease {
    let verdict = match lease.verdict {
        None => wire::break_glass_lease::Verdict::Unspecified,
        Some(Verdict::Justified) => wire::break_glass_lease::Verdict::Justified,
        Some(Verdict::Unjustified) => wire::break_glass_lease::Verdict::Unjustified,
    };
    wire::BreakGlassLease {
        name: lease.id.name(),
        subject: lease.subject.name(),
        reason_code: lease.reason_code,
        reason: lease.reason.unwrap_or_default(),
        duration: None,
        principal: lease.principal,
        create_time: Some(lease.create_time.encode()),
        end_time: Some(lease.end_time.encode()),
        review_due_time: Some(lease.review_due_time.encode()),
        verdict: verdict.into(),
        reviewer: lease.reviewer.unwrap_or_default(),
        review_time: lease.review_time.map(Timestamp::encode),
        etag: encode::etag(lease.revision),
    }
}
