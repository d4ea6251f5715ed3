//! What the log says of a change: what the change itself says, else what its service says.

use std::collections::BTreeMap;

use diesel::PgConnection;
use serde::Serialize;

use super::Describe;
use super::store::Change;
use crate::changes::{Leaf, Subjects};
use crate::db::DbError;
use crate::ids::TenantId;
use crate::outcome::{self, Outcome};
use crate::problem::reason_name;

/// A request that was refused by a rule of business.
const REJECTED: &str = "request.rejected";
/// The version of the format.
const VERSION: u8 = 1;

/// The order of the fields is part of the format: what comes later is added at the end, and is left
/// out where it is absent.
#[derive(Serialize)]
struct Rejected<'a> {
    v: u8,
    kind: &'a str,
    tenant: String,
    operation: &'a str,
    request_id: &'a str,
    reason: &'a str,
    time: String,
    figures: &'a BTreeMap<String, String>,
}

/// The leaves of each of some changes, in their order. Rows are asked once for each kind.
pub(crate) fn of_changes(
    conn: &mut PgConnection,
    tenant: TenantId,
    service: Describe,
    changes: &[&Change],
) -> Result<Vec<Vec<Leaf>>, DbError> {
    let mut leaves: Vec<Vec<Leaf>> = vec![Vec::new(); changes.len()];
    let mut silent: BTreeMap<(&str, bool), Vec<usize>> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        match (&change.data, &change.subjects) {
            (Some(data), Subjects::Names(names)) => {
                let leaf = |(subject, data): (&String, &String)| Leaf {
                    subject: subject.clone(),
                    data: data.clone(),
                };
                leaves[index] = names.iter().zip(data).map(leaf).collect();
            }
            (_, subjects) => {
                let by_id = matches!(subjects, Subjects::Ids(_));
                silent.entry((&change.kind, by_id)).or_default().push(index);
            }
        }
    }
    for ((kind, _), indexes) in silent {
        let subjects = all(indexes.iter().map(|index| &changes[*index].subjects));
        let mut described = describe(conn, tenant, service, kind, &subjects)?.into_iter();
        for index in indexes {
            leaves[index] = described.by_ref().take(changes[index].subjects.len()).collect();
        }
    }
    Ok(leaves)
}

/// The subjects of changes of one kind, one after the other.
fn all<'a>(subjects: impl Iterator<Item = &'a Subjects>) -> Subjects {
    let (mut all_ids, mut all_names) = (Vec::new(), Vec::new());
    for subjects in subjects {
        match subjects {
            Subjects::Ids(ids) => all_ids.extend_from_slice(ids),
            Subjects::Names(names) => all_names.extend_from_slice(names),
        }
    }
    if all_ids.is_empty() { Subjects::Names(all_names) } else { Subjects::Ids(all_ids) }
}

/// The leaves of changes of one kind, in their order. What is gone has an empty leaf, which is none
/// that was ever written.
pub fn describe(
    conn: &mut PgConnection,
    tenant: TenantId,
    service: Describe,
    kind: &str,
    subjects: &Subjects,
) -> Result<Vec<Leaf>, DbError> {
    let leaves = match (kind, subjects) {
        (REJECTED, Subjects::Names(names)) => rejected(conn, tenant, names)?,
        _ => service(conn, tenant, kind, subjects)?,
    };
    match leaves.len() == subjects.len() {
        true => Ok(leaves),
        false => Err(DbError::Fault(format!("{kind} has not as many leaves as subjects"))),
    }
}

/// The names are `{operation}/{request_id}`.
fn rejected(
    conn: &mut PgConnection,
    tenant: TenantId,
    names: &[String],
) -> Result<Vec<Leaf>, DbError> {
    let key = |name: &'_ String| -> Option<(String, String)> {
        let (operation, request_id) = name.split_once('/')?;
        Some((operation.to_owned(), request_id.to_owned()))
    };
    let keys: Vec<Option<(String, String)>> = names.iter().map(key).collect();
    let asked: Vec<(&str, &str)> =
        keys.iter().flatten().map(|(one, other)| (one.as_str(), other.as_str())).collect();
    let found = outcome::find_all(conn, tenant, &asked)?;
    let data = |key: &Option<(String, String)>| {
        let found = found.get(key.as_ref()?)?;
        Some(line(tenant, &found.outcome))
    };
    let leaf = |(name, key): (&String, _)| Leaf {
        subject: format!("outcomes/{name}"),
        data: data(key).unwrap_or_default(),
    };
    Ok(names.iter().zip(&keys).map(leaf).collect())
}

fn line(tenant: TenantId, outcome: &Outcome) -> String {
    let rejected = Rejected {
        v: VERSION,
        kind: REJECTED,
        tenant: tenant.name(),
        operation: &outcome.operation,
        request_id: &outcome.request_id,
        reason: outcome.reason.map(reason_name).unwrap_or_default(),
        time: outcome.create_time.to_string(),
        figures: &outcome.figures,
    };
    // Plain data with string keys always serialises.
    serde_json::to_string(&rejected).unwrap_or_default()
}
