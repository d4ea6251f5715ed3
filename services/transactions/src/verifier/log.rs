//! The log: every leaf is what the rows say of a change, every hash of the tree is that of the
//! hashes below it, and every checkpoint is of the tree.

use std::collections::{BTreeMap, BTreeSet};

use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use shared::changes::{Leaf, Subjects};
use shared::db::DbError;
use shared::hex::hex;
use shared::ids::TenantId;
use shared::sequence;
use shared::transparency::{Hash, Root, leaf_hash, read_note};

use super::{Counts, Slice, of_leaf};
use crate::domain::{AccountId, Check, Finding, HoldId, TransactionId};
use crate::error::Error;
use crate::store::verify::log::{self, Change, Signed, WIDTH};
use crate::store::verify::transactions;
use crate::store::{holds, leaves};

/// How many entries a leaf is as much work as.
pub(super) const COST: i64 = 8;

/// How far the log was looked at: the leaves, and the complete subtrees of the tree over them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct LogPlace {
    leaves: u64,
    subtrees: Vec<Hash>,
}

/// Looks at the leaves of about `limit` rows.
pub(super) fn step(
    conn: &mut PgConnection,
    tenant: TenantId,
    place: &LogPlace,
    limit: i64,
) -> Result<(Slice, Option<LogPlace>), Error> {
    let from = place.leaves.cast_signed();
    let mut root = Root::resume(place.leaves, &place.subtrees)
        .ok_or_else(|| DbError::Fault("a place in the log is damaged".to_owned()))?;
    let size = log::size(conn, tenant)?;
    if from >= size {
        let mut findings = signed(conn, tenant, (from + 1, i64::MAX), &BTreeMap::new())?;
        if from == 0 {
            findings.extend(signed(conn, tenant, (0, 0), &BTreeMap::from([(0, root.finish())]))?);
        }
        return Ok((Slice { findings, ..Slice::default() }, None));
    }
    let changes = log::changes(conn, tenant, from, (limit / COST).max(1))?;
    let end = changes.last().map_or(size, Change::end).min(size).max(from + 1);
    let mut findings = Vec::new();
    let tiles = log::tiles(conn, tenant, 0, (from / WIDTH, (end - 1) / WIDTH))?;
    let described = describe(conn, tenant, &changes)?;
    // Only the sizes that were signed need a root.
    let sizes = log::checkpoints(conn, tenant, (from + 1, end))?;
    let wanted: BTreeSet<i64> = sizes.iter().map(|signed| signed.size).collect();
    let mut roots = BTreeMap::new();
    for index in from..end {
        let hash = tiles.get(&(index / WIDTH)).and_then(|tile| at(tile, index));
        findings.extend(check_leaf(conn, tenant, index, described.get(&index), hash)?);
        root.push(hash.unwrap_or_default());
        if wanted.contains(&(index + 1)) {
            roots.insert(index + 1, root.finish());
        }
    }
    findings.extend(compare(&sizes, &roots));
    findings.extend(check_tree(conn, tenant, from, end)?);
    let leaves = end - from;
    let counts = Counts { leaves, ..Counts::default() };
    let next = LogPlace { leaves: end.cast_unsigned(), subtrees: root.complete() };
    Ok((Slice { counts, rows: leaves.saturating_mul(COST), findings }, Some(next)))
}

fn at(tile: &[Hash], index: i64) -> Option<Hash> {
    tile.get(usize::try_from(index % WIDTH).ok()?).copied()
}

/// What the rows say of changes now, by the position of each leaf.
fn describe(
    conn: &mut PgConnection,
    tenant: TenantId,
    changes: &[Change],
) -> Result<BTreeMap<i64, Leaf>, Error> {
    let mut described = BTreeMap::new();
    let mut put = |position: i64, all: Vec<Leaf>| described.extend((position..).zip(all));
    // The ids of postings that follow each other are looked up together.
    let mut postings: Vec<(i64, uuid::Uuid)> = Vec::new();
    for change in changes {
        match (&change.data, &change.subjects) {
            (Some(data), Subjects::Names(names)) => {
                let recorded = names.iter().zip(data);
                let leaf = |(subject, data): (&String, &String)| Leaf {
                    subject: subject.clone(),
                    data: data.clone(),
                };
                put(change.position, recorded.map(leaf).collect());
            }
            (None, Subjects::Ids(ids)) if change.kind == crate::domain::POSTED => {
                postings.extend((change.position..).zip(ids.iter().copied()));
            }
            _ => {
                let all = one_kind(conn, tenant, &change.kind, &change.subjects)?;
                put(change.position, all);
            }
        }
    }
    let ids = postings.iter().map(|(_, id)| *id).collect();
    let all = one_kind(conn, tenant, crate::domain::POSTED, &Subjects::Ids(ids))?;
    described.extend(postings.into_iter().map(|(position, _)| position).zip(all));
    Ok(described)
}

