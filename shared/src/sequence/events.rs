//! Events by their positions, read from what the sequencer left.

use std::ops::Range;

use diesel::PgConnection;

use super::reads::{Span, first_since, slices, spans};
use super::{Describe, leaves};
use crate::changes::Leaf;
use crate::db::DbError;
use crate::ids::TenantId;
use crate::page::EXAMINED_MAX;
use crate::time::Timestamp;
use crate::transparency::store::size;

/// Events whose data is loaded at once.
const LOADED_MAX: u64 = 128;
/// Positions that one look goes past at most where it leaves out some.
const REACH: u64 = 8_192;
/// Of an event on the wire, beside its data, its subject and its kind.
const FRAME_BYTES: usize = 256;

/// What happened, and where it is.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its position in the log, from 0.
    pub position: u64,
    /// What happened, such as "transaction.posted".
    pub kind: String,
    /// What the log says of it.
    pub leaf: Leaf,
    /// When.
    pub time: Timestamp,
}

impl Event {
    fn bytes(&self) -> usize {
        self.leaf.data.len() + self.leaf.subject.len() + self.kind.len() + FRAME_BYTES
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// The first position; the oldest that is kept where it is absent.
    pub(crate) from: Option<u64>,
    /// The most events.
    pub(crate) limit: usize,
    /// The most bytes, unless a single event has more.
    pub(crate) bytes_max: usize,
    /// The kinds; all where there is none.
    pub(crate) types: Vec<String>,
    /// What is older is not kept.
    pub(crate) since: Option<Timestamp>,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Batch {
    /// By position.
    pub(crate) events: Vec<Event>,
    /// The position behind all that was looked at.
    pub(crate) next: u64,
    /// How many events there are.
    pub(crate) size: u64,
    /// What was asked for is older than what is kept.
    pub(crate) is_expired: bool,
}

/// Reads events. It reads a bounded number of changes, so it may find none where there are more.
pub(crate) fn read(
    conn: &mut PgConnection,
    tenant: TenantId,
    describe: Describe,
    query: &Query,
) -> Result<Batch, DbError> {
    let size = size(conn, tenant)?;
    let from = match (query.from, query.since) {
        (Some(from), _) => from,
        (None, Some(since)) => first_since(conn, tenant, since)?.unwrap_or(size),
        (None, None) => 0,
    };
    let nothing = Batch { events: Vec::new(), next: from, size, is_expired: false };
    if from >= size {
        return Ok(nothing);
    }
    let every = query.types.is_empty();
    let (looks, reach) = match every {
        true => (query.limit, query.limit as u64),
        false => (EXAMINED_MAX, REACH),
    };
    let found = spans(conn, tenant, &(from..size.min(from + reach)), looks)?;
    let expired = |span: &Span| query.since.is_some_and(|since| span.create_time < since);
    if found.first().is_some_and(expired) {
        return Ok(Batch { is_expired: true, ..nothing });
    }
    let (wanted, end) = choose(&found, from, query);
    let mut batch = Batch { next: end, ..nothing };
    let mut room = query.bytes_max;
    for group in groups(wanted) {
        for event in load(conn, tenant, describe, &group)? {
            let bytes = event.bytes();
            if bytes > room && !batch.events.is_empty() {
                batch.next = event.position;
                return Ok(batch);
            }
            room = room.saturating_sub(bytes);
            batch.events.push(event);
        }
    }
    Ok(batch)
}

/// A change and those of its positions that are wanted.
type Wanted<'a> = (&'a Span, Range<u64>);

/// The positions that are wanted of some changes, and the one behind all that was looked at.
fn choose<'a>(found: &'a [Span], from: u64, query: &Query) -> (Vec<Wanted<'a>>, u64) {
    let (mut wanted, mut end, mut left) = (Vec::new(), from, query.limit as u64);
    for span in found {
        if left == 0 {
            break;
        }
        let first = span.position.cast_unsigned();
        let positions = first.max(from)..first + span.count.cast_unsigned();
        end = positions.end;
        if query.types.is_empty() || query.types.contains(&span.kind) {
            end = end.min(positions.start + left);
            left -= end - positions.start;
            wanted.push((span, positions.start..end));
        }
    }
    (wanted, end)
}

/// The same in groups of a bounded number of events.
fn groups(wanted: Vec<Wanted<'_>>) -> Vec<Vec<Wanted<'_>>> {
    let (mut groups, mut room) = (Vec::<Vec<Wanted<'_>>>::new(), 0);
    for (span, mut positions) in wanted {
        while !positions.is_empty() {
            if room == 0 {
                groups.push(Vec::new());
                room = LOADED_MAX;
            }
            let part = positions.start..positions.end.min(positions.start + room);
            room -= part.end - part.start;
            positions.start = part.end;
            if let Some(group) = groups.last_mut() {
                group.push((span, part));
            }
        }
    }
    groups
}

fn load(
    conn: &mut PgConnection,
    tenant: TenantId,
    describe: Describe,
    wanted: &[Wanted<'_>],
) -> Result<Vec<Event>, DbError> {
    let place = |position: u64, span: &Span| {
        i32::try_from(position.cast_signed() - span.position).unwrap_or(i32::MAX)
    };
    let parts: Vec<(&Span, i32, i32)> = wanted
        .iter()
        .map(|(span, part)| (*span, place(part.start, span) + 1, place(part.end, span)))
        .collect();
    let changes = slices(conn, tenant, &parts)?;
    let leaves = leaves::of_changes(conn, tenant, describe, &changes.iter().collect::<Vec<_>>())?;
    let mut events = Vec::new();
    for ((span, part), leaves) in wanted.iter().zip(leaves) {
        for (position, leaf) in part.clone().zip(leaves) {
            let (kind, time) = (span.kind.clone(), span.create_time);
            events.push(Event { position, kind, leaf, time });
        }
    }
    Ok(events)
}
