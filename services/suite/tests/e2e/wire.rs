//! Requests that many tests send.

use strongroom_proto::accounts::v1 as accounts;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as transactions;
use suite::Clients;
use tonic::{Response, Status};
use transactions::AccountClass;
use uuid::Uuid;

pub(crate) fn eur(amount: &str) -> Money {
    Money { currency: "EUR".to_owned(), amount: amount.to_owned() }
}

pub(crate) fn request_id() -> String {
    Uuid::now_v7().to_string()
}

/// A person with a profile.
pub(crate) fn customer() -> accounts::CreateCustomerRequest {
    let profile =
        accounts::Profile { full_name: "Ada Lovelace".to_owned(), ..accounts::Profile::default() };
    let customer = accounts::Customer {
        kind: accounts::customer::Kind::Person.into(),
        profile: Some(profile),
        ..accounts::Customer::default()
    };
    accounts::CreateCustomerRequest {
        customer: Some(customer),
        request_id: request_id(),
        ..accounts::CreateCustomerRequest::default()
    }
}

/// An account of the house in EUR, with an id that the caller chooses.
pub(crate) fn account(class: AccountClass) -> accounts::CreateAccountRequest {
    let account = accounts::Account {
        product: "settlement".to_owned(),
        currency: "EUR".to_owned(),
        class: class.into(),
        ..accounts::Account::default()
    };
    accounts::CreateAccountRequest {
        account: Some(account),
        account_id: Uuid::now_v7().to_string(),
        request_id: request_id(),
        ..accounts::CreateAccountRequest::default()
    }
}

pub(crate) fn transfer(from: &str, to: &str, amount: &str) -> transactions::CreateTransferRequest {
    transactions::CreateTransferRequest {
        from: from.to_owned(),
        to: to.to_owned(),
        amount: Some(eur(amount)),
        request_id: request_id(),
        ..transactions::CreateTransferRequest::default()
    }
}

/// Opens an account and gives its name.
pub(crate) async fn open(clients: &Clients, class: AccountClass) -> String {
    clients.accounts.clone().create_account(account(class)).await.unwrap().into_inner().name
}

/// Opens an account without a bound, from which money comes.
pub(crate) async fn source(clients: &Clients) -> String {
    let mut request = account(AccountClass::Liability);
    let unbounded = transactions::overdraft::Bound::Unbounded(true);
    request.account.as_mut().unwrap().overdraft =
        Some(transactions::Overdraft { bound: Some(unbounded) });
    clients.accounts.clone().create_account(request).await.unwrap().into_inner().name
}

/// Sends a transfer.
pub(crate) async fn send(
    clients: &Clients,
    request: transactions::CreateTransferRequest,
) -> Result<Response<transactions::Transaction>, Status> {
    clients.transactions.clone().create_transfer(request).await
}

/// The balance of an account.
pub(crate) async fn balance(clients: &Clients, account: &str) -> transactions::Balance {
    let request = transactions::GetBalanceRequest { account: account.to_owned(), as_of: None };
    clients.balances.clone().get_balance(request).await.unwrap().into_inner()
}

/// The balance of an account in cents, on its normal side.
pub(crate) async fn cents(clients: &Clients, account: &str) -> i64 {
    balance(clients, account).await.posted.unwrap().amount.replace('.', "").parse().unwrap()
}

/// Whether an answer is that of an earlier request with the same id.
pub(crate) fn is_replay<T>(response: &Response<T>) -> bool {
    response.metadata().get("strongroom-replayed").is_some_and(|value| value == "true")
}
