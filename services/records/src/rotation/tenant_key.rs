//! The keys of subjects and indexes, put under another epoch of the tenant's key.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::PgConnection;
use serde::{Deserialize, Serialize};

use super::job::{Job, Next, opened};
use super::reseal;
use crate::domain::rotation::Step;
use crate::error::Error;
use crate::seal::{TenantKey, Wrapped};
use crate::store::key_moves;
use crate::store::keys::{self, TenantKeyRow};
use crate::store::{index_keys, keys::SubjectKeyRow};

/// Keys of one step.
const BATCH: usize = 500;

/// Where the rotation stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Place {
    /// Among the keys of subjects.
    Subjects(key_moves::Place),
    /// Before the keys of indexes.
    Indexes,
    /// Among the subjects for whom all is made anew.
    Reseal(reseal::Place),
}

impl Place {
    pub(super) const START: Self = Self::Subjects(key_moves::Place::START);
}

pub(super) async fn step(job: &Job<'_>) -> Result<bool, Error> {
    match job.place(Place::START) {
        Place::Subjects(after) => move_subject_keys(job, after).await,
        Place::Indexes => move_index_keys(job).await,
        Place::Reseal(place) => reseal::step(job, place).await,
    }
}

/// The tenant's keys, each opened when it is needed first.
pub(super) struct Epochs {
    rows: Vec<TenantKeyRow>,
    open: HashMap<i32, Option<Arc<TenantKey>>>,
}

impl Epochs {
    pub(super) fn new(rows: Vec<TenantKeyRow>) -> Self {
        Self { rows, open: HashMap::new() }
    }

    /// The key of an epoch; none where it does not open.
    pub(super) async fn get(
        &mut self,
        job: &Job<'_>,
        epoch: i32,
    ) -> Result<Option<Arc<TenantKey>>, Error> {
        if let Some(open) = self.open.get(&epoch) {
            return Ok(open.clone());
        }
        let key = match self.rows.iter().find(|row| row.epoch == epoch) {
            Some(row) => opened(job.rpc.vault.open_tenant_key(row).await)?,
            None => None,
        };
        self.open.insert(epoch, key.clone());
        Ok(key)
    }
}

async fn move_subject_keys(job: &Job<'_>, after: key_moves::Place) -> Result<bool, Error> {
    let (tenant, target) = (job.tenant, job.rotation.target);
    let read = move |conn: &mut PgConnection| {
        let rows = key_moves::subject_keys(conn, tenant, target, after, BATCH)?;
        Ok((rows, Epochs::new(keys::tenant_keys(conn, tenant)?)))
    };
    let (rows, mut epochs) = job.read("get_subject_keys", read).await?;
    let next = match rows.last() {
        Some(last) if rows.len() == BATCH => Next::At(Place::Subjects(key_moves::Place::of(last))),
        _ => Next::At(Place::Indexes),
    };
    let (mut moves, mut broken) = (Vec::new(), Vec::new());
    for row in rows {
        match rewrap(job, &mut epochs, &row).await? {
            Some(wrapped) => moves.push((row, wrapped.to_bytes())),
            None => broken.push(row.subject_id.name()),
        }
    }
    let write = move |conn: &mut PgConnection| {
        let done = key_moves::move_subject_keys(conn, tenant, target, &moves)?;
        let done = i64::try_from(done).unwrap_or(i64::MAX);
        Ok((Step { done, broken: broken.clone() }, next.clone()))
    };
    job.commit("move_subject_keys", write).await
}

async fn rewrap(
    job: &Job<'_>,
    epochs: &mut Epochs,
    row: &SubjectKeyRow,
) -> Result<Option<Wrapped>, Error> {
    let to = epochs.get(job, job.rotation.target).await?.ok_or(crate::seal::SealBroken)?;
    let Some(from) = epochs.get(job, row.tenant_key_epoch).await? else { return Ok(None) };
    let Some(wrapped) = opened(Wrapped::from_bytes(&row.wrapped))? else { return Ok(None) };
    opened(to.rewrap_subject_key(&from, row.subject_id.uuid(), row.generation, &wrapped))
}

/// There are few of them: one for each rotation of the indexes that is not through.
async fn move_index_keys(job: &Job<'_>) -> Result<bool, Error> {
    let (tenant, target) = (job.tenant, job.rotation.target);
    let read = move |conn: &mut PgConnection| {
        let rows = index_keys::live(conn, tenant)?;
        Ok((rows, Epochs::new(keys::tenant_keys(conn, tenant)?)))
    };
    let (rows, mut epochs) = job.read("get_index_keys", read).await?;
    let to = epochs.get(job, target).await?.ok_or(crate::seal::SealBroken)?;
    let (mut moves, mut broken) = (Vec::new(), Vec::new());
    for (row, _) in rows.into_iter().filter(|(row, _)| row.tenant_key_epoch < target) {
        let from = epochs.get(job, row.tenant_key_epoch).await?;
        let wrapped = opened(Wrapped::from_bytes(&row.wrapped))?;
        let rewrapped = match from.zip(wrapped) {
            Some((from, wrapped)) => opened(to.rewrap_index_key(&from, row.version, &wrapped))?,
            None => None,
        };
        match rewrapped {
            Some(wrapped) => moves.push((row, wrapped.to_bytes())),
            None => broken.push(format!("indexKeys/{}", row.version)),
        }
    }
    let next = match job.rotation.reseal {
        true => Next::At(Place::Reseal(reseal::Place::START)),
        false => Next::End,
    };
    let write = move |conn: &mut PgConnection| {
        let mut done = 0;
        for (row, wrapped) in &moves {
            done += i64::from(index_keys::rewrap(conn, row, target, wrapped)?);
        }
        Ok((Step { done, broken: broken.clone() }, next.clone()))
    };
    job.commit("move_index_keys", write).await
}
