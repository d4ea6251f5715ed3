//! Trial balances: by class and general ledger code, and in balance.

use diesel::connection::SimpleConnection as _;
use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::get_trial_balance_request::AsOf;
use wire::{AccountClass, Direction, LatePosting};

use crate::periods::noon;
use crate::requests::{field, why};
use crate::setup::{Client, Ledger, entry, eur, request_id, unbounded};

impl Client {
    async fn trial_balance(
        &mut self,
        as_of: Option<AsOf>,
        currency: &str,
    ) -> Result<wire::TrialBalance, Status> {
        let request = wire::GetTrialBalanceRequest { as_of, currency: currency.to_owned() };
        self.balances.get_trial_balance(request).await.map(tonic::Response::into_inner)
    }

    async fn coded(&mut self, currency: &str, class: AccountClass, gl_code: &str) -> String {
        let account = wire::LedgerAccount {
            currency: currency.to_owned(),
            class: class.into(),
            gl_code: gl_code.to_owned(),
            overdraft: Some(unbounded()),
            ..Default::default()
        };
        let request =
            wire::RegisterLedgerAccountRequest { account: Some(account), ..Default::default() };
        self.ledger.register_ledger_account(request).await.unwrap().into_inner().name
    }

    async fn book(&mut self, debit: &str, credit: &str, amount: &str, days: [&str; 2]) {
        let [booking, value] = days;
        let transaction = wire::Transaction {
            r#type: "PAY".to_owned(),
            entries: vec![
                entry(debit, Direction::Debit, eur(amount)),
                entry(credit, Direction::Credit, eur(amount)),
            ],
            booking_date: booking.to_owned(),
            effective_time: (!value.is_empty())
                .then(|| format!("{value}T12:00:00Z").parse().unwrap()),
            late: LatePosting::Refuse.into(),
            ..Default::default()
        };
        let request = wire::CreateTransactionRequest {
            transaction: Some(transaction),
            request_id: request_id(),
            ..Default::default()
        };
        self.transactions.create_transaction(request).await.unwrap();
    }
}

/// The lines in short.
fn lines(found: &wire::TrialBalance) -> Vec<String> {
    let amount = |money: &Option<strongroom_proto::common::v1::Money>| {
        money.as_ref().unwrap().amount.clone()
    };
    let line = |line: &wire::TrialBalanceLine| {
        let class = line.class().as_str_name().trim_start_matches("ACCOUNT_CLASS_").to_owned();
        let (debits, credits) = (amount(&line.debits), amount(&line.credits));
        let (code, count, balance) = (&line.gl_code, line.account_count, amount(&line.balance));
        format!("{} {class} {code:?} {debits} {credits} {balance} {count}", line.currency)
    };
    let totals = found.totals.iter().map(|total| {
        format!("{} {} {}", total.currency, amount(&total.debits), amount(&total.credits))
    });
    found.lines.iter().map(line).chain(totals).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted_is_summed_up_by_class_and_code() {
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    assert_eq!(client.trial_balance(None, "").await.unwrap(), wire::TrialBalance::default());
    let cash = client.coded("EUR", AccountClass::Asset, "1000").await;
    let (a, b) = (
        client.coded("EUR", AccountClass::Liability, "2000").await,
        client.coded("EUR", AccountClass::Liability, "2000").await,
    );
    let fees = client.coded("EUR", AccountClass::Income, "").await;
    client.coded("CHF", AccountClass::Asset, "1000").await;
    client.book(&cash, &a, "100", ["2026-09-30", ""]).await;
    client.book(&cash, &b, "50", ["2026-10-15", "2026-09-30"]).await;
    client.book(&a, &fees, "2.50", ["", ""]).await;

    let now = client.trial_balance(None, "").await.unwrap();
    assert_eq!(
        lines(&now),
        [
            "CHF ASSET \"1000\" 0.00 0.00 0.00 1",
            "EUR ASSET \"1000\" 150.00 0.00 150.00 1",
            "EUR LIABILITY \"2000\" 2.50 150.00 147.50 2",
            "EUR INCOME \"\" 0.00 2.50 2.50 1",
            "CHF 0.00 0.00",
            "EUR 152.50 152.50",
        ]
    );
    let mut at = async |as_of| lines(&client.trial_balance(Some(as_of), "EUR").await.unwrap());
    let booking = |day: &str| AsOf::BookingDate(day.to_owned());
    let value = |day: &str| AsOf::ValueDate(day.to_owned());
    assert_eq!(
        at(booking("2026-11-22")).await,
        lines(&now)[1..].iter().filter(|l| !l.starts_with("CHF")).cloned().collect::<Vec<_>>()
    );
    assert_eq!(
        at(booking("2026-10-14")).await,
        [
            "EUR ASSET \"1000\" 100.00 0.00 100.00 1",
            "EUR LIABILITY \"2000\" 0.00 100.00 100.00 2",
            "EUR INCOME \"\" 0.00 0.00 0.00 1",
            "EUR 100.00 100.00",
        ]
    );
    assert_eq!(at(value("2026-09-30")).await[0], "EUR ASSET \"1000\" 150.00 0.00 150.00 1");
    assert_eq!(at(value("2026-09-29")).await.last().unwrap(), "EUR 0.00 0.00");
    assert_eq!(at(booking("2000-01-01")).await.last().unwrap(), "EUR 0.00 0.00");

    for (as_of, name) in [
        (booking("2026-11-23"), "booking_date"),
        (value("2026-11-23"), "value_date"),
        (value("today"), "value_date"),
    ] {
        let invalid = (Reason::FieldInvalid, name.to_owned());
        assert_eq!(field(client.trial_balance(Some(as_of), "").await), invalid);
    }
    let unknown = client.trial_balance(None, "XYZW").await;
    assert_eq!(field(unknown), (Reason::CurrencyUnknown, "currency".to_owned()));
    let other = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(other, &["*"]);
    assert_eq!(stranger.trial_balance(None, "").await.unwrap(), wire::TrialBalance::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_lines_and_damaged_books_are_refused() {
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    client.funded("10").await;
    let damage = |sql: &str| {
        let tenant = ledger.tenant.uuid();
        let inside = format!("SET strongroom.tenant = '{tenant}'; {sql}");
        tokio::task::block_in_place(|| ledger.database.owner().batch_execute(&inside).unwrap());
    };
    damage(
        "UPDATE ledger_accounts SET posted_credits = posted_credits + 1 WHERE posted_credits > 0",
    );
    assert_eq!(why(client.trial_balance(None, "").await).0, Reason::BooksMismatch);
    damage(
        "INSERT INTO ledger_accounts (tenant_id, id, currency, decimals, class, gl_code, \
            posted_debits, posted_credits, held, entry_seq, version, create_time, record_time) \
         SELECT current_setting('strongroom.tenant')::uuid, gen_random_uuid(), 'USD', 2, 1, n, 0, \
            0, 0, 0, 1, now(), now() FROM generate_series(1, 10001) n",
    );
    assert_eq!(why(client.trial_balance(None, "USD").await).0, Reason::TooManyItems);
}
