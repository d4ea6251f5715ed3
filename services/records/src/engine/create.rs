//! New records of a batch: the subjects are locked, what decides is read, the keys are wrapped in
//! memory, and everything is written by set-based statements.
//!
//! Subjects are locked first, and whatever decides is read after that, outcomes last: a request
//! whose condition does not hold any more because its first attempt came through finds that
//! outcome. Keys are read under the lock too: whoever replaces or destroys the key of a subject
//! locks the subject against this.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use diesel::PgConnection;
use shared::changes;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::outcome::{self, Claim, Found, Request};
use shared::problem::Problem;

use super::{Answer, Create, Done, NewContent};
use crate::domain::access::Access;
use crate::domain::record::{Record, RecordId};
use crate::domain::subject::{SubjectId, SubjectState};
use crate::error::Error;
use crate::seal::{SealBroken, SubjectKey, TenantKey};
use crate::store::events::{self, Event};
use crate::store::key_chains::{self, KeyChain};
use crate::store::new_records::{self, NewRecord};
use crate::store::{record_index, subject_locks};
use crate::vault::{self, OpenKeys, Wraps};

/// An operation and a request id.
type Key<'a> = (&'a str, &'a str);

fn key(request: &Request) -> Key<'_> {
    (&request.operation, &request.request_id)
}

/// What a batch needs to know.
struct Books<'a> {
    keys: &'a OpenKeys,
    states: BTreeMap<SubjectId, SubjectState>,
    chains: BTreeMap<SubjectId, KeyChain>,
    /// Ids that are in use.
    taken: HashSet<RecordId>,
    /// Keys that were opened.
    tenant_keys: BTreeMap<i32, Option<Arc<TenantKey>>>,
    subject_keys: BTreeMap<SubjectId, SubjectKey>,
}

/// What a decision comes to.
enum Decision<'a> {
    New(&'a NewContent, Wraps),
    NeedsKey(Box<KeyChain>),
}

/// Creates records, and adds their entries to `entries`.
pub(super) fn run(
    conn: &mut PgConnection,
    tenant: TenantId,
    keys: &OpenKeys,
    creates: &[(usize, &Create)],
    entries: &mut Vec<Access>,
) -> Result<Vec<(usize, Answer)>, Error> {
    if creates.is_empty() {
        return Ok(Vec::new());
    }
    let mut books = Books::open(conn, tenant, keys, creates)?;
    let found = find_outcomes(conn, tenant, creates)?;
    // The first job with each request id, and its answer.
    let mut settled: HashMap<Key<'_>, usize> = HashMap::new();
    let mut answers: Vec<Answer> = Vec::with_capacity(creates.len());
    let mut new = Vec::new();
    for (place, (_, create)) in creates.iter().enumerate() {
        let request = create.request.as_ref();
        let earlier = request.and_then(|request| found.get(&key(request)));
        let first = request.and_then(|request| settled.get(&key(request)));
        let answer = match (earlier, first) {
            (Some(found), _) => replay(found, create),
            (None, Some(first)) => repeat(&answers[*first], creates[*first].1, create),
            (None, None) => match books.decide(create) {
                Ok(Decision::New(content, wraps)) => {
                    new.push((*create, content, wraps));
                    Ok(Done::Created)
                }
                Ok(Decision::NeedsKey(chain)) => Ok(Done::NeedsKey(chain)),
                Err(problem) => Err(problem),
            },
        };
        if let Some(request) = request.filter(|_| earlier.is_none() && is_settled(&answer)) {
            settled.entry(key(request)).or_insert(place);
        }
        answers.push(answer);
    }
    let outcomes = outcomes(creates, &answers, settled.into_values());
    let written = write(conn, tenant, &outcomes, &new);
    written.map_err(|error| match DbError::from(error) {
        // Of what was not there when it was looked for: everything is decided again.
        DbError::Unique(_) => DbError::Contention.into(),
        // The index key of a token was taken away.
        DbError::ForeignKey(_) => Error::Overtaken,
        other => other.into(),
    })?;
    entries.extend(new.iter().map(|(create, _, _)| create.access.clone()));
    Ok(creates.iter().map(|(index, _)| *index).zip(answers).collect())
}

impl<'a> Books<'a> {
    fn open(
        conn: &mut PgConnection,
        tenant: TenantId,
        keys: &'a OpenKeys,
        creates: &[(usize, &Create)],
    ) -> Result<Self, Error> {
        let subjects: BTreeSet<SubjectId> =
            creates.iter().map(|(_, create)| create.record.subject).collect();
        let states = subject_locks::lock(conn, tenant, &subjects)?;
        let locked: Vec<SubjectId> = states.keys().copied().collect();
        let chosen = creates.iter().filter(|(_, create)| create.is_chosen);
        let chosen = chosen.map(|(_, create)| create.record.id).collect();
        Ok(Self {
            keys,
            chains: key_chains::last(conn, tenant, &locked)?,
            taken: new_records::taken(conn, tenant, chosen)?.into_iter().collect(),
            states,
            tenant_keys: BTreeMap::new(),
            subject_keys: BTreeMap::new(),
        })
    }

