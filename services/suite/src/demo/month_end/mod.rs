//! The month end: what is booked in it, how it is closed, what comes too late, and how what is left
//! is proven to somebody who does not trust the house.

mod books;
mod closing;
mod proof;

use std::io::Write;

use shared::clock::Clock;
use shared::time::Day;
use strongroom_proto::transactions::v1::ledger_service_client::LedgerServiceClient;
use strongroom_proto::transactions::v1::statement_service_client::StatementServiceClient;
use uuid::Uuid;

use super::narrator::Narrator;
use crate::client::{Api, Clients};
use crate::error::Error;
use crate::options::Addresses;
use crate::verify::Trust;

/// Plays the month end on books that nobody uses, and prints each call and its answer. An error
/// where anything is not as told.
pub(super) async fn play(
    clients: Clients,
    at: Addresses,
    trust: &Trust,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let api = clients.api(at.transactions)?;
    let mut story = MonthEnd {
        ledger: LedgerServiceClient::new(api.clone()),
        statements: StatementServiceClient::new(api),
        clients,
        month: Month::before(Clock::system().now().day_in(&jiff::tz::TimeZone::UTC)),
        run: Uuid::now_v7().simple().to_string().split_off(24),
        out: Narrator::new(out),
    };
    let told = async {
        let accounts = story.book().await?;
        story.close().await?;
        story.late(&accounts).await?;
        let statement = story.statement(&accounts).await?;
        story.trial_balance().await?;
        story.prove(&statement, trust).await
    };
    Ok(told.await?)
}

/// The story as it is being told.
struct MonthEnd<'a> {
    clients: Clients,
    ledger: LedgerServiceClient<Api>,
    statements: StatementServiceClient<Api>,
    /// The month that ends.
    month: Month,
    /// Makes the request ids of this run its own.
    run: String,
    out: Narrator<'a>,
}

impl MonthEnd<'_> {
    fn request_id(&self, what: &str) -> String {
        format!("month-end-{}-{what}", self.run)
    }
}

/// The month before the present one, so that the story can be told on any day.
struct Month {
    first: Day,
    last: Day,
    /// The first day of the next month.
    next: Day,
}

impl Month {
    fn before(today: Day) -> Self {
        let next = today.first_of_month();
        let last = next.previous();
        Self { first: last.first_of_month(), last, next }
    }

    /// `YYYY-MM`.
    fn name(&self) -> String {
        let mut name = self.first.to_string();
        name.truncate("YYYY-MM".len());
        name
    }

    fn period(&self) -> String {
        format!("periods/{}", self.name())
    }

    fn day(&self, number: u8) -> String {
        format!("{}-{number:02}", self.name())
    }
}

/// The accounts of the story.
struct Accounts {
    bank: String,
    fees: String,
    ada: String,
    grace: String,
}
