//! What is booked in the month.

use strongroom_proto::transactions::v1 as wire;
use wire::AccountClass::{Asset, Income, Liability};

use super::{Accounts, MonthEnd};
use crate::demo::money::eur;
use crate::demo::narrator::{DemoError, Row, check, money};
use crate::demo::story::{given, word};

/// A transfer of the story.
pub(super) struct Payment<'a> {
    pub(super) kind: &'static str,
    pub(super) from: (&'a str, &'static str),
    pub(super) to: (&'a str, &'static str),
    pub(super) amount: &'static str,
    pub(super) description: &'static str,
    pub(super) booking_date: String,
}

impl MonthEnd<'_> {
    pub(super) async fn book(&mut self) -> Result<Accounts, DemoError> {
        let about = format!(
            "Four accounts, and what was booked on them in {}. Every booking has three times: \
             the day it is booked on, the time it takes effect, and when it was recorded.",
            self.month.name()
        );
        self.out.chapter("The books of a month", &about)?;
        let accounts = Accounts {
            bank: self.register("bank", Asset, "1000", true).await?,
            fees: self.register("fees", Income, "4000", true).await?,
            ada: self.register("Ada", Liability, "2000", false).await?,
            grace: self.register("Grace", Liability, "2000", false).await?,
        };
        let (bank, fees) = ((&accounts.bank[..], "bank"), (&accounts.fees[..], "fees"));
        let (ada, grace) = ((&accounts.ada[..], "Ada"), (&accounts.grace[..], "Grace"));
        for (kind, from, to, amount, description, day) in [
            ("DEPOSIT", bank, ada, "1000.00", "Salary", 3),
            ("TRANSFER", ada, grace, "250.00", "Rent", 12),
            ("FEE", ada, fees, "2.50", "Account fee", 28),
        ] {
            let booking_date = self.month.day(day);
            let payment = Payment { kind, from, to, amount, description, booking_date };
            let request = self.payment(&payment, wire::LatePosting::Unspecified)?;
            let answer = self.clients.transactions.create_transfer(request).await;
            let posted = given("TransactionService.CreateTransfer", answer)?;
            self.posted(&posted)?;
            check("the booking date", posted.booking_date, payment.booking_date)?;
        }
        Ok(accounts)
    }

    async fn register(
        &mut self,
        whose: &'static str,
        class: wire::AccountClass,
        gl_code: &str,
        is_house: bool,
    ) -> Result<String, DemoError> {
        const METHOD: &str = "LedgerService.RegisterLedgerAccount";
        let rows = [
            ("whose", whose.to_owned()),
            ("class", word(class.as_str_name(), "ACCOUNT_CLASS_")),
            ("gl_code", gl_code.to_owned()),
            ("currency", "EUR".to_owned()),
        ];
        self.out.call(METHOD, &rows)?;
        let unbounded = wire::overdraft::Bound::Unbounded(true);
        let account = wire::LedgerAccount {
            currency: "EUR".to_owned(),
            class: class.into(),
            gl_code: gl_code.to_owned(),
            overdraft: is_house.then_some(wire::Overdraft { bound: Some(unbounded) }),
            ..wire::LedgerAccount::default()
        };
        let request = wire::RegisterLedgerAccountRequest {
            account: Some(account),
            request_id: self.request_id(whose),
            ..wire::RegisterLedgerAccountRequest::default()
        };
        let account = given(METHOD, self.ledger.register_ledger_account(request).await)?;
        self.out.answer(&[("name", account.name.clone())])?;
        Ok(account.name)
    }

    /// A payment, as it is printed and sent.
    pub(super) fn payment(
        &mut self,
        payment: &Payment<'_>,
        late: wire::LatePosting,
    ) -> Result<wire::CreateTransferRequest, DemoError> {
        let named = |(name, whose): (&str, &str)| format!("{name}  ({whose})");
        let mut rows: Vec<Row<'_>> = vec![
            ("type", payment.kind.to_owned()),
            ("from", named(payment.from)),
            ("to", named(payment.to)),
            ("amount", format!("{} EUR", payment.amount)),
            ("description", payment.description.to_owned()),
            ("booking_date", payment.booking_date.clone()),
        ];
        if late != wire::LatePosting::Unspecified {
            rows.push(("late", word(late.as_str_name(), "LATE_POSTING_")));
        }
        self.out.call("TransactionService.CreateTransfer", &rows)?;
        let what = format!("{}-{}-{}", payment.kind, payment.booking_date, i32::from(late));
        Ok(wire::CreateTransferRequest {
            from: payment.from.0.to_owned(),
            to: payment.to.0.to_owned(),
            amount: Some(eur(payment.amount)),
            r#type: payment.kind.to_owned(),
            description: payment.description.to_owned(),
            booking_date: payment.booking_date.clone(),
            late: late.into(),
            request_id: self.request_id(&what),
            ..wire::CreateTransferRequest::default()
        })
    }

    /// What was posted: its three times, and what it left.
    pub(super) fn posted(&mut self, posted: &wire::Transaction) -> Result<(), DemoError> {
        let after = |index: usize| {
            let entry = posted.entries.get(index).and_then(|entry| entry.balance.as_ref());
            money(entry.and_then(|balance| balance.posted.as_ref()))
        };
        Ok(self.out.answer(&[
            ("name", posted.name.clone()),
            ("booking_date", posted.booking_date.clone()),
            ("effective_time", time(posted.effective_time)),
            ("record_time", time(posted.record_time)),
            ("from has", after(0)),
            ("to has", after(1)),
        ])?)
    }
}

/// A time of the wire, for people.
pub(super) fn time(time: Option<prost_types::Timestamp>) -> String {
    let time = time.and_then(|time| shared::time::Timestamp::decode(time).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}
