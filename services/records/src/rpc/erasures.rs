//! Erasures as they are shown: with what blocks them, what they destroy and leave, and their
//! certificate and proof.

use diesel::PgConnection;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::time::Timestamp;
use shared::transparency::{LogKey, TlogProof, inclusion};
use strongroom_proto::records::v1 as wire;

use super::{Rpc, encode};
use crate::SERVICE;
use crate::domain::certificate::{self, Horizon, STAYS};
use crate::domain::erasure::{Destroyed, Erasure, ErasureName, ErasureState, LegalBasis};
use crate::domain::retention::Blocker;
use crate::domain::subject::SubjectId;
use crate::error::Error;
use crate::store::{erasures, legal_holds, retention_interests};

/// The most blockers that are told.
const BLOCKERS_MAX: usize = 100;

/// An erasure with all that belongs to it.
#[derive(Debug)]
pub(super) struct Shown {
    erasure: Erasure,
    blockers: Vec<Blocker>,
    horizon: Option<Horizon>,
    certificate: String,
    proof: String,
}

/// What blocks the erasure of a subject now.
pub(crate) fn blockers(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    now: Timestamp,
) -> Result<Vec<Blocker>, Error> {
    let mut blockers = legal_holds::blocking(conn, tenant, subject, None)?;
    blockers.extend(retention_interests::blocking(conn, tenant, subject, now)?);
    blockers.truncate(BLOCKERS_MAX);
    Ok(blockers)
}

/// Reads what belongs to an erasure: of one that has not begun, what it would destroy now.
pub(super) fn show(
    conn: &mut PgConnection,
    tenant: TenantId,
    log_key: Option<&LogKey>,
    mut erasure: Erasure,
    now: Timestamp,
) -> Result<Shown, Error> {
    let mut blockers = Vec::new();
    if erasure.state.is_pending() {
        blockers = self::blockers(conn, tenant, erasure.name.subject, now)?;
        erasure.destroyed = erasures::counts(conn, tenant, erasure.name.subject)?;
    }
    let horizon = match erasure.epochs {
        Some(epochs) => Some(Horizon::over(&erasures::epochs(conn, tenant, epochs)?)),
        None => None,
    };
    let (mut certificate, mut proof) = (String::new(), String::new());
    if erasure.state == ErasureState::Done {
        let text = horizon.as_ref().and_then(|h| certificate::text(tenant, &erasure, h));
        let signed = text.zip(log_key).and_then(|(text, key)| key.sign_text(&text));
        certificate = signed.unwrap_or_default();
        let included = inclusion(conn, tenant, SERVICE, &erasure.name.name())?;
        proof = included.map(|one| TlogProof::from(one).to_string()).unwrap_or_default();
    }
    Ok(Shown { erasure, blockers, horizon, certificate, proof })
}

/// Reads an erasure as it is shown.
pub(super) async fn find(rpc: &Rpc, call: &Call, name: ErasureName) -> Result<Shown, Error> {
    let (tenant, now, key) = (call.tenant_id()?, rpc.clock.now(), rpc.log_key.clone());
    let read = move |conn: &mut PgConnection| {
        let found = erasures::select(conn, tenant, name)?.ok_or_else(|| name.not_found())?;
        show(conn, tenant, key.as_deref(), found, now)
    };
    rpc.db.read("get_erasure", call.scope(), read).await
}

/// An erasure with all that belongs to it, as the wire has it.
pub(super) fn shown(shown: Shown) -> wire::Erasure {
    let (horizon_time, live_epochs) = match shown.horizon {
        Some(Horizon::At(time)) => (Some(time.encode()), Vec::new()),
        Some(Horizon::None(live)) => (None, live),
        None => (None, Vec::new()),
    };
    let blocker = |blocker: Blocker| wire::erasure::Blocker {
        name: blocker.name,
        end_time: blocker.end_time.map(Timestamp::encode),
    };
    let stays = match shown.erasure.state {
        ErasureState::Cancelled => Vec::new(),
        _ => STAYS.map(str::to_owned).to_vec(),
    };
    wire::Erasure {
        blockers: shown.blockers.into_iter().map(blocker).collect(),
        stays,
        horizon_time,
        live_epochs,
        certificate: shown.certificate,
        proof: shown.proof,
        ..erasure(shown.erasure)
    }
}

/// An erasure without what takes another look.
pub(super) fn erasure(erasure: Erasure) -> wire::Erasure {
    use wire::erasure::{LegalBasis as Basis, State};
    let state = match erasure.state {
        ErasureState::Requested => State::Requested,
        ErasureState::Blocked => State::Blocked,
        ErasureState::Running => State::Running,
        ErasureState::Done => State::Done,
        ErasureState::Cancelled => State::Cancelled,
    };
    let legal_basis = match erasure.legal_basis {
        LegalBasis::SubjectRequest => Basis::SubjectRequest,
        LegalBasis::PurposeEnded => Basis::PurposeEnded,
        LegalBasis::UnlawfulProcessing => Basis::UnlawfulProcessing,
        LegalBasis::LegalObligation => Basis::LegalObligation,
    };
    let Destroyed { keys, records, versions, index_rows, objects, uploads } = erasure.destroyed;
    wire::Erasure {
        name: erasure.name.name(),
        state: state.into(),
        legal_basis: legal_basis.into(),
        create_time: Some(erasure.create_time.encode()),
        due_time: Some(erasure.due_time.encode()),
        done_time: erasure.done_time.map(Timestamp::encode),
        requester: erasure.requester,
        approver: erasure.approver.unwrap_or_default(),
        destroyed: Some(wire::erasure::Destroyed {
            keys,
            records,
            versions,
            index_rows,
            objects,
            uploads,
        }),
        etag: encode::etag(erasure.revision),
        ..wire::Erasure::default()
    }
}
