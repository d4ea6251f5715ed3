//! The command line.

use std::process::{Command, Output};

use rustix::process::Signal;
use shared::problem::Reason;
use shared::testing::refusal;
use suite::{Clients, DEFAULT_TENANT};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::block_in_place;

use crate::child::{Child, strongroom};
use crate::wire::{account, customer};
use crate::world::{folder, run};

fn output(command: &mut Command) -> (Output, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    (output, out, error)
}

#[test]
fn the_demo_brings_up_a_suite_of_its_own_and_leaves_nothing_behind() {
    let folder = folder();
    let (output, out, error) = output(strongroom(folder.path()).arg("demo"));
    assert!(output.status.success(), "{out}\n{error}");
    assert!(out.contains("FAILED_PRECONDITION INSUFFICIENT_FUNDS"), "{out}");
    assert!(!out.contains('\x1b'), "colours are for terminals:\n{out}");
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_month_is_booked_closed_stated_and_proven() {
    let lines = [
        "FAILED_PRECONDITION PERIOD_CLOSED",
        "late          NEXT_OPEN_PERIOD",
        "closing  747.50 EUR",
        "EUR                       1252.50       1252.50",
        "holds  signature",
        "line 3: the hash of line 2 of the statement",
    ];
    told("month-end", &lines);
}

/// What a story says on a suite of its own, of which nothing is left.
fn told(story: &str, lines: &[&str]) {
    let folder = folder();
    let (output, out, error) = output(strongroom(folder.path()).args(["demo", story]));
    assert!(output.status.success(), "{out}\n{error}");
    for told in lines {
        assert!(out.contains(told), "{told} is not in:\n{out}");
    }
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_card_pays_and_is_paid_back() {
    let lines = [
        "remaining  120.00 EUR",
        "entries[2]  CREDIT    1.50 EUR",
        "FAILED_PRECONDITION LINK_EXCEEDS_ORIGINAL",
        "FAILED_PRECONDITION INSUFFICIENT_FUNDS",
        "force       FUNDS: Dispute lost.",
        "posted     -61.50 EUR",
    ];
    told("card", &lines);
}

#[test]
fn what_two_authorities_freeze_neither_frees_alone() {
    let lines = [
        "passed   40",
        "refused  8",
        "FAILED_PRECONDITION ACCOUNT_BLOCKED",
        "court-of-zurich               300.00 EUR   LIFTED",
        "financial-intelligence-unit   all          LIFTED",
    ];
    told("court-order", &lines);
}

#[test]
fn bad_flags_are_one_line_and_64() {
    let folder = folder();
    let incomplete = ["--accounts-database-url", "postgres://nobody@127.0.0.1/nothing"];
    for arguments in [&["--accounts-port", "x"][..], &["--pool-wait", "soon"], &incomplete] {
        let (output, out, error) = output(strongroom(folder.path()).args(arguments));
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {error}");
        assert_eq!(out, "");
        assert!(!error.contains("panicked"), "{error}");
    }
}

#[test]
fn a_taken_port_is_named_with_its_flag() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (output, _, error) = output(strongroom(folder.path()).args(["--records-port", &port]));
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains(&port) && error.contains("--records-port"), "{error}");
    // Before anything slow, and before anything is made.
    assert!(folder.path().read_dir().unwrap().next().is_none());
}

#[test]
fn without_keys_there_is_no_token() {
    let folder = folder();
    let (output, out, error) = output(strongroom(folder.path()).arg("token"));
    assert_eq!((output.status.code(), out.as_str()), (Some(1), ""));
    assert!(error.contains("--state"), "{error}");
}

#[test]
fn development_knows_its_callers() {
    run(async {
        let folder = folder();
        let child = block_in_place(|| Child::start(folder.path()));
        // Without a token: "dev" in tenant default.
        let dev = Clients::new(child.at, None).unwrap();
        dev.customers.clone().create_customer(customer()).await.unwrap();

        // With one: what it says and no more.
        let (own, other) = (DEFAULT_TENANT.uuid().to_string(), uuid::Uuid::now_v7().to_string());
        let token = |arguments: &[&str]| {
            let mut command = strongroom(folder.path());
            let (output, out, error) =
                block_in_place(|| output(command.arg("token").args(arguments)));
            assert!(output.status.success(), "{error}");
            Clients::new(child.at, Some(out.trim())).unwrap()
        };
        let asks = async |clients: &Clients| {
            let request = account(strongroom_proto::transactions::v1::AccountClass::Asset);
            clients.accounts.clone().create_account(request).await
        };
        asks(&token(&[])).await.unwrap();
        asks(&token(&["--tenant", &own, "--permission", "accounts.accounts.*"])).await.unwrap();
        for (arguments, reason) in [
            (&["--permission", "accounts.accounts.get"][..], Reason::PermissionMissing),
            (&["--tenant", &other], Reason::ResourceNotFound),
            (&["--audience", "others"], Reason::TokenInvalid),
        ] {
            let refused = asks(&token(arguments)).await.unwrap_err();
            assert_eq!(refusal(&refused).0, reason, "{arguments:?}");
        }

        let metrics = scrape(child.admin).await;
        assert!(metrics.contains("rpc_server_call_duration"), "{metrics}");
        child.signal(Signal::TERM);
        assert!(block_in_place(|| child.ended()).success());
    });
}

/// What the metrics say.
pub(crate) async fn scrape(address: std::net::SocketAddr) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
