//! Accounts alone, or the ledger alone, restored to an earlier state: soon the ledger has every
//! account as accounts says.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as accounts;
use strongroom_proto::accounts::v1::freeze::Direction;
use strongroom_proto::transactions::v1::ledger_account::State;
use suite::Clients;
use tokio::task::block_in_place;

use super::act::{Act, close, freeze_account, limit, suspend};
use super::desk::{Desk, until};
use crate::child::{Child, strongroom};
use crate::dump::Dumper;
use crate::restore::suite;
use crate::wire::cents;
use crate::world::{folder, run};

/// The suite, in which both sides are compared at the start and all the time.
fn comparing(state: &Path, dumper: &Dumper) -> Command {
    let mut command = suite(state, dumper.url());
    command.env("STRONGROOM_COMPARE_INTERVAL", "0.2");
    command
}

fn stop(child: Child) {
    child.signal(Signal::TERM);
    assert!(block_in_place(|| child.ended()).success());
}

/// Restores a schema from a file, and begins a timeline in it. Blocks.
fn restore(schema: &str, file: &Path, state: &Path, dumper: &Dumper) {
    dumper.restore(schema, file);
    let mut confirm = comparing(state, dumper);
    let output = confirm.args(["restore", schema, "--confirm"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// What the command says, and whether both sides agree. Blocks.
fn reconcile(state: &Path, child: &Child) -> (Option<i32>, String) {
    let mut command = strongroom(state);
    command.arg("reconcile");
    command.args(["--accounts", &child.at.accounts.to_string()]);
    command.args(["--ledger", &child.at.transactions.to_string()]);
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Accounts in every state that changes after the dump.
struct Story {
    desk: Desk,
    /// Frozen after the dump.
    frozen: String,
    /// Frozen before it, and free after it.
    freed: String,
    lift: Act,
    /// Closed after it.
    closed: String,
    /// Which has what was on that.
    pot: String,
    /// Somebody who is suspended after it, and their account.
    suspended: String,
    stopped: String,
    /// Limited after it.
    limited: String,
}

impl Story {
    async fn before(child: &Child) -> Self {
        let desk = Desk::of(&Clients::new(child.at, None).unwrap(), child.at).await;
        let (customer, suspended) = (desk.customer().await, desk.customer().await);
        let freed = desk.account(&customer, "1.00").await;
        let (freeze, lift) = freeze_account(&freed, Direction::Debit);
        desk.act(&freeze).await;
        Self {
            frozen: desk.account(&customer, "1.00").await,
            freed,
            lift,
            closed: desk.account(&customer, "1.00").await,
            pot: desk.account(&customer, "1.00").await,
            stopped: desk.account(&suspended, "1.00").await,
            limited: desk.account(&customer, "1.00").await,
            suspended,
            desk,
        }
    }

    /// What comes after the dump. Gives an account that is opened then, with two euros on it.
    async fn after(&self) -> String {
        let desk = &self.desk;
        desk.act(&freeze_account(&self.frozen, Direction::Debit).0).await;
        desk.act(&self.lift).await;
        desk.act(&close(&self.closed, &self.pot)).await;
        desk.act(&suspend(&self.suspended).0).await;
        desk.act(&limit(&self.limited, "0.50")).await;
        desk.account(&desk.customer().await, "2.00").await
    }

    /// The same accounts in a suite that was started anew.
    async fn at(mut self, child: &Child) -> Self {
        let (house, clients) = (self.desk.house, Clients::new(child.at, None).unwrap());
        self.desk = Desk { house, ..Desk::of(&clients, child.at).await };
        self
    }

    /// Waits until the ledger has all accounts as accounts says.
    async fn until_agreed(&self) {
        for name in self.all() {
            until("agreement", async || self.desk.agrees(name).await).await;
        }
    }

    fn all(&self) -> [&String; 6] {
        [&self.frozen, &self.freed, &self.closed, &self.pot, &self.stopped, &self.limited]
    }

    async fn is_closed(&self) -> bool {
        self.desk.find(&self.closed).await.unwrap().state() == State::Closed
    }

    async fn passes(&self, name: &str, amount: &str) {
        self.desk.pay(name, &self.desk.house, amount).await.unwrap();
    }
}

#[test]
fn the_ledger_follows_accounts_that_were_restored_alone() {
    run(Box::pin(async {
        let folder = folder();
        let dumper = block_in_place(|| Dumper::start(folder.path()));
        if !dumper.can_dump() {
            return;
        }
        let (state, file) = (folder.path().join("state"), folder.path().join("accounts.dump"));
        let start = || block_in_place(|| Child::launch(&state, comparing(&state, &dumper)));
        let child = start();
        let story = Story::before(&child).await;
        block_in_place(|| dumper.save("accounts", &file));
        let new = story.after().await;
        let old = story.desk.controls(&story.frozen).await.timeline;
        stop(child);
        block_in_place(|| restore("accounts", &file, &state, &dumper));

        let child = start();
        let story = story.at(&child).await;
        story.until_agreed().await;
        let desk = &story.desk;
        assert!(desk.controls(&story.frozen).await.timeline > old);
        desk.assert_blocked(&story.freed, &desk.house).await;
        for name in [&story.frozen, &story.stopped] {
            story.passes(name, "0.60").await;
        }
        story.passes(&story.limited, "0.60").await;
        // Open again, and empty: no money comes back by a restore of accounts.
        assert!(!story.is_closed().await);
        assert_eq!(cents(&desk.clients, &story.closed).await, 0);
        assert_eq!(cents(&desk.clients, &story.pot).await, 200);
        // What accounts has forgotten stays in the ledger, and is named.
        let request = accounts::GetAccountRequest { name: new.clone() };
        let unknown = desk.clients.accounts.clone().get_account(request).await.unwrap_err();
        assert_eq!(refusal(&unknown).0, Reason::ResourceNotFound);
        story.passes(&new, "0.50").await;
        let (code, told) = block_in_place(|| reconcile(&state, &child));
        assert!(code == Some(1) && told.contains(&new), "{told}");
        assert!(!story.all().iter().any(|name| told.contains(*name)), "{told}");
        // Accounts goes on where it was.
        desk.act(&freeze_account(&story.frozen, Direction::Debit).0).await;
        desk.assert_blocked(&story.frozen, &desk.house).await;
        desk.act(&story.lift).await;
        story.passes(&story.freed, "0.60").await;
        desk.act(&close(&story.closed, &story.pot)).await;
        assert!(story.is_closed().await);
        desk.assert_books().await;
        stop(child);
    }));
}

#[test]
fn a_ledger_that_was_restored_alone_is_told_everything_again() {
    run(Box::pin(async {
        let folder = folder();
        let dumper = block_in_place(|| Dumper::start(folder.path()));
        if !dumper.can_dump() {
            return;
        }
        let (state, file) = (folder.path().join("state"), folder.path().join("ledger.dump"));
        let start = || block_in_place(|| Child::launch(&state, comparing(&state, &dumper)));
        let child = start();
        let story = Story::before(&child).await;
        block_in_place(|| dumper.save("transactions", &file));
        let new = story.after().await;
        stop(child);
        block_in_place(|| restore("transactions", &file, &state, &dumper));

        let child = start();
        let story = story.at(&child).await;
        story.until_agreed().await;
        let desk = &story.desk;
        until("the lost account", async || desk.find(&new).await.is_some()).await;
        until("its controls", async || desk.agrees(&new).await).await;
        // The money that went there was taken back by the restore; the account takes new.
        assert_eq!(cents(&desk.clients, &new).await, 0);
        desk.pay(&desk.house, &new, "0.50").await.unwrap();
        for name in [&story.frozen, &story.stopped] {
            desk.assert_blocked(name, &desk.house).await;
        }
        story.passes(&story.freed, "0.60").await;
        let refused = desk.pay(&story.limited, &desk.house, "0.60").await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::LimitExceeded);
        // Closed again, and what was on it went the same way again.
        assert!(story.is_closed().await);
        assert_eq!(cents(&desk.clients, &story.pot).await, 200);
        let (code, told) = block_in_place(|| reconcile(&state, &child));
        assert_eq!(code, Some(0), "{told}");
        desk.assert_books().await;
        stop(child);
    }));
}
