//! What the ledger has to be asked before rows can be judged.

use shared::money::{Currencies, Currency};
use shared::time::Day;
use strongroom_proto::transactions::v1 as wire;
use wire::currency_service_client::CurrencyServiceClient;
use wire::period::State;
use wire::statement_service_client::StatementServiceClient;

use super::error::ImportError;
use crate::client::Api;
use crate::refusal::Refusal;

/// What rows may name: ISO 4217, and what the tenant has registered.
pub(super) async fn currencies(
    mut client: CurrencyServiceClient<Api>,
) -> Result<Currencies, ImportError> {
    let mut registered = Vec::new();
    let mut request = wire::ListCurrenciesRequest { page_size: 1_000, ..Default::default() };
    loop {
        let page = client.list_currencies(request.clone()).await.map_err(|status| {
            let (what, message) = ("to list currencies", Refusal::from(&status).line());
            ImportError::Refused { what: what.to_owned(), message }
        })?;
        let page = page.into_inner();
        registered.extend(page.currencies.iter().filter_map(|currency| {
            Currency::new(&currency.code, u8::try_from(currency.decimals).ok()?)
        }));
        if page.next_page_token.is_empty() {
            return Ok(Currencies::with(registered));
        }
        request.page_token = page.next_page_token;
    }
}

/// The last day that is closed for good.
pub(super) async fn closed_through(
    mut client: StatementServiceClient<Api>,
) -> Result<Option<Day>, ImportError> {
    let mut request = wire::ListPeriodsRequest { page_size: 1_000, ..Default::default() };
    loop {
        let page = client.list_periods(request.clone()).await.map_err(|status| {
            let (what, message) = ("to list periods", Refusal::from(&status).line());
            ImportError::Refused { what: what.to_owned(), message }
        })?;
        let page = page.into_inner();
        // The latest month first: all that are before a closed one are closed too.
        if let Some(period) = page.periods.iter().find(|period| period.state() == State::Closed) {
            let month = period.name.trim_start_matches("periods/");
            let first = Day::parse(&format!("{month}-01")).ok();
            return Ok(first.map(Day::last_of_month));
        }
        if page.next_page_token.is_empty() {
            return Ok(None);
        }
        request.page_token = page.next_page_token;
    }
}
