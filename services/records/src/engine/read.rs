//! Reads of a batch: what decides is read by one statement, or two where somebody has consents, and
//! decided in memory.

use std::collections::{BTreeMap, BTreeSet};

use diesel::PgConnection;
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::time::Timestamp;

use super::{Answer, Done, Read, Seen, Target};
use crate::domain::access::Access;
use crate::domain::consent::Consent;
use crate::domain::reading::{Facts, Reading, allow_together};
use crate::domain::record::View;
use crate::domain::subject::SubjectId;
use crate::error::Error;
use crate::store::reading::{self, Found, Missing};

/// Decides reads, and adds their entries to `entries`.
pub(super) fn run(
    conn: &mut PgConnection,
    tenant: TenantId,
    reads: &[(usize, &Read)],
    now: Timestamp,
    entries: &mut Vec<Access>,
) -> Result<Vec<(usize, Answer)>, Error> {
    let wanted: Vec<reading::Target<'_>> =
        reads.iter().flat_map(|(_, read)| targets(read)).collect();
    let found = reading::find(conn, tenant, &wanted, now)?;
    let readers: BTreeSet<(SubjectId, &str)> = wanted
        .iter()
        .zip(&found)
        .filter_map(|(target, found)| {
            let found = found.as_ref().ok().filter(|found| found.has_consents)?;
            Some((found.record.subject, target.principal))
        })
        .collect();
    let readers: Vec<_> = readers.into_iter().collect();
    let consents = reading::consents(conn, tenant, &readers, now)?;
    let mut found = found.into_iter();
    let answers = reads.iter().map(|(index, read)| {
        let found: Vec<_> = found.by_ref().take(read.targets.len()).collect();
        (*index, decide(read, found, &consents, now, entries))
    });
    Ok(answers.collect())
}

fn targets(read: &Read) -> impl Iterator<Item = reading::Target<'_>> {
    read.targets.iter().map(|target| reading::Target {
        id: target.id,
        version: target.version,
        principal: &read.reading.principal,
        wants_content: read.reading.view != View::Basic,
    })
}

/// All or none: what could have been read is refused with what could not.
fn decide(
    read: &Read,
    found: Vec<Result<Found, Missing>>,
    consents: &BTreeMap<SubjectId, Vec<Consent>>,
    now: Timestamp,
    entries: &mut Vec<Access>,
) -> Answer {
    let decisions: Vec<_> = read
        .targets
        .iter()
        .zip(&found)
        .map(|(target, found)| decide_one(&read.reading, target, found, consents, now))
        .collect();
    let refused = decisions.iter().find_map(|decision| decision.as_ref().err());
    let refused = refused.cloned().or_else(|| too_much(&read.reading, &found).err());
    let from = entries.len();
    let all = read.targets.iter().zip(&found).zip(decisions);
    entries.extend(all.map(|((target, found), decision)| {
        let mut access = target.access.clone();
        (access.subject, access.version) = match found {
            Ok(found) => (Some(found.record.subject), Some(found.record.version)),
            Err(Missing(subject)) => (*subject, (target.version != 0).then_some(target.version)),
        };
        match (decision, &refused) {
            (Ok(grounds), None) => access.grounds = grounds,
            (Ok(_), Some(problem)) => access.refusal = Some(problem.reason),
            (Err(problem), _) => access.refusal = Some(problem.reason),
        }
        access
    }));
    if let Some(problem) = refused {
        return Err(problem);
    }
    let seen = found.into_iter().flatten().zip(&entries[from..]).map(|(found, access)| {
        let gives_content = read.reading.gives_content(&found.record);
        Seen {
            sealed: found.sealed.filter(|_| gives_content),
            chain: found.chain.filter(|_| gives_content),
            index: found.index,
            record: found.record,
            access: access.clone(),
        }
    });
    Ok(Done::Seen(seen.collect()))
}

fn decide_one(
    reading: &Reading,
    target: &Target,
    found: &Result<Found, Missing>,
    consents: &BTreeMap<SubjectId, Vec<Consent>>,
    now: Timestamp,
) -> Result<Option<String>, Problem> {
    let found = found.as_ref().map_err(|Missing(subject)| {
        if subject.is_none() {
            return target.id.not_found();
        }
        let name = format!("{}/versions/{}", target.id, target.version);
        Problem::not_found("record version", name)
    })?;
    reading.decide(&Facts {
        record: &found.record,
        subject_state: found.subject_state,
        requires_consent: found.requires_consent,
        consents: consents.get(&found.record.subject).map_or(&[], Vec::as_slice),
        lease: found.lease,
        now,
    })
}

fn too_much(reading: &Reading, found: &[Result<Found, Missing>]) -> Result<(), Problem> {
    if !reading.is_one_answer {
        return Ok(());
    }
    let records = found.iter().flatten().map(|found| &found.record);
    let given = records.filter(|record| reading.gives_content(record));
    allow_together(given.fold(0, |sum, record| sum.saturating_add(record.size)))
}
