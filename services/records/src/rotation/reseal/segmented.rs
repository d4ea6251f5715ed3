//! Bodies in segments in the object store, sealed anew under another data key, beside the old ones.
//!
//! The new data key is stored, wrapped, before the first segment is put, so that a step that is
//! killed goes on where it was, and that nothing is put that nobody knows of. Once all are there
//! the version is swapped, and the old segments are deleted after it.

use std::sync::Arc;
use std::time::Duration;

use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use shared::ids::TenantId;
use uuid::Uuid;

use super::{Person, Phase, Place};
use crate::domain::record::{Record, RecordId};
use crate::domain::rotation::Step;
use crate::error::Error;
use crate::rotation::job::{Job, Next, opened};
use crate::seal::{SealBroken, Wrapped};
use crate::store::object_deletes;
use crate::store::records::{self, Sealed};
use crate::store::reseals::{self, Version, VersionPlace};
use crate::vault::segments::{self, Body, Put, Segments};

/// Segments of one step.
const BATCH: u32 = 8;
/// Somebody may be reading the old segments: a download takes no longer than this.
const READ_MAX: Duration = Duration::from_secs(60 * 60);

/// A body that is on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    record: RecordId,
    version: i64,
    data_key_id: Uuid,
    /// The new data key, wrapped by the subject's new key.
    data_key: Vec<u8>,
    /// How many segments are put.
    segments: u32,
}

impl Pending {
    fn folder(&self, tenant: TenantId) -> String {
        segments::folder(tenant, self.record, self.version, self.data_key_id)
    }
}

pub(super) async fn step(job: &Job<'_>, place: Place, person: Person) -> Result<bool, Error> {
    let next = person.versions.first().cloned();
    let same = |version: &Version, pending: &Pending| {
        (version.record_id, version.number) == (pending.record, pending.version)
    };
    match (next, place.pending.clone()) {
        (Some(version), Some(pending)) if same(&version, &pending) => {
            go_on(job, place, person, version, pending).await
        }
        // It was purged meanwhile.
        (_, Some(pending)) => give_up(job, place, pending, None).await,
        (Some(version), None) => start(job, place, person, version).await,
        (None, None) => Ok(true),
    }
}

async fn start(
    job: &Job<'_>,
    place: Place,
    person: Person,
    version: Version,
) -> Result<bool, Error> {
    let (tenant, data_key_id) = (job.tenant, Uuid::now_v7());
    let (record, number) = (version.record_id, version.number);
    let (_, wrapped) = person.key.new_data_key(record.uuid(), number, data_key_id)?;
    let data_key = wrapped.to_bytes();
    let pending = Pending { record, version: number, data_key_id, data_key, segments: 0 };
    let write = move |conn: &mut PgConnection| {
        let next = match person.begin(conn, tenant)? {
            true => Place { pending: Some(pending.clone()), ..place.clone() },
            false => place.next_subject(),
        };
        Ok((Step::default(), Next::At(Phase::Reseal(next))))
    };
    job.commit("begin_reseal", write).await
}

/// Puts some more segments, and swaps the version once all are there.
async fn go_on(
    job: &Job<'_>,
    place: Place,
    person: Person,
    version: Version,
    mut pending: Pending,
) -> Result<bool, Error> {
    let (tenant, record, number) = (job.tenant, version.record_id, version.number);
    let read =
        move |conn: &mut PgConnection| Ok(records::select_sealed(conn, tenant, record, number)?);
    let old = job.read("get_sealed", read).await?;
    let Some(old) = old.filter(|old| old.data_key.is_some()) else {
        return give_up(job, place, pending, None).await;
    };
    let about = version.record(person.id);
    let copied = copy(job, &person, &about, &old, &pending).await;
    let Some((segments, salt)) = opened(copied)? else {
        return give_up(job, place, pending, Some(record.name())).await;
    };
    pending.segments = segments;
    let is_through = i32::try_from(segments).ok() == old.segments;
    let new = Sealed {
        data_key_id: pending.data_key_id,
        subject_key_generation: person.key.generation(),
        data_key: Some(pending.data_key.clone()),
        commitment_salt: Some(salt),
        ..old.clone()
    };
    let now = job.rpc.clock.now();
    let write = move |conn: &mut PgConnection| {
        let at = |place: Place| Ok((Step::default(), Next::At(Phase::Reseal(place))));
        let is_there = person.begin(conn, tenant)?;
        if is_there && !is_through {
            return at(Place { pending: Some(pending.clone()), ..place.clone() });
        }
        let is_swapped = is_there && reseals::swap(conn, tenant, (record, number), &old, &new)?;
        let (needless, due) = match is_swapped {
            true => (old.data_key_id, now.plus(READ_MAX)),
            false => (pending.data_key_id, now),
        };
        let folder = segments::folder(tenant, record, number, needless);
        object_deletes::insert(conn, tenant, &folder, due)?;
        if !is_there {
            return at(place.next_subject());
        }
        let version = Some(VersionPlace { record, number });
        at(Place { version, pending: None, ..place.clone() })
    };
    job.commit("reseal_segments", write).await
}

/// Opens segments and seals them anew; gives how many there are then, and the salt of the
/// commitment as the new key wraps it.
async fn copy(
    job: &Job<'_>,
    person: &Person,
    record: &Record,
    old: &Sealed,
    pending: &Pending,
) -> Result<(u32, Vec<u8>), Error> {
    let (id, version) = (record.id.uuid(), record.version);
    let from = person.old(old.subject_key_generation)?;
    let salt = Wrapped::from_bytes(old.commitment_salt.as_deref().ok_or(SealBroken)?)?;
    let salt = person.key.rewrap_salt(&from, id, version, &salt)?.to_bytes();
    let wrapped = Wrapped::from_bytes(&pending.data_key)?;
    let key = person.key.open_data_key(id, version, pending.data_key_id, &wrapped)?;
    let (objects, folder) = (&job.rpc.objects, pending.folder(job.tenant));
    let new = Segments::new(objects, folder, Arc::new(key), record.content_type.clone());
    let body = Body::open(objects, job.tenant, record, old, &from)?;
    let pieces = body.pieces(0..body.size());
    let mut put = pending.segments;
    for piece in pieces.skip(put as usize).take(BATCH as usize) {
        let segment = piece.segment;
        let content = Arc::new(body.read(piece).await?);
        match new.put(segment, &content).await? {
            Put::Done => put += 1,
            Put::Differs => return Err(SealBroken.into()),
        }
    }
    Ok((put, salt))
}

/// Leaves a version as it is, and deletes what has been put of its new body.
async fn give_up(
    job: &Job<'_>,
    place: Place,
    pending: Pending,
    broken: Option<String>,
) -> Result<bool, Error> {
    let (tenant, now) = (job.tenant, job.rpc.clock.now());
    let mut place = Place { pending: None, ..place };
    if broken.is_some() {
        let (record, number) = (pending.record, pending.version);
        place.version = Some(VersionPlace { record, number });
        place.broken += 1;
    }
    let folder = pending.folder(tenant);
    let write = move |conn: &mut PgConnection| {
        object_deletes::insert(conn, tenant, &folder, now)?;
        let step = Step { done: 0, broken: broken.iter().cloned().collect() };
        Ok((step, Next::At(Phase::Reseal(place.clone()))))
    };
    job.commit("leave_version", write).await
}
