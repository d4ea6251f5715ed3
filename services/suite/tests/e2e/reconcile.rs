//! `strongroom reconcile`: nothing where accounts and the ledger agree, and each disagreement by
//! name where somebody has been at one of the databases.

use std::path::Path;

use ::suite::{Addresses, Clients};
use diesel::connection::SimpleConnection as _;
use rustix::process::Signal;
use strongroom_proto::transactions::v1 as ledger;
use strongroom_proto::transactions::v1::AccountClass;
use tokio::task::block_in_place;
use uuid::Uuid;

use crate::child::{Child, strongroom};
use crate::dump::Dumper;
use crate::restore::suite;
use crate::wire::{open, request_id};
use crate::world::{folder, run};

/// What the command says about a suite: its code, and what it wrote to its two outputs.
fn reconcile(at: Addresses, state: &Path) -> (Option<i32>, String, String) {
    let mut command = strongroom(state);
    command.args(["reconcile", "--accounts", &at.accounts.to_string()]);
    command.args(["--ledger", &at.transactions.to_string()]);
    let output = block_in_place(|| command.output().unwrap());
    let [out, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, error)
}

/// Registers an account in the ledger alone, under controls of this source.
async fn register(child: &Child, source: Option<&str>) -> String {
    let clients = Clients::new(child.at, None).unwrap();
    let api = clients.api(child.at.transactions).unwrap();
    let account = ledger::LedgerAccount {
        currency: "EUR".to_owned(),
        class: AccountClass::Asset.into(),
        ..ledger::LedgerAccount::default()
    };
    let controls = source.map(|source| ledger::Controls {
        source: source.to_owned(),
        version: 1,
        ..ledger::Controls::default()
    });
    let request = ledger::RegisterLedgerAccountRequest {
        account: Some(account),
        controls: controls.into_iter().collect(),
        request_id: request_id(),
        ..ledger::RegisterLedgerAccountRequest::default()
    };
    let mut client = ledger::ledger_service_client::LedgerServiceClient::new(api);
    client.register_ledger_account(request).await.unwrap().into_inner().name
}

/// Does something behind the back of a service.
fn tamper(dumper: &Dumper, statement: &str, account: &str) {
    let id: Uuid = account.strip_prefix("accounts/").unwrap().parse().unwrap();
    let statement =
        format!("SET session_replication_role = replica; {statement} WHERE id = '{id}'");
    block_in_place(|| dumper.admin().batch_execute(&statement).unwrap());
}

#[test]
fn what_accounts_and_the_ledger_do_not_agree_on_is_named() {
    run(async {
        let folder = folder();
        let state = folder.path().join("state");
        let dumper = block_in_place(|| Dumper::start(folder.path()));
        let mut command = suite(&state, dumper.url());
        // What the service repairs by itself once an hour it does not repair meanwhile.
        command.env("STRONGROOM_RECONCILE_INTERVAL", "3600");
        let child = block_in_place(|| Child::launch(&state, command));
        let clients = Clients::new(child.at, None).unwrap();
        let mut accounts = Vec::new();
        for _ in 0..5 {
            accounts.push(open(&clients, AccountClass::Asset).await);
        }
        // The ledger is used alone too.
        register(&child, None).await;
        register(&child, Some("monitor")).await;
        let (code, out, error) = reconcile(child.at, &state);
        assert_eq!(code, Some(0), "{out}{error}");
        assert!(out.contains("accounts       5, 0 of them PENDING\n"), "{out}");
        assert!(out.contains("in the ledger  7, 2 of them not controlled by accounts\n"), "{out}");
        assert!(out.ends_with("disagreements  0\n"), "{out}");

        let mut expected = Vec::new();
        for (account, statement, what) in [
            (
                &accounts[0],
                "UPDATE transactions.ledger_accounts SET gl_code = '9999'",
                "gl_code is none here, 9999 there",
            ),
            (
                &accounts[1],
                "DELETE FROM transactions.ledger_accounts",
                "accounts has it, the ledger does not",
            ),
            (
                &accounts[2],
                "UPDATE transactions.ledger_accounts SET controls = NULL",
                "the ledger has it without the controls of accounts",
            ),
            (
                &accounts[3],
                "UPDATE accounts.accounts SET controls_version = 8, acknowledged_version = 8",
                "version is 8 here, 1 there",
            ),
            (
                &accounts[4],
                "UPDATE accounts.accounts SET class = 5",
                "class is EXPENSE here, ASSET there",
            ),
        ] {
            tamper(&dumper, statement, account);
            expected.push(format!("{account}: {what}"));
        }
        let stranger = register(&child, Some("accounts")).await;
        expected.push(format!("{stranger}: the ledger has it, accounts does not"));
        let (code, out, error) = reconcile(child.at, &state);
        assert_eq!(code, Some(1), "{out}{error}");
        for line in &expected {
            assert!(out.lines().any(|found| found == line), "{line} is not in:\n{out}");
        }
        assert!(out.ends_with("disagreements  6\n"), "{out}");
        assert!(error.contains("6 disagreements"), "{error}");

        child.signal(Signal::TERM);
        let at = child.at;
        assert!(block_in_place(|| child.ended()).success());
        let (code, out, error) = reconcile(at, &state);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains("could not be compared"), "{error}");
    });
}
