//! The three services, each in a process of its own on a schema of its own.

use uuid::Uuid;

use super::{SERVE, SERVE_ACCOUNTS, SERVE_RECORDS};
use crate::bench::books::create_tenant;
use crate::bench::child::Service;
use crate::bench::place::Place;
use crate::client::Clients;
use crate::error::Error;
use crate::options::Addresses;

/// The running services.
pub(super) struct Trio {
    pub(super) accounts: Service,
    records: Service,
    ledger: Service,
    pub(super) at: Addresses,
}

impl Trio {
    /// Starts them in a place that has the schema of accounts, with a tenant.
    pub(super) async fn start(place: &Place, tenant: Uuid) -> Result<Self, Error> {
        let mut variables = place.beside(::records::SERVICE.schema)?;
        variables.extend(place.vault()?);
        let records = Service::start_as(SERVE_RECORDS, &variables).await?;
        let variables = place.beside(transactions::SERVICE.schema)?;
        let ledger = Service::start_as(SERVE, &variables).await?;
        let mut variables = place.believing(::accounts::SERVICE.schema.name);
        variables.extend([
            ("STRONGROOM_RECORDS_ADDRESS", records.address.to_string()),
            ("STRONGROOM_TRANSACTIONS_ADDRESS", ledger.address.to_string()),
        ]);
        let accounts = Service::start_as(SERVE_ACCOUNTS, &variables).await?;
        for service in [&accounts, &records, &ledger] {
            create_tenant(service, place, tenant).await?;
        }
        let at = Addresses {
            accounts: accounts.address,
            records: records.address,
            transactions: ledger.address,
        };
        Ok(Self { accounts, records, ledger, at })
    }

    /// The clients of a caller with this token.
    pub(super) fn clients(&self, token: &str) -> Result<Clients, Error> {
        Clients::new(self.at, Some(token))
    }

    /// Lets them drain, accounts before those that it calls.
    pub(super) async fn stop(self) -> Result<(), Error> {
        let Self { accounts, records, ledger, .. } = self;
        accounts.stop().await?;
        records.stop().await?;
        Ok(ledger.stop().await?)
    }
}
