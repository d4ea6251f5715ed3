//! Tombstones: that a subject's keys are destroyed, written to the object store, where a restore of
//! the database does not reach. Before a database is served, whoever has a tombstone and is there
//! again is erased again.
//!
//! The name says when, of which tenant and of whom, so that what is known already need not be read:
//! `tombstones/{microseconds}-{tenant}-{subject}`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Scope};
use shared::deadline::Deadline;
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::tenants::TenantInfo;
use shared::time::Timestamp;
use tonic::codegen::Bytes;
use uuid::Uuid;

use crate::domain::erasure::{
    Destroyed, Erasure, ErasureId, ErasureName, ErasureState, LegalBasis,
};
use crate::domain::subject::{Subject, SubjectId, SubjectState};
use crate::erasing;
use crate::error::Error;
use crate::rpc::Rpc;
use crate::store::{accesses, erasures, events, subjects};

const FOLDER: &str = "tombstones";
/// The version of the format.
const VERSION: u8 = 1;
/// Bytes of a tombstone at most.
const BYTES_MAX: u64 = 16 * 1024;
/// Tombstones that are listed at once.
const BATCH: usize = 1_000;
/// How much older than the newest erasure that a database knows a tombstone may be that it does not
/// know.
const OVERLAP: i64 = 24 * 60 * 60 * 1_000_000;
/// How long one unit of work may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is written of an erasure: what it takes to have it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tombstone {
    v: u8,
    tenant: TenantId,
    subject: SubjectId,
    erasure: ErasureId,
    legal_basis: String,
    requester: String,
    approver: Option<String>,
    create_time: Timestamp,
    due_time: Timestamp,
    shred_time: Timestamp,
    epochs: Option<(i32, i32)>,
}

impl Tombstone {
    /// The erasure that it is of, with nothing destroyed yet.
    fn erasure(self) -> Option<Erasure> {
        let is_it = |basis: &LegalBasis| basis.name() == self.legal_basis;
        Some(Erasure {
            name: ErasureName { subject: self.subject, id: self.erasure },
            state: ErasureState::Running,
            legal_basis: LegalBasis::ALL.into_iter().find(is_it)?,
            requester: self.requester,
            approver: self.approver,
            create_time: self.create_time,
            due_time: self.due_time,
            next_time: self.shred_time,
            shred_time: Some(self.shred_time),
            done_time: None,
            epochs: self.epochs,
            destroyed: Destroyed::default(),
            revision: 1,
        })
    }
}

/// What the name of a tombstone says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    time: Timestamp,
    tenant: TenantId,
    subject: SubjectId,
}

impl Name {
    fn path(self) -> String {
        let (tenant, subject) = (self.tenant.uuid(), self.subject.uuid());
        format!("{}-{tenant}-{subject}", since(self.time))
    }

    fn parse(path: &str) -> Option<Self> {
        let name = path.strip_prefix(FOLDER)?.strip_prefix('/')?;
        let (micros, rest) = name.split_once('-')?;
        let (tenant, subject) = rest.split_at_checked(36)?;
        let subject = Uuid::try_parse(subject.strip_prefix('-')?).ok()?;
        Some(Self {
            time: Timestamp::from_micros(micros.parse().ok()?),
            tenant: TenantId::from_uuid(Uuid::try_parse(tenant).ok()?),
            subject: SubjectId::from_uuid(subject),
        })
    }
}

/// Where the names of a time begin.
fn since(time: Timestamp) -> String {
    format!("{FOLDER}/{:020}", time.micros().max(0))
}

/// Writes the tombstone of a subject whose keys are destroyed. It is durable once this returns, and
/// writing it again is the same.
pub(crate) async fn put(rpc: &Rpc, tenant: TenantId, erasure: &Erasure) -> Result<(), Error> {
    let Some(shred_time) = erasure.shred_time else { return Ok(()) };
    let tombstone = Tombstone {
        v: VERSION,
        tenant,
        subject: erasure.name.subject,
        erasure: erasure.name.id,
        legal_basis: erasure.legal_basis.name().to_owned(),
        requester: erasure.requester.clone(),
        approver: erasure.approver.clone(),
        create_time: erasure.create_time,
        due_time: erasure.due_time,
        shred_time,
        epochs: erasure.epochs,
    };
    let name = Name { time: shred_time, tenant, subject: erasure.name.subject };
    // Plain data with string keys always serialises.
    let body = serde_json::to_vec(&tombstone).unwrap_or_default();
    Ok(rpc.objects.put(&name.path(), Bytes::from(body)).await?)
}

/// Erases again whoever has a tombstone and is not erased in this database. It is to be served only
/// after that.
pub(crate) async fn replay(rpc: &Rpc) -> Result<(), Problem> {
    let (known, newest) = known(rpc).await?;
    let overlap = |time: Timestamp| Timestamp::from_micros(time.micros() - OVERLAP);
    let mut after = newest.map(|time| since(overlap(time))).unwrap_or_default();
    loop {
        let names = rpc.objects.list(FOLDER, &after, BATCH).await.map_err(Error::from)?;
        let Some(last) = names.last() else { return Ok(()) };
        for path in &names {
            match Name::parse(path) {
                Some(name) if known.contains(&name.tenant) => one(rpc, name).await?,
                Some(name) => {
                    tracing::warn!(tenant = %name.tenant, "a tombstone of an unknown tenant");
                }
                None => tracing::warn!(path, "an object is no tombstone"),
            }
        }
        if names.len() < BATCH {
            return Ok(());
        }
        after.clone_from(last);
    }
}

