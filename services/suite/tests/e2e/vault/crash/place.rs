//! A suite that is killed and started again, on a Postgres that stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use rustix::process::Signal;
use serde_json::Value;
use strongroom_proto::transparency::v1 as log;
use suite::Clients;
use tempfile::TempDir;
use tokio::task::block_in_place;
use tonic::Status;

use crate::child::{Child, strongroom};
use crate::crash::Place as Postgres;
use crate::ledger::LOOKS;
use crate::vault::caller::{Given, Vault};
use crate::world::folder;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Leaves of a page.
const PAGE: i32 = 1_000;

pub(super) struct Place {
    postgres: Postgres,
    child: Option<Child>,
    /// By all callers, before every kill and after.
    given: Given,
    folder: TempDir,
}

impl Place {
    /// Starts a Postgres that writes to disk before it answers, and a suite on it.
    pub(super) fn start() -> Self {
        let folder = folder();
        let postgres = block_in_place(|| Postgres::start(folder.path()));
        let mut place = Self { postgres, child: None, given: Given::default(), folder };
        place.child = Some(place.launch());
        place
    }

    fn launch(&self) -> Child {
        let mut command = strongroom(&self.state());
        command.env("STRONGROOM_DATABASE_URL", self.postgres.url());
        command.env("STRONGROOM_CHECKPOINT_INTERVAL", "0.1").env("STRONGROOM_UPLOAD_LEASE", "1");
        // A slow machine is no failure.
        command.env("STRONGROOM_DEADLINE", "60").env("STRONGROOM_POOL_WAIT", "60");
        block_in_place(|| Child::launch(&self.state(), command))
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The objects outside the database.
    pub(super) fn objects(&self) -> Vec<PathBuf> {
        files(&self.state().join("objects"))
    }

    /// A caller of what runs now.
    pub(super) fn vault(&self) -> Vault {
        let at = self.child.as_ref().unwrap().at;
        let given = Arc::clone(&self.given);
        Vault { given, ..Vault::of(&Clients::new(at, None).unwrap(), at.records) }
    }

    /// Kills the services, now.
    pub(super) fn kill(&self) {
        self.child.as_ref().unwrap().signal(Signal::KILL);
    }

    /// Starts them again, after a kill.
    pub(super) fn restart(&mut self) {
        let child = self.child.take().unwrap();
        assert!(!block_in_place(|| child.ended()).success());
        self.child = Some(self.launch());
    }

    /// Ends them gently.
    pub(super) fn stop(mut self) {
        let child = self.child.take().unwrap();
        child.signal(Signal::TERM);
        assert!(block_in_place(|| child.ended()).success());
    }

    /// How many rows a query gives.
    pub(super) fn count(&self, from: &str) -> i64 {
        let query = diesel::sql_query(format!("SELECT count(*) AS count FROM {from}"));
        let counted = block_in_place(|| query.get_result::<Count>(&mut self.postgres.admin()));
        counted.unwrap().count
    }

    /// Everything that was ever given in clear is a leaf of the log.
    pub(super) async fn assert_logged(&self) {
        let mut client = self.vault().log;
        let (mut missing, mut start) = (self.given.lock().unwrap().clone(), 0);
        for _ in 0..LOOKS {
            let request = log::ListLeavesRequest { start_index: start, page_size: PAGE };
            let leaves = client.list_leaves(request).await.unwrap().into_inner().leaves;
            start += i64::try_from(leaves.len()).unwrap();
            for leaf in &leaves {
                let leaf: Value = serde_json::from_str(&leaf.data).unwrap();
                if leaf["kind"] == "access.permitted" {
                    let text = |name: &str| leaf[name].as_str().unwrap_or_default().to_owned();
                    missing.remove(&(text("trace"), text("record")));
                }
            }
            if missing.is_empty() {
                return;
            }
            if leaves.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        panic!("given, and not in the log: {missing:?}");
    }
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// A call that did not end, because nobody was there any more: not one that was refused.
#[track_caller]
pub(super) fn assert_cut(status: &Status) {
    assert!(status.details().is_empty(), "{status:?}");
}
