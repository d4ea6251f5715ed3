//! The import of files, by the binary.
//!
//! `STRONGROOM_TEST_SCALE=10` makes the old ledger ten times as large.

mod files;
mod old_ledger;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use old_ledger::{DAYS, OldLedger, currency, day, major};
use shared::ids::TenantId;
use shared::time::Day;
use strongroom_proto::transactions::v1 as wire;
use suite::Clients;
use tokio::task::block_in_place;
use uuid::Uuid;
use wire::get_balance_request::AsOf;

use crate::child::strongroom;
use crate::world::{World, claims, folder, run, world};

/// Calls that are asked for at once.
const AT_ONCE: usize = 16;

/// A folder with files, and the tenant that they are imported into.
struct Place {
    folder: tempfile::TempDir,
    world: &'static World,
    tenant: TenantId,
}

impl Place {
    async fn new() -> Self {
        let world = world().await;
        Self { folder: folder(), tenant: world.tenant().await, world }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn clients(&self) -> Clients {
        self.world.caller(self.tenant)
    }

    /// The import of files of these names.
    fn command(&self, arguments: &[&str]) -> Command {
        let token = self.world.token(&claims(self.tenant, &["*"]));
        let mut command = strongroom(&self.path("state"));
        command.arg("import").args(["--source", "core-2019"]).args(arguments);
        command.args(["--ledger", &self.world.at.transactions.to_string()]);
        command.env("STRONGROOM_TOKEN", token).current_dir(self.folder.path());
        command
    }

    /// Runs it, and gives how it ended and what it said.
    fn import(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } =
            block_in_place(|| self.command(arguments).output().unwrap());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }
}

/// The account that a row's own id stands for.
fn account_name(key: &str) -> String {
    let name = format!("urn:strongroom:import:core-2019:accounts:{key}");
    format!("accounts/{}", Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
}

fn scale() -> f64 {
    std::env::var("STRONGROOM_TEST_SCALE").map_or(1.0, |scale| scale.parse().unwrap())
}

#[test]
fn an_old_ledger_is_on_every_day_what_it_was() {
    run(Box::pin(async {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count = (100_000.0 * scale()) as usize;
        let old = OldLedger::generate(count);
        let place = Place::new().await;
        place.write("accounts.csv", &old.accounts_csv());
        place.write("begin.csv", &old.history_csv(0..count / 2));
        place.write("rest.ndjson", &old.history_ndjson(count / 2..count));

        let begin = ["--accounts", "accounts.csv", "--transactions", "begin.csv"];
        let before = block_in_place(|| kill_in_the_middle(&place, &begin, count / 2));
        let (code, out, error) = place.import(&begin);
        assert_eq!(code, Some(0), "{error}");
        assert!(error.contains(&format!("begin.csv: {before} were imported before")), "{error}");
        assert!(!out.contains("does not balance"), "{out}");
        let (code, _, error) = place.import(&["--transactions", "rest.ndjson"]);
        assert_eq!(code, Some(0), "{error}");
        // All is done: once more changes nothing.
        let (code, out, error) = place.import(&["--transactions", "rest.ndjson"]);
        assert_eq!(code, Some(0), "{error}");
        assert!(out.contains("there before      0"), "{out}");

        let clients = place.clients();
        assert_counts(&clients, &old).await;
        assert_days(&clients, &old).await;
        for last in (30..DAYS).step_by(365).chain([DAYS - 1]) {
            assert_trial_balance(&clients, &old, last).await;
        }
    }));
}

/// Begins the import, kills it while it posts, and gives how far it had come. Blocks.
fn kill_in_the_middle(place: &Place, arguments: &[&str], count: usize) -> u64 {
    let progress = place.path("begin.csv.progress");
    let mut child = place
        .command(arguments)
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while done(&progress) < u64::try_from(count / 4).unwrap() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let done = done(&progress);
    assert!(done < u64::try_from(count).unwrap(), "it was faster than the signal");
    done
}

fn done(progress: &Path) -> u64 {
    let Ok(bytes) = std::fs::read(progress) else { return 0 };
    let content: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    content["done"].as_u64().unwrap()
}

/// Nothing is there twice, and nothing is missing.
async fn assert_counts(clients: &Clients, old: &OldLedger) {
    let counts = old.entry_counts();
    for (accounts, counts) in old.accounts.chunks(1_000).zip(counts.chunks(1_000)) {
        let accounts = accounts.iter().map(|account| account_name(&account.key)).collect();
        let request = wire::BatchGetBalancesRequest { accounts };
        let balances = clients.balances.clone().batch_get_balances(request).await.unwrap();
        let found = balances.into_inner().balances;
        assert!(found.iter().map(|balance| balance.entry_seq).eq(counts.iter().copied()));
    }
}

/// On every day some accounts have what they had then: by booking date, and by value date.
async fn assert_days(clients: &Clients, old: &OldLedger) {
    // Of every currency two customers and three accounts of the house, the busiest among them.
    let wanted = ["customer-1", "customer-249", "nostro", "fees", "exchange"];
    let is_wanted = |key: &str| wanted.contains(&key.split_once('/').unwrap().1);
    let all = 0..old.accounts.len();
    let sample: Vec<usize> = all.filter(|index| is_wanted(&old.accounts[*index].key)).collect();
    for by_value in [false, true] {
        let expected = old.balances(&sample, by_value);
        // Each day three of them, and each of them on days in all years.
        let asked = expected.iter().filter(|((account, day), _)| {
            let place = sample.iter().position(|one| one == account).unwrap();
            (day + place) % sample.len() < 3
        });
        let answers = stream::iter(asked).map(|((account, day), expected)| async move {
            let found = as_of(clients, &old.accounts[*account].key, *day, by_value).await;
            assert_eq!(&found, expected, "{} on day {day}", old.accounts[*account].key);
        });
        answers.buffer_unordered(AT_ONCE).collect::<()>().await;
    }
}

async fn as_of(clients: &Clients, key: &str, index: usize, by_value: bool) -> String {
    let date = day(index);
    let as_of = if by_value {
        // Value dates are days here, and begin at midnight.
        let zone = jiff::tz::TimeZone::UTC;
        AsOf::EffectiveTime(Day::parse(&date.to_string()).unwrap().start_in(&zone).encode())
    } else {
        AsOf::BookingDate(date.to_string())
    };
    let request = wire::GetBalanceRequest { account: account_name(key), as_of: Some(as_of) };
    let balance = clients.balances.clone().get_balance(request).await.unwrap().into_inner();
    balance.posted.unwrap().amount
}

async fn assert_trial_balance(clients: &Clients, old: &OldLedger, last: usize) {
    let as_of = wire::get_trial_balance_request::AsOf::BookingDate(day(last).to_string());
    let request = wire::GetTrialBalanceRequest {
        as_of: Some(as_of),
        ..wire::GetTrialBalanceRequest::default()
    };
    let found = clients.balances.clone().get_trial_balance(request).await.unwrap().into_inner();
    let lines = found.lines.into_iter().map(|line| {
        let amounts = [line.debits, line.credits].map(|money| money.unwrap().amount);
        ((line.currency, line.class, line.gl_code), amounts)
    });
    let expected = old.trial_balance(last).into_iter().map(|(key, sums)| {
        let place = currency(&key.0);
        (key, sums.map(|units| major(units, place)))
    });
    let (lines, expected): (BTreeMap<_, _>, BTreeMap<_, _>) = (lines.collect(), expected.collect());
    assert_eq!(lines, expected, "{}", day(last));
    for total in found.totals {
        assert_eq!(total.debits, total.credits, "{}", total.currency);
    }
}