    fn decide<'c>(&mut self, create: &'c Create) -> Result<Decision<'c>, Problem> {
        let record = &create.record;
        let content = create.content.as_ref().map_err(Clone::clone)?;
        let state = self.states.get(&record.subject);
        state.ok_or_else(|| record.subject.not_found())?.allow_write(record.subject)?;
        if self.taken.contains(&record.id) {
            return Err(Error::IdTaken(record.id).into());
        }
        let decision = match self.open_key(record) {
            Ok(Some(key)) => {
                let wraps = content.sealed.wrap(key).map_err(Error::from)?;
                Decision::New(content, wraps)
            }
            Ok(None) => {
                let chain = self.chains.get(&record.subject).cloned().ok_or(SealBroken);
                return Ok(Decision::NeedsKey(Box::new(chain.map_err(Error::from)?)));
            }
            Err(error) => return Err(error.into()),
        };
        self.taken.insert(record.id);
        Ok(decision)
    }

    /// The key of a record's subject; none where the tenant's key is not open now.
    fn open_key(&mut self, record: &Record) -> Result<Option<&SubjectKey>, Error> {
        let subject = record.subject;
        if !self.subject_keys.contains_key(&subject) {
            let chain = self.chains.get(&subject).ok_or(SealBroken)?;
            if chain.tenant_key.is_none() {
                return Err(SealBroken.into());
            }
            let above = self.tenant_keys.entry(chain.epoch);
            let Some(above) = above.or_insert_with(|| self.keys.tenant_key(chain)) else {
                return Ok(None);
            };
            self.subject_keys.insert(subject, vault::subject_key(above, chain)?);
        }
        Ok(self.subject_keys.get(&subject))
    }
}

/// The outcomes that are there already, by operation and request id.
fn find_outcomes<'a>(
    conn: &mut PgConnection,
    tenant: TenantId,
    creates: &[(usize, &'a Create)],
) -> Result<HashMap<Key<'a>, Found>, Error> {
    let requests = creates.iter().filter_map(|(_, create)| create.request.as_ref());
    let keys: Vec<Key<'_>> = requests.map(key).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let mut rows = outcome::find_all(conn, tenant, &keys)?;
    let found = keys.into_iter().filter_map(|key| {
        let row = rows.remove(&(key.0.to_owned(), key.1.to_owned()))?;
        Some((key, row))
    });
    Ok(found.collect())
}

/// An id that an earlier batch has settled.
fn replay(found: &Found, create: &Create) -> Answer {
    let Some(request) = &create.request else { return Ok(Done::Created) };
    match found.answer(request)? {
        Claim::Replayed(name) | Claim::Resumed(name) => Ok(Done::Replayed(name)),
        Claim::New => Err(outcome::reused(&request.operation)),
    }
}

/// An id that came twice in this batch.
fn repeat(first: &Answer, before: &Create, create: &Create) -> Answer {
    if let (Some(earlier), Some(request)) = (&before.request, &create.request)
        && earlier.hash != request.hash
    {
        return Err(outcome::reused(&request.operation));
    }
    match first {
        Err(problem) => Err(problem.clone()),
        Ok(_) => Ok(Done::Replayed(before.record.id.name())),
    }
}

/// Whether an answer is frozen under its request id.
fn is_settled(answer: &Answer) -> bool {
    match answer {
        Ok(Done::NeedsKey(_)) => false,
        Ok(_) => true,
        Err(problem) => problem.is_frozen(),
    }
}

/// What the jobs at these places have come to, in the order of their request ids: two batches that
/// claim the same ones wait for each other in one order.
fn outcomes<'a>(
    creates: &[(usize, &'a Create)],
    answers: &[Answer],
    places: impl Iterator<Item = usize>,
) -> Vec<outcome::Settled<'a>> {
    let outcome = |place: usize| {
        let create = creates[place].1;
        let result = match &answers[place] {
            Ok(_) => Ok(create.record.id.name()),
            Err(problem) => Err(problem.clone()),
        };
        Some(outcome::Settled { request: create.request.as_ref()?, result })
    };
    let mut outcomes: Vec<_> = places.filter_map(outcome).collect();
    outcomes.sort_unstable_by(|a, b| a.request.request_id.cmp(&b.request.request_id));
    outcomes
}

fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    outcomes: &[outcome::Settled<'_>],
    new: &[(&Create, &NewContent, Wraps)],
) -> diesel::QueryResult<()> {
    outcome::insert_all(conn, outcomes)?;
    let refused = || outcomes.iter().filter(|outcome| outcome.result.is_err());
    if let Some(time) = refused().map(|outcome| outcome.request.time).max() {
        let names = refused().map(|outcome| {
            let (operation, request_id) = key(outcome.request);
            format!("{operation}/{request_id}")
        });
        changes::insert(conn, tenant, "request.rejected", names.collect(), time)?;
    }
    let records: Vec<NewRecord<'_>> = new
        .iter()
        .map(|(create, content, wraps)| NewRecord {
            record: &create.record,
            content: &content.sealed,
            wraps,
        })
        .collect();
    new_records::insert(conn, tenant, &records)?;
    let tokens = new.iter().flat_map(|(create, content, _)| {
        let record = &create.record;
        content.tokens.iter().map(move |token| (record.id, record.kind.as_str(), token))
    });
    record_index::insert_all(conn, tenant, &tokens.collect::<Vec<_>>())?;
    let event = |new: &NewRecord<'_>| Event::record_created(tenant, new.record);
    let created: Vec<Event> = records.iter().map(event).collect();
    events::record_all(conn, tenant, &created)
}
