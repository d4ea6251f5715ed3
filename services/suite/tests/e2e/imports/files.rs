//! Files that are bad, that change, or that are only partly accepted.

use strongroom_proto::transactions::v1 as wire;
use strongroom_proto::transparency::v1::transparency_service_client::TransparencyServiceClient;
use strongroom_proto::transparency::v1::{Leaf, ListLeavesRequest};
use wire::ledger_service_client::LedgerServiceClient;
use wire::statement_service_client::StatementServiceClient;

use super::{Place, account_name};
use crate::world::{claims, run};

const ACCOUNTS: &str = "\
id,class,currency,overdraft,opening_balance,opening_date
house,ASSET,EUR,unbounded,,
ada,LIABILITY,EUR,,12.50,2019-12-31
";
const BOTH: [&str; 4] = ["--accounts", "accounts.csv", "--transactions", "history.csv"];

/// A history of so many payments.
fn history(count: usize) -> Vec<String> {
    let mut lines = vec!["id,type,booking_date,account,direction,amount,currency".to_owned()];
    for index in 0..count {
        lines.push(format!("T-{index},TOPUP,2020-01-{:02},house,DEBIT,1.00,EUR", index % 28 + 1));
        lines.push(format!("T-{index},,,ada,CREDIT,1.00,EUR"));
    }
    lines
}

/// How many accounts the ledger has.
async fn accounts(place: &Place) -> usize {
    let clients = place.clients();
    let mut ledger = LedgerServiceClient::new(clients.api(place.world.at.transactions).unwrap());
    let request = wire::ListLedgerAccountsRequest::default();
    ledger.list_ledger_accounts(request).await.unwrap().into_inner().accounts.len()
}

async fn posted(place: &Place, key: &str) -> String {
    let request = wire::GetBalanceRequest { account: account_name(key), as_of: None };
    let balance = place.clients().balances.clone().get_balance(request).await.unwrap();
    balance.into_inner().posted.unwrap().amount
}