/// The leaves of one kind. What rows cannot be read of has an empty one, as if they were gone.
fn one_kind(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    subjects: &Subjects,
) -> Result<Vec<Leaf>, Error> {
    match sequence::describe(conn, tenant, leaves::describe, kind, subjects) {
        Ok(all) => Ok(all),
        Err(DbError::Fault(_)) if subjects.len() > 1 => {
            let half = subjects.len() / 2;
            let (first, second) = match subjects {
                Subjects::Ids(ids) => {
                    let (a, b) = ids.split_at(half);
                    (Subjects::Ids(a.to_vec()), Subjects::Ids(b.to_vec()))
                }
                Subjects::Names(names) => {
                    let (a, b) = names.split_at(half);
                    (Subjects::Names(a.to_vec()), Subjects::Names(b.to_vec()))
                }
            };
            let mut all = one_kind(conn, tenant, kind, &first)?;
            all.extend(one_kind(conn, tenant, kind, &second)?);
            Ok(all)
        }
        Err(DbError::Fault(_)) => {
            let subject = match subjects {
                Subjects::Ids(ids) => ids.first().map(|id| TransactionId::from_uuid(*id).name()),
                Subjects::Names(names) => names.first().cloned(),
            };
            Ok(vec![Leaf { subject: subject.unwrap_or_default(), data: String::new() }])
        }
        Err(error) => Err(error.into()),
    }
}

fn check_leaf(
    conn: &mut PgConnection,
    tenant: TenantId,
    index: i64,
    leaf: Option<&Leaf>,
    logged: Option<Hash>,
) -> Result<Option<Finding>, Error> {
    let found = leaf.map(|leaf| leaf_hash(&leaf.data));
    if found.is_some() && found == logged {
        return Ok(None);
    }
    let told = |hash: Option<Hash>, none: &str| hash.map_or_else(|| none.to_owned(), |h| hex(&h));
    let found = match leaf {
        Some(leaf) if leaf.data.is_empty() => format!("nothing of {}", leaf.subject),
        _ => told(found, "no change"),
    };
    let mut finding = of_leaf(Check::Leaf, index, found, told(logged, "no hash"));
    if let Some(leaf) = leaf {
        finding.accounts = accounts(conn, tenant, &leaf.subject)?;
    }
    Ok(Some(finding))
}

/// The accounts of what a leaf is about.
fn accounts(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: &str,
) -> Result<BTreeSet<AccountId>, Error> {
    if let Ok(id) = TransactionId::parse_name(subject) {
        return Ok(transactions::accounts(conn, tenant, id)?.into_iter().collect());
    }
    let hold = subject.strip_prefix("holds/").and_then(|rest| rest.split('/').next());
    let ids = hold.and_then(|id| id.parse().ok()).map(HoldId::from_uuid).into_iter().collect();
    let found = holds::select_all(conn, tenant, &ids)?;
    Ok(found.into_values().map(|hold| hold.account).collect())
}

/// Whether the hashes above the tiles that a slice has filled are theirs.
fn check_tree(
    conn: &mut PgConnection,
    tenant: TenantId,
    from: i64,
    end: i64,
) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let (mut level, mut first, mut beyond) = (0, from / WIDTH, end / WIDTH);
    while first < beyond {
        let below = log::tiles(conn, tenant, level, (first, beyond - 1))?;
        let above = log::tiles(conn, tenant, level + 1, (first / WIDTH, (beyond - 1) / WIDTH))?;
        for index in first..beyond {
            let mut root = Root::default();
            below.get(&index).into_iter().flatten().for_each(|hash| root.push(*hash));
            let found = above.get(&(index / WIDTH)).and_then(|tile| at(tile, index));
            if root.size() == WIDTH.cast_unsigned() && found == Some(root.finish()) {
                continue;
            }
            let width = WIDTH.saturating_pow(u32::from(level.cast_unsigned()) + 1);
            let found = found.map_or_else(|| "no hash".to_owned(), |hash| hex(&hash));
            let expected = hex(&root.finish());
            findings.push(of_leaf(Check::Log, index.saturating_mul(width), found, expected));
        }
        (level, first, beyond) = (level + 1, first / WIDTH, beyond / WIDTH);
    }
    Ok(findings)
}

/// Compares the checkpoints of some sizes with roots.
fn signed(
    conn: &mut PgConnection,
    tenant: TenantId,
    sizes: (i64, i64),
    roots: &BTreeMap<i64, Hash>,
) -> Result<Vec<Finding>, Error> {
    Ok(compare(&log::checkpoints(conn, tenant, sizes)?, roots))
}

fn compare(signed: &[Signed], roots: &BTreeMap<i64, Hash>) -> Vec<Finding> {
    let check = |signed: &Signed| {
        let root = roots.get(&signed.size);
        let is_right = root.is_some_and(|root| {
            root.as_slice() == signed.root_hash && says(&signed.note, signed.size, root)
        });
        let expected = root.map_or_else(|| "no checkpoint".to_owned(), |root| hex(root));
        let found = match root.is_some_and(|root| root.as_slice() == signed.root_hash) {
            true => "a note of something else".to_owned(),
            false => hex(&signed.root_hash),
        };
        (!is_right).then(|| of_leaf(Check::Log, signed.size, found, expected))
    };
    signed.iter().filter_map(check).collect()
}

/// Whether a signed note is of this size and root.
fn says(note: &str, size: i64, root: &Hash) -> bool {
    let said = read_note(note);
    said.is_some_and(|said| said.size == size.cast_unsigned() && said.root == *root)
}
