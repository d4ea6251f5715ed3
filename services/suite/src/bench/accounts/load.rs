//! Callers of accounts.

use std::net::SocketAddr;
use std::sync::Arc;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use strongroom_proto::accounts::v1 as wire;
use tokio::task::JoinSet;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};
use wire::account_service_client::AccountServiceClient;
use wire::customer_service_client::CustomerServiceClient;

use super::floor::Floor;
use super::{LOAD_ACCOUNTS, unique};
use crate::bench::closed::{self, CALLERS_PER_CONNECTION, Loaded, Span};
use crate::bench::error::BenchError;
use crate::client::{Bearer, channel};

/// What is asked for in every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A new customer.
    CreateCustomer,
    /// A new account of a customer who is there.
    CreateAccount,
    /// An account that is there.
    GetAccount,
    /// The accounts of a customer.
    ListAccounts,
    /// A new freeze, and then its end, in turn.
    Freeze,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::CreateCustomer,
        Self::CreateAccount,
        Self::GetAccount,
        Self::ListAccounts,
        Self::Freeze,
    ];

    /// What is called, for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CreateCustomer => "CreateCustomer, with its sealed profile",
            Self::CreateAccount => "CreateAccount, until the ledger has it",
            Self::GetAccount => "GetAccount",
            Self::ListAccounts => "ListAccounts of a customer",
            Self::Freeze => "FreezeAccount, UnfreezeAccount, until the ledger has it",
        }
    }

    /// What it is measured against.
    pub(super) fn floor(self) -> Option<Floor> {
        match self {
            Self::CreateCustomer => Some(Floor::Customer),
            Self::CreateAccount => Some(Floor::Account),
            Self::GetAccount => Some(Floor::Select),
            Self::ListAccounts | Self::Freeze => None,
        }
    }
}

/// What the callers are told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Load {
    pub(super) kind: Kind,
    pub(super) address: SocketAddr,
    pub(super) token: String,
    pub(super) callers: usize,
    pub(super) warm_up: f64,
    pub(super) seconds: f64,
    pub(super) customers: Vec<String>,
    pub(super) accounts: Vec<String>,
}

impl Load {
    /// Has another process do it.
    pub(super) async fn in_a_process_of_its_own(&self) -> Result<Loaded, BenchError> {
        closed::in_a_process_of_its_own(LOAD_ACCOUNTS, self).await
    }
}

/// `main` of the callers' process.
pub(in crate::bench) fn main() -> Result<(), BenchError> {
    closed::main(LOAD_ACCOUNTS, async |load: Load| call_all(Arc::new(load)).await)
}

async fn call_all(load: Arc<Load>) -> Result<Loaded, String> {
    let apis = Api::several(load.address, &load.token, load.callers)?;
    let span = Span::after(load.warm_up, load.seconds);
    let mut callers = JoinSet::new();
    for caller in 0..load.callers {
        let api = apis[caller % apis.len()].clone();
        callers.spawn(call(api, Arc::clone(&load), caller, span));
    }
    closed::gather(callers, load.seconds).await
}

/// Calls until the end, on accounts and customers that no other caller begins with.
async fn call(
    api: Api,
    load: Arc<Load>,
    caller: usize,
    span: Span,
) -> Result<Histogram<u64>, String> {
    let mut frozen: Option<String> = None;
    let one = |turn: usize| {
        let of = |names: &[String]| {
            let own = caller * names.len() / load.callers;
            names[(own + turn - caller) % names.len()].clone()
        };
        let (customer, account) = (of(&load.customers), of(&load.accounts));
        let lifted = frozen.take();
        let freeze_id = unique();
        if load.kind == Kind::Freeze && lifted.is_none() {
            frozen = Some(format!("{account}/freezes/{freeze_id}"));
        }
        let (mut api, kind) = (api.clone(), load.kind);
        async move {
            match (kind, lifted) {
                (Kind::CreateCustomer, _) => api.create_customer().await.map(drop),
                (Kind::CreateAccount, _) => api.create_account(customer).await.map(drop),
                (Kind::GetAccount, _) => api.get_account(account).await,
                (Kind::ListAccounts, _) => api.list_accounts(&customer).await,
                (Kind::Freeze, None) => api.freeze(account, freeze_id).await,
                (Kind::Freeze, Some(freeze)) => api.unfreeze(freeze).await,
            }
        }
    };
    closed::repeat(caller, span, one).await
}

