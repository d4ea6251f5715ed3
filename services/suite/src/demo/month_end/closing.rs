//! How the month is closed, and what comes too late.

use strongroom_proto::transactions::v1 as wire;
use wire::get_balance_request::AsOf;

use super::books::{Payment, time};
use super::{Accounts, MonthEnd};
use crate::demo::narrator::{DemoError, check, money};
use crate::demo::story::{given, word};
use crate::refusal::Refusal;

impl MonthEnd<'_> {
    pub(super) async fn close(&mut self) -> Result<(), DemoError> {
        const SOFT_CLOSE: &str = "StatementService.SoftClosePeriod";
        const CLOSE: &str = "StatementService.ClosePeriod";
        self.out.chapter(
            "The month is closed",
            "First softly: only those who have the permission still book in it. Then for good: an \
             answer means that nothing is booked in it any more.",
        )?;
        let name = self.month.period();
        self.out.call(SOFT_CLOSE, &[("name", name.clone())])?;
        let request = wire::SoftClosePeriodRequest {
            name: name.clone(),
            request_id: self.request_id("soft-close"),
            validate_only: false,
        };
        let period = given(SOFT_CLOSE, self.statements.soft_close_period(request).await)?;
        self.closed(&period, "SOFT_CLOSED")?;
        self.out.call(CLOSE, &[("name", name.clone())])?;
        let request_id = self.request_id("close");
        let request = wire::ClosePeriodRequest { name, request_id, validate_only: false };
        let period = given(CLOSE, self.statements.close_period(request).await)?;
        self.closed(&period, "CLOSED")
    }

    fn closed(&mut self, period: &wire::Period, expected: &str) -> Result<(), DemoError> {
        let state = word(period.state().as_str_name(), "STATE_");
        let rows = [
            ("name", period.name.clone()),
            ("state", state.clone()),
            ("principal", period.principal.clone()),
        ];
        self.out.answer(&rows)?;
        check("the period", state, expected)
    }

    pub(super) async fn late(&mut self, accounts: &Accounts) -> Result<(), DemoError> {
        const METHOD: &str = "TransactionService.CreateTransfer";
        self.out.chapter(
            "An item that comes too late",
            "It is refused, or booked on the first day that is open: then it keeps its value date.",
        )?;
        let payment = Payment {
            kind: "CARD",
            from: (&accounts.ada, "Ada"),
            to: (&accounts.bank, "bank"),
            amount: "40.00",
            description: "Groceries",
            booking_date: self.month.last.to_string(),
        };
        let request = self.payment(&payment, wire::LatePosting::Unspecified)?;
        match self.clients.transactions.create_transfer(request).await {
            Ok(_) => check("the late item", "posted", "refused")?,
            Err(status) => {
                let refusal = Refusal::from(&status);
                self.out.refusal(&refusal)?;
                check("the late item", refusal.reason, "PERIOD_CLOSED")?;
            }
        }
        let request = self.payment(&payment, wire::LatePosting::NextOpenPeriod)?;
        let posted = given(METHOD, self.clients.transactions.create_transfer(request).await)?;
        self.posted(&posted)?;
        check("the booking date", posted.booking_date, self.month.next.to_string())?;
        let value = format!("{}T00:00:00Z", self.month.last);
        check("the value date", time(posted.effective_time), value)?;

        let last = self.month.last.to_string();
        self.as_of(&accounts.ada, AsOf::BookingDate(last.clone()), &last, "747.50 EUR").await?;
        let next = self.month.next.start_in(&jiff::tz::TimeZone::UTC);
        let axis = AsOf::EffectiveTime(next.encode());
        self.as_of(&accounts.ada, axis, &next.to_string(), "707.50 EUR").await
    }

    /// What an account had: by what was booked, or by what had taken effect.
    async fn as_of(
        &mut self,
        account: &str,
        as_of: AsOf,
        shown: &str,
        expected: &str,
    ) -> Result<(), DemoError> {
        const METHOD: &str = "BalanceService.GetBalance";
        let axis = match as_of {
            AsOf::BookingDate(_) => "booking_date",
            AsOf::EffectiveTime(_) => "effective_time",
            AsOf::RecordTime(_) => "record_time",
        };
        self.out
            .call(METHOD, &[("account", format!("{account}  (Ada)")), (axis, shown.to_owned())])?;
        let request = wire::GetBalanceRequest { account: account.to_owned(), as_of: Some(as_of) };
        let balance = given(METHOD, self.clients.balances.get_balance(request).await)?;
        let posted = money(balance.posted.as_ref());
        self.out.answer(&[("posted", posted.clone())])?;
        check("the balance as of then", posted, expected)
    }
}