/// The log says from where it was brought.
async fn assert_marked(place: &Place) {
    let api = place.clients().api(place.world.at.transactions).unwrap();
    let mut log = TransparencyServiceClient::new(api);
    for _ in 0..300 {
        let request = ListLeavesRequest { start_index: 0, page_size: 1_000 };
        let leaves = log.list_leaves(request).await.unwrap().into_inner().leaves;
        let is_posting = |leaf: &&Leaf| leaf.data.contains("transaction.posted");
        let postings: Vec<&Leaf> = leaves.iter().filter(is_posting).collect();
        // The opening balance and four transactions.
        if postings.len() == 5 {
            let mark = "\"import_source\":\"core-2019\"";
            assert!(postings.iter().all(|leaf| leaf.data.contains(mark)), "{leaves:?}");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the log does not have what was imported");
}

#[test]
fn one_bad_line_in_the_middle_and_nothing_is_written() {
    run(Box::pin(async {
        let place = Place::new().await;
        place.write("accounts.csv", ACCOUNTS);
        let good = history(2_000);
        let middle = good[2_001].clone();
        for (from, to, told) in [
            (",DEBIT,", ",LEFT,", "history.csv:2002: direction must be DEBIT or CREDIT"),
            ("1.00", "1.001", "history.csv:2002: amount must have at most 2 decimals in EUR"),
            ("1.00", "1.01", "history.csv:2002: entries must balance: 1.01 debited, 1.00 credited"),
            ("EUR", "USD", "history.csv:2002: entries must balance"),
            ("house", "home", "history.csv:2002: account must be an account of the files"),
            ("2020-01", "2020-13", "history.csv:2002: booking_date must be a day as YYYY-MM-DD"),
            ("2020-01", "9020-01", "history.csv:2002: booking_date must not be in the future"),
            ("TOPUP", "top up", "history.csv:2002: type must be 1 to 64 upper case letters"),
            ("T-1000", "T-500", "history.csv:2002: id is there twice, or its rows do not stand"),
            ("T-1000", "T-999", "history.csv:2002: booking_date is not that of line 2000"),
            ("house,", "house,,", "history.csv:2002: has 8 columns, and the header has 7"),
            ("T-1000", "\"T-1000", "history.csv:"),
        ] {
            let mut lines = good.clone();
            lines[2_001] = middle.replacen(from, to, 1);
            assert_ne!(lines[2_001], middle);
            if to == "T-500" {
                lines[2_002] = lines[2_002].replacen(from, to, 1);
            }
            place.write("history.csv", &lines.join("\n"));
            let (code, out, error) = place.import(&BOTH);
            assert_eq!((code, out.as_str()), (Some(65), ""), "{to}: {error}");
            assert!(error.contains(told), "{to}: {error}");
        }
        for (from, to, told) in [
            ("amount", "amuont", "history.csv:1: \"amuont\" is no column of such a file"),
            ("amount", "account", "history.csv:1: \"account\" is there twice"),
            ("direction,", "", "history.csv:1: direction is missing in the header"),
        ] {
            let lines = [&[good[0].replacen(from, to, 1)], &good[1..]].concat();
            place.write("history.csv", &lines.join("\n"));
            let (code, _, error) = place.import(&BOTH);
            assert_eq!(code, Some(65), "{to}: {error}");
            assert!(error.contains(told), "{to}: {error}");
        }
        assert_eq!(accounts(&place).await, 0);
        assert!(!place.path("history.csv.progress").exists());
        assert!(!place.path("accounts.csv.progress").exists());

        place.write("history.csv", &good.join("\n"));
        let (code, out, _) = place.import(&["--check", BOTH[0], BOTH[1], BOTH[2], BOTH[3]]);
        assert_eq!((code, accounts(&place).await), (Some(0), 0), "{out}");
        assert!(out.contains("transactions      2000"), "{out}");
    }));
}

#[test]
fn what_is_closed_stays_closed() {
    run(Box::pin(async {
        let place = Place::new().await;
        let api = place.clients().api(place.world.at.transactions).unwrap();
        let name = "periods/2020-01".to_owned();
        let request = wire::ClosePeriodRequest { name, ..wire::ClosePeriodRequest::default() };
        StatementServiceClient::new(api).close_period(request).await.unwrap();
        place.write("accounts.csv", &ACCOUNTS.replace("2019-12-31", "2020-02-01"));
        place.write("history.csv", &history(1).join("\n"));
        let (code, _, error) = place.import(&BOTH);
        assert_eq!((code, accounts(&place).await), (Some(65), 0), "{error}");
        let told = "history.csv:2: booking_date must be after 2020-01-31: the books are closed";
        assert!(error.contains(told), "{error}");
        place.write("history.csv", &history(1).join("\n").replace("2020-01", "2020-02"));
        assert_eq!(place.import(&BOTH).0, Some(0));
    }));
}

#[test]
fn a_file_that_changed_is_not_gone_on_with() {
    run(Box::pin(async {
        let place = Place::new().await;
        place.write("accounts.csv", ACCOUNTS);
        place.write("history.csv", &history(3).join("\n"));
        let (code, out, error) = place.import(&BOTH);
        assert_eq!(code, Some(0), "{error}");
        assert!(out.contains("12.50 EUR is left on accounts/"), "{out}");
        assert_eq!(posted(&place, "ada").await, "15.50");

        place.write("history.csv", &history(4).join("\n"));
        let (code, _, error) = place.import(&BOTH);
        assert_eq!(code, Some(1));
        assert!(error.contains("history.csv has changed since an import"), "{error}");
        let (code, _, error) = place.import(&[BOTH[2], BOTH[3], "--source", "core-2020"]);
        assert!(code != Some(0) && error.contains("--source"), "{error}");
        // What was imported is not imported again, whatever is known of the progress.
        std::fs::remove_file(place.path("history.csv.progress")).unwrap();
        let (code, out, error) = place.import(&BOTH);
        assert_eq!(code, Some(0), "{error}");
        assert!(out.contains("there before      3"), "{out}");
        assert_eq!(posted(&place, "ada").await, "16.50");

        assert_marked(&place).await;

        // Another ledger has not seen it, whatever the progress says.
        let other = Place { tenant: place.world.tenant().await, ..place };
        let (code, _, error) = other.import(&BOTH);
        assert_eq!(code, Some(0), "{error}");
        assert!(error.contains("beginning anew"), "{error}");
        assert_eq!(posted(&other, "ada").await, "16.50");
    }));
}

#[test]
fn what_the_ledger_refuses_is_told_and_the_rest_is_imported() {
    run(Box::pin(async {
        let place = Place::new().await;
        place.write("accounts.csv", ACCOUNTS);
        place.write("history.csv", &history(3).join("\n"));
        assert_eq!(place.import(&BOTH).0, Some(0));
        let line = |id: &str, psp: &str| {
            let entry = |account: &str, direction: &str| {
                serde_json::json!({"account": account, "direction": direction, "amount": "1",
                    "currency": "EUR"})
            };
            let entries = [entry("house", "DEBIT"), entry("ada", "CREDIT")];
            serde_json::json!({"id": id, "type": "TOPUP", "booking_date": "2020-02-29",
                "external_ids": {"PSP": psp}, "entries": entries})
            .to_string()
        };
        place.write("one.ndjson", &line("N-1", "psp-1"));
        assert_eq!(place.import(&["--transactions", "one.ndjson"]).0, Some(0));
        // A PSP's id that the ledger has already.
        let lines = [line("N-2", "psp-2"), line("N-3", "psp-1"), line("N-4", "psp-4")];
        place.write("more.ndjson", &lines.join("\n"));
        for _ in 0..2 {
            let (code, out, error) = place.import(&["--transactions", "more.ndjson"]);
            assert_eq!(code, Some(1), "{error}");
            assert!(
                error.contains("more.ndjson:2: N-3: ALREADY_EXISTS EXTERNAL_ID_TAKEN"),
                "{error}"
            );
            assert!(out.contains("refused           1"), "{out}");
        }
        assert_eq!(posted(&place, "ada").await, "18.50");

        // A number is no amount: it would have been a float.
        place.write("bad.ndjson", &line("N-5", "psp-5").replace("\"1\"", "1"));
        let (code, _, error) = place.import(&["--transactions", "bad.ndjson"]);
        assert_eq!(code, Some(65));
        assert!(error.contains("bad.ndjson:1: column") && error.contains("string"), "{error}");

        // What is missing for all rows is no refusal of one: nothing is acknowledged.
        place.write("new.ndjson", &line("N-6", "psp-6"));
        let permissions = [
            "transactions.currencies.*",
            "transactions.periods.list",
            "transactions.ledgerAccounts.*",
            "transactions.transactions.create",
        ];
        let clerk = place.world.token(&claims(place.tenant, &permissions));
        let mut command = place.command(&["--transactions", "new.ndjson"]);
        command.env("STRONGROOM_TOKEN", clerk);
        let output = tokio::task::block_in_place(|| command.output().unwrap());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains("PERMISSION_MISSING"), "{error}");
        assert!(!place.path("new.ndjson.progress").exists());
    }));
}
