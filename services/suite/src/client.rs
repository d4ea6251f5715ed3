//! The generated clients of all services, for one caller.

use std::net::SocketAddr;

use strongroom_proto::accounts::v1::account_service_client::AccountServiceClient;
use strongroom_proto::accounts::v1::customer_service_client::CustomerServiceClient;
use strongroom_proto::outcomes::v1::outcome_service_client::OutcomeServiceClient;
use strongroom_proto::records::v1::record_service_client::RecordServiceClient;
use strongroom_proto::transactions::v1::balance_service_client::BalanceServiceClient;
use strongroom_proto::transactions::v1::transaction_service_client::TransactionServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::error::Error;
use crate::options::Addresses;

/// A channel with the caller's token in every call.
pub type Api = InterceptedService<Channel, Bearer>;

/// Puts a token into every call, and the tenant where it holds in several; nothing where there is
/// none.
#[derive(Debug, Clone, Default)]
pub struct Bearer {
    token: Option<MetadataValue<Ascii>>,
    tenant: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        if let Some(tenant) = &self.tenant {
            request.metadata_mut().insert("strongroom-tenant", tenant.clone());
        }
        Ok(request)
    }
}

impl Bearer {
    /// The value of the header. `Debug` does not show it.
    pub(crate) fn value(token: &str) -> Result<MetadataValue<Ascii>, Error> {
        let value = format!("Bearer {token}").parse();
        let mut value: MetadataValue<Ascii> =
            value.map_err(|_| Error::Token("it is not ASCII".to_owned()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn api(self, address: SocketAddr) -> Result<Api, Error> {
        Ok(InterceptedService::new(channel(address)?, self))
    }
}

/// The clients of one caller. Nothing is connected before the first call.
#[derive(Debug, Clone)]
pub struct Clients {
    bearer: Bearer,
    /// Customers.
    pub customers: CustomerServiceClient<Api>,
    /// Accounts.
    pub accounts: AccountServiceClient<Api>,
    /// Sealed documents.
    pub records: RecordServiceClient<Api>,
    /// Postings.
    pub transactions: TransactionServiceClient<Api>,
    /// Balances.
    pub balances: BalanceServiceClient<Api>,
    /// What became of writes to accounts.
    pub accounts_outcomes: OutcomeServiceClient<Api>,
    /// What became of postings.
    pub transactions_outcomes: OutcomeServiceClient<Api>,
}

impl Clients {
    /// The clients of a caller with this token, or with none.
    pub fn new(at: Addresses, token: Option<&str>) -> Result<Self, Error> {
        Self::in_tenant(at, token, None)
    }

    /// The clients of a caller whose token holds in several tenants, in one of them.
    pub fn in_tenant(
        at: Addresses,
        token: Option<&str>,
        tenant: Option<Uuid>,
    ) -> Result<Self, Error> {
        let tenant = tenant.map(|tenant| tenant.to_string().parse()).transpose();
        let bearer = Bearer {
            token: token.map(Bearer::value).transpose()?,
            tenant: tenant.map_err(|_| Error::Usage("a tenant is a UUID".to_owned()))?,
        };
        let api = |address| bearer.clone().api(address);
        let (accounts, records) = (api(at.accounts)?, api(at.records)?);
        let transactions = api(at.transactions)?;
        Ok(Self {
            bearer,
            customers: CustomerServiceClient::new(accounts.clone()),
            accounts: AccountServiceClient::new(accounts.clone()),
            accounts_outcomes: OutcomeServiceClient::new(accounts),
            records: RecordServiceClient::new(records),
            transactions: TransactionServiceClient::new(transactions.clone()),
            balances: BalanceServiceClient::new(transactions.clone()),
            transactions_outcomes: OutcomeServiceClient::new(transactions),
        })
    }

    /// The way to any service for clients that are not here.
    pub fn api(&self, address: SocketAddr) -> Result<Api, Error> {
        self.bearer.clone().api(address)
    }
}

/// A channel that connects when it is first used.
pub(crate) fn channel(address: SocketAddr) -> Result<Channel, Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    Ok(endpoint.map_err(|error| Error::Usage(error.to_string()))?.connect_lazy())
}