/// The clients of a caller on one connection.
#[derive(Clone)]
pub(super) struct Api {
    accounts: AccountServiceClient<Channel>,
    customers: CustomerServiceClient<Channel>,
    bearer: MetadataValue<Ascii>,
}

impl Api {
    /// As many as so many callers share.
    pub(super) fn several(
        address: SocketAddr,
        token: &str,
        callers: usize,
    ) -> Result<Vec<Self>, String> {
        let bearer = Bearer::value(token).map_err(|error| error.to_string())?;
        let one = |_| {
            let channel = channel(address).map_err(|error| error.to_string())?;
            Ok(Self {
                accounts: AccountServiceClient::new(channel.clone()),
                customers: CustomerServiceClient::new(channel),
                bearer: bearer.clone(),
            })
        };
        (0..callers.div_ceil(CALLERS_PER_CONNECTION)).map(one).collect()
    }

    fn asked<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        request
    }

    /// Gives the name of a new customer.
    pub(super) async fn create_customer(&mut self) -> Result<String, Status> {
        let profile =
            wire::Profile { full_name: "Ada Lovelace".to_owned(), ..wire::Profile::default() };
        let customer = wire::Customer {
            kind: wire::customer::Kind::Person.into(),
            profile: Some(profile),
            ..wire::Customer::default()
        };
        let request = self.asked(wire::CreateCustomerRequest {
            customer: Some(customer),
            request_id: unique(),
            ..wire::CreateCustomerRequest::default()
        });
        Ok(self.customers.create_customer(request).await?.into_inner().name)
    }

    /// Gives the name of a new account.
    pub(super) async fn create_account(&mut self, customer: String) -> Result<String, Status> {
        let account = wire::Account {
            customer,
            product: "current".to_owned(),
            currency: "EUR".to_owned(),
            ..wire::Account::default()
        };
        let request = self.asked(wire::CreateAccountRequest {
            account: Some(account),
            request_id: unique(),
            ..wire::CreateAccountRequest::default()
        });
        Ok(self.accounts.create_account(request).await?.into_inner().name)
    }

    async fn get_account(&mut self, name: String) -> Result<(), Status> {
        let request = self.asked(wire::GetAccountRequest { name });
        self.accounts.get_account(request).await.map(drop)
    }

    async fn list_accounts(&mut self, customer: &str) -> Result<(), Status> {
        let filter = format!("customer = \"{customer}\"");
        let request = self
            .asked(wire::ListAccountsRequest { filter, ..wire::ListAccountsRequest::default() });
        self.accounts.list_accounts(request).await.map(drop)
    }

    async fn freeze(&mut self, parent: String, freeze_id: String) -> Result<(), Status> {
        let freeze = wire::Freeze {
            direction: wire::freeze::Direction::Debit.into(),
            reason_code: "COURT_ORDER".to_owned(),
            authority: "court-of-zurich".to_owned(),
            ..wire::Freeze::default()
        };
        let request = self.asked(wire::FreezeAccountRequest {
            parent,
            freeze: Some(freeze),
            freeze_id,
            request_id: unique(),
            ..wire::FreezeAccountRequest::default()
        });
        self.accounts.freeze_account(request).await.map(drop)
    }

    async fn unfreeze(&mut self, name: String) -> Result<(), Status> {
        let request = self.asked(wire::UnfreezeAccountRequest {
            name,
            request_id: unique(),
            ..wire::UnfreezeAccountRequest::default()
        });
        self.accounts.unfreeze_account(request).await.map(drop)
    }
}
