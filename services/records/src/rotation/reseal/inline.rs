//! Bodies in the database, sealed anew.

use std::sync::Arc;

use diesel::PgConnection;

use super::{BATCH, Person, Phase, Place};
use crate::domain::record::{Record, RecordId};
use crate::domain::rotation::Step;
use crate::error::Error;
use crate::rotation::job::{Job, Next, opened};
use crate::seal::{SealBroken, SubjectKey};
use crate::store::records::{self, Sealed};
use crate::store::reseals::{self, Version, VersionPlace};
use crate::vault;

/// Bytes of the bodies of one step, beyond the first.
const BYTES: i64 = 4 * 1024 * 1024;

/// A version, as it was and as it is to be.
struct Swap {
    record: RecordId,
    version: i64,
    old: Sealed,
    new: Sealed,
}

pub(super) async fn step(job: &Job<'_>, place: Place, person: Person) -> Result<bool, Error> {
    let tenant = job.tenant;
    let batch: Vec<Version> = batch(&person.versions).to_vec();
    let is_last = batch.len() == person.versions.len() && batch.len() < BATCH;
    let (mut swaps, mut broken) = (Vec::new(), Vec::new());
    for version in &batch {
        let (record, number) = (version.record_id, version.number);
        let read = move |conn: &mut PgConnection| {
            Ok(records::select_sealed(conn, tenant, record, number)?)
        };
        // One that is purged meanwhile needs nothing any more.
        let Some(old) = job.read("get_sealed", read).await? else { continue };
        if old.data_key.is_none() {
            continue;
        }
        let about = version.record(person.id);
        let resealed = match person.old(old.subject_key_generation) {
            Ok(from) => reseal(from, Arc::clone(&person.key), about, old).await,
            Err(error) => Err(error.into()),
        };
        match opened(resealed)? {
            Some((old, new)) => swaps.push(Swap { record, version: number, old, new }),
            None => broken.push(record.name()),
        }
    }
    let mut place = place;
    place.broken += i64::try_from(broken.len()).unwrap_or(i64::MAX);
    if let Some(last) = batch.last() {
        place.version = Some(VersionPlace { record: last.record_id, number: last.number });
    }
    let write = move |conn: &mut PgConnection| {
        let step = |done| Step { done, broken: broken.clone() };
        if !person.begin(conn, tenant)? {
            return Ok((step(0), Next::At(Phase::Reseal(place.next_subject()))));
        }
        for swap in &swaps {
            // One that is purged meanwhile stays so.
            reseals::swap(conn, tenant, (swap.record, swap.version), &swap.old, &swap.new)?;
        }
        if !is_last {
            return Ok((step(0), Next::At(Phase::Reseal(place.clone()))));
        }
        let (done, next) = person.end(conn, tenant, &place)?;
        Ok((step(done), Next::At(Phase::Reseal(next))))
    };
    job.commit("reseal", write).await
}

/// As many bodies as one step takes, before the next that lies in segments.
fn batch(versions: &[Version]) -> &[Version] {
    let mut bytes = 0;
    let fits = |version: &&Version| {
        bytes += version.size_bytes;
        version.segments.is_none() && (bytes <= BYTES || bytes == version.size_bytes)
    };
    &versions[..versions.iter().take_while(fits).count()]
}

/// Opens and seals where that does not hold up others. What is sealed is opened once more before it
/// takes the place of the only other.
async fn reseal(
    from: Arc<SubjectKey>,
    to: Arc<SubjectKey>,
    record: Record,
    old: Sealed,
) -> Result<(Sealed, Sealed), Error> {
    let work = move || {
        let new = vault::reseal(&from, &to, &record, &old)?;
        vault::open(&to, &record, &new)?;
        Ok::<_, Error>((old, new))
    };
    shared::task::blocking(work).await.map_err(|error| {
        // The text of a panic may quote what was worked on.
        tracing::error!(panicked = error.is_panic(), "a body was not sealed anew");
        Error::from(SealBroken)
    })?
}
