//! All of a subject, made anew: its key, and every version's data key and body under it. What the
//! log has committed to stays as it is.
//!
//! Subjects come one after the other. The first step of one makes the new generation of its key,
//! the next ones swap versions, and the last one deletes the old generations once nothing needs
//! them. Where a write that had begun before still does, there is another pass.

mod inline;
mod segmented;

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use shared::ids::TenantId;

use super::job::{Job, Next, opened};
use super::tenant_key::{Epochs, Place as Phase};
use crate::domain::rotation::Step;
use crate::domain::subject::{SubjectId, SubjectState};
use crate::error::Error;
use crate::seal::{SealBroken, SubjectKey, Wrapped};
use crate::store::keys::{self, SubjectKeyRow};
use crate::store::reseals::{self, SubjectPlace, Version, VersionPlace};
use crate::store::subjects;

/// Versions of one step.
const BATCH: usize = 16;

/// Where the rotation stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    /// At which subject, or behind which.
    subject: SubjectPlace,
    /// Behind which version of that subject; none where it is through.
    version: Option<VersionPlace>,
    /// Versions of that subject that do not open.
    broken: i64,
    /// The body in segments that is on its way.
    pending: Option<segmented::Pending>,
    /// Whether some subject has to be looked at again.
    waits: bool,
}

impl Place {
    pub(super) const START: Self = Self {
        subject: SubjectPlace::START,
        version: None,
        broken: 0,
        pending: None,
        waits: false,
    };

    /// The subject is through.
    fn next_subject(&self) -> Self {
        Self { version: None, broken: 0, pending: None, ..self.clone() }
    }
}

/// A subject with all that a step needs to know of it.
struct Person {
    id: SubjectId,
    /// The newest generation that was stored when the step began.
    newest: i32,
    /// The key that all comes under, and its row where that is still to be stored.
    key: Arc<SubjectKey>,
    row: Option<SubjectKeyRow>,
    /// The old ones; none where it does not open.
    old: BTreeMap<i32, Option<Arc<SubjectKey>>>,
    /// The next of its versions.
    versions: Vec<Version>,
}

impl Person {
    fn old(&self, generation: i32) -> Result<Arc<SubjectKey>, SealBroken> {
        self.old.get(&generation).cloned().flatten().ok_or(SealBroken)
    }

    /// Locks the subject, and stores its new key where that is missing; false where it has been
    /// erased. Nobody else makes keys of a subject that exists.
    fn begin(&self, conn: &mut PgConnection, tenant: TenantId) -> Result<bool, Error> {
        let subject = subjects::lock(conn, tenant, self.id)?;
        if subject.is_none_or(|subject| subject.state == SubjectState::Erased) {
            return Ok(false);
        }
        let Some(row) = &self.row else { return Ok(true) };
        let stored = keys::subject_keys(conn, tenant, self.id)?;
        let newest = stored.last().map(|row| row.generation);
        if newest != Some(self.newest) || !keys::insert_subject_key(conn, row)? {
            return Err(Error::Overtaken);
        }
        Ok(true)
    }

    /// Ends with the subject: its old keys go, where nothing needs them any more.
    fn end(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
        place: &Place,
    ) -> Result<(i64, Place), Error> {
        let generation = self.key.generation();
        let left = reseals::count_versions(conn, tenant, self.id, generation)?;
        let mut next = place.next_subject();
        if left == 0 {
            let gone = reseals::delete_generations(conn, tenant, self.id, generation)?;
            return Ok((i64::try_from(gone).unwrap_or(i64::MAX), next));
        }
        next.waits |= left > place.broken;
        Ok((0, next))
    }
}

pub(super) async fn step(job: &Job<'_>, mut place: Place) -> Result<bool, Error> {
    let (tenant, target) = (job.tenant, job.rotation.target);
    if place.version.is_none() {
        let after = place.subject;
        let next =
            move |conn: &mut PgConnection| Ok(reseals::next_subject(conn, tenant, target, after)?);
        let Some(subject) = job.read("get_next_subject", next).await? else {
            return end(job, &place).await;
        };
        place = Place { subject, version: Some(VersionPlace::START), ..place };
    }
    match person(job, &place).await? {
        None => skip(job, place.next_subject(), Vec::new()).await,
        Some(Err(SealBroken)) => {
            let name = place.subject.subject_id.name();
            skip(job, place.next_subject(), vec![name]).await
        }
        Some(Ok(person)) => {
            let is_segmented = person.versions.first().is_some_and(|one| one.segments.is_some());
            match is_segmented || place.pending.is_some() {
                true => segmented::step(job, place, person).await,
                false => inline::step(job, place, person).await,
            }
        }
    }
}