/// The tenants, and when the newest erasure happened that this database knows of.
async fn known(rpc: &Rpc) -> Result<(BTreeSet<TenantId>, Option<Timestamp>), Problem> {
    let all = rpc.tenants.all(Deadline::after(TIMEOUT)).await?;
    let known: BTreeSet<TenantId> = all.into_iter().collect();
    let mut newest = None;
    for tenant in known.iter().copied() {
        let scope = Scope::tenant(tenant, Deadline::after(TIMEOUT));
        let read =
            move |conn: &mut PgConnection| Ok::<_, DbError>(erasures::newest_shred(conn, tenant)?);
        newest = newest.max(rpc.db.read("find_newest_erasure", scope, read).await?);
    }
    Ok((known, newest))
}

async fn one(rpc: &Rpc, name: Name) -> Result<(), Problem> {
    let deadline = Deadline::after(TIMEOUT);
    let scope = Scope::tenant(name.tenant, deadline);
    let read = move |conn: &mut PgConnection| {
        Ok::<_, DbError>(erasures::is_erased(conn, name.tenant, name.subject)?)
    };
    if rpc.db.read("find_erased", scope, read).await? {
        return Ok(());
    }
    let body = rpc.objects.get(&name.path(), BYTES_MAX).await.map_err(Error::from)?;
    let tombstone = serde_json::from_slice::<Tombstone>(&body).ok();
    let fits = |one: &Tombstone| {
        one.v == VERSION && one.tenant == name.tenant && one.subject == name.subject
    };
    let erasure = tombstone.filter(fits).and_then(Tombstone::erasure);
    let erasure = erasure.ok_or_else(|| {
        tracing::error!(path = name.path(), "a tombstone cannot be read");
        Problem::internal()
    })?;
    let tenant = rpc.tenants.get(name.tenant, deadline).await?;
    again(rpc, &tenant, erasure).await?;
    tracing::warn!(tenant = %name.tenant, subject = %name.subject, "erased a subject again");
    Ok(())
}

/// Destroys the keys of a subject that a restore has brought back. The worker does the rest.
async fn again(rpc: &Rpc, tenant: &Arc<TenantInfo>, asked: Erasure) -> Result<(), Error> {
    let (call, id, now) = (erasing::worker(tenant), tenant.id, rpc.clock.now());
    let access = erasing::entry(rpc, &call, asked.name);
    let act = move |conn: &mut PgConnection| {
        let (name, state) = (asked.name, SubjectState::Erased);
        // Older backups do not know of the subject: its id is never used again all the same.
        let unknown = Subject { id: name.subject, state, create_time: now, revision: 1 };
        subjects::insert(conn, id, &unknown)?;
        let subject = subjects::lock(conn, id, name.subject)?.unwrap_or(unknown);
        if let Some(mut open) = erasures::open_of(conn, id, name.subject)?
            && open.name != name
        {
            open.state = ErasureState::Cancelled;
            open.revision += 1;
            erasures::update(conn, id, &open)?;
        }
        let found = erasures::lock(conn, id, name)?;
        if found.is_none() {
            erasures::insert(conn, id, &asked)?;
        }
        let mut erasure = found.unwrap_or_else(|| asked.clone());
        erasure.epochs = erasure.epochs.or(asked.epochs);
        erasure.shred_time = asked.shred_time;
        erasing::destroy(conn, id, &subject, &mut erasure, now)?;
        erasures::update(conn, id, &erasure)?;
        accesses::insert(conn, id, &access)?;
        events::record(conn, id, &erasing::erased(id, "subject.erasedAgain", &erasure, now))?;
        Ok::<_, Error>(())
    };
    rpc.db.write("erase_again", call.scope(), act).await?;
    rpc.nudge.tenant(id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when_and_who_and_sorts_by_time() {
        let name = Name {
            time: Timestamp::from_micros(1_795_338_000_000_001),
            tenant: TenantId::generate(),
            subject: SubjectId::generate(),
        };
        let path = name.path();
        assert_eq!(Name::parse(&path), Some(name));
        assert!(since(name.time) < path && path < since(Timestamp::from_micros(i64::MAX)));
        for wrong in [&path[1..], &path[..path.len() - 1], "tombstones/", "tombstones/1-2-3", ""] {
            assert_eq!(Name::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_tombstone_gives_the_erasure_again() {
        let erasure = crate::domain::erasure::tests::erasure();
        let tombstone = Tombstone {
            v: VERSION,
            tenant: TenantId::generate(),
            subject: erasure.name.subject,
            erasure: erasure.name.id,
            legal_basis: "LEGAL_OBLIGATION".to_owned(),
            requester: "ann".to_owned(),
            approver: Some("bob".to_owned()),
            create_time: Timestamp::from_micros(1),
            due_time: Timestamp::from_micros(2),
            shred_time: Timestamp::from_micros(3),
            epochs: Some((1, 2)),
        };
        let text = serde_json::to_string(&tombstone).unwrap();
        let again: Tombstone = serde_json::from_str(&text).unwrap();
        assert_eq!(again, tombstone);
        let erasure = again.erasure().unwrap();
        assert_eq!(erasure.legal_basis, LegalBasis::LegalObligation);
        assert_eq!(erasure.shred_time, Some(Timestamp::from_micros(3)));
        let unknown = Tombstone { legal_basis: "WHIM".to_owned(), ..tombstone };
        assert_eq!(unknown.erasure(), None);
    }
}