/// The pass is through. Where something has to be looked at again there is another, in a while.
async fn end(job: &Job<'_>, place: &Place) -> Result<bool, Error> {
    let waits = place.waits;
    let write = move |_: &mut PgConnection| {
        let next = match waits {
            true => Next::Waits(Phase::Reseal(Place::START)),
            false => Next::End,
        };
        Ok((Step::default(), next))
    };
    job.commit("end_reseal", write).await
}

async fn skip(job: &Job<'_>, place: Place, broken: Vec<String>) -> Result<bool, Error> {
    let write = move |_: &mut PgConnection| {
        let step = Step { done: 0, broken: broken.clone() };
        Ok((step, Next::At(Phase::Reseal(place.clone()))))
    };
    job.commit("skip_subject", write).await
}

/// The subject at a place; none where it has no key any more.
async fn person(job: &Job<'_>, place: &Place) -> Result<Option<Result<Person, SealBroken>>, Error> {
    let (tenant, target, id) = (job.tenant, job.rotation.target, place.subject.subject_id);
    let after = place.version.unwrap_or(VersionPlace::START);
    let read = move |conn: &mut PgConnection| {
        let stored = keys::subject_keys(conn, tenant, id)?;
        let Some(newest) = stored.last() else { return Ok(None) };
        let generation = newest.generation + i32::from(newest.made_epoch < target);
        let versions = reseals::versions(conn, tenant, id, generation, after, BATCH)?;
        let epochs = Epochs::new(keys::tenant_keys(conn, tenant)?);
        Ok(Some((stored, generation, versions, epochs)))
    };
    let Some((stored, generation, versions, mut epochs)) = job.read("get_subject", read).await?
    else {
        return Ok(None);
    };
    let mut open = BTreeMap::new();
    for row in &stored {
        open.insert(row.generation, key(job, &mut epochs, row).await?);
    }
    let newest = stored.last().map_or(0, |row| row.generation);
    if open.get(&newest).is_none_or(Option::is_none) {
        return Ok(Some(Err(SealBroken)));
    }
    let (key, row) = if let Some(key) = open.remove(&generation).flatten() {
        (key, None)
    } else {
        let (key, row) = new_key(job, &mut epochs, &stored, generation).await?;
        (Arc::new(key), Some(row))
    };
    Ok(Some(Ok(Person { id, newest, key, row, old: open, versions })))
}

async fn key(
    job: &Job<'_>,
    epochs: &mut Epochs,
    row: &SubjectKeyRow,
) -> Result<Option<Arc<SubjectKey>>, Error> {
    let Some(above) = epochs.get(job, row.tenant_key_epoch).await? else { return Ok(None) };
    let wrapped = Wrapped::from_bytes(&row.wrapped);
    let id = row.subject_id.uuid();
    let key = wrapped.and_then(|wrapped| above.open_subject_key(id, row.generation, &wrapped));
    Ok(opened(key)?.map(Arc::new))
}

/// A new key of a subject. A backup may still have what is the person's under the oldest epoch.
async fn new_key(
    job: &Job<'_>,
    epochs: &mut Epochs,
    stored: &[SubjectKeyRow],
    generation: i32,
) -> Result<(SubjectKey, SubjectKeyRow), Error> {
    let target = job.rotation.target;
    let above = epochs.get(job, target).await?.ok_or(SealBroken)?;
    let first = stored.iter().map(|row| row.first_epoch.unwrap_or(row.tenant_key_epoch)).min();
    let subject_id = stored.first().ok_or(SealBroken)?.subject_id;
    let (key, wrapped) = above.new_subject_key(subject_id.uuid(), generation)?;
    let row = SubjectKeyRow {
        tenant_id: job.tenant,
        subject_id,
        generation,
        tenant_key_epoch: target,
        wrapped: wrapped.to_bytes(),
        create_time: job.rpc.clock.now(),
        first_epoch: first,
        made_epoch: target,
    };
    Ok((key, row))
}
