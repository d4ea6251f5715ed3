//! Bad input: each gets its code, its reason and the path of its field, and changes nothing.

use std::fmt::Debug;
use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as accounts;
use strongroom_proto::common::v1::Money;
use strongroom_proto::outcomes::v1::{GetOutcomeRequest, outcome::State};
use strongroom_proto::records::v1 as records;
use strongroom_proto::transactions::v1 as transactions;
use strongroom_proto::transactions::v1::transaction_service_client::TransactionServiceClient;
use suite::{Api, Clients};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use transactions::AccountClass;
use transactions::Direction::{Credit, Debit};
use uuid::Uuid;

use crate::wire::{balance, customer, eur, open, request_id, send, source, transfer};
use crate::world::{World, claims, run, world};

const CREATE_ACCOUNT: &str = "/strongroom.accounts.v1.AccountService/CreateAccount";
const JSON: &str = "application/json";

/// A caller with two accounts, a customer, and what they were like before.
struct Scene {
    world: &'static World,
    token: String,
    clients: Clients,
    house: String,
    account: String,
    customer: accounts::Customer,
    before: String,
}

impl Scene {
    async fn new() -> Self {
        let world = world().await;
        let token = world.token(&claims(world.tenant().await, &["*"]));
        let clients = world.caller_with(&token);
        let house = source(&clients).await;
        let account = open(&clients, AccountClass::Liability).await;
        send(&clients, transfer(&house, &account, "10.00")).await.unwrap();
        let customer = clients.customers.clone().create_customer(customer()).await.unwrap();
        let customer = customer.into_inner();
        let mut scene =
            Self { world, token, clients, house, account, customer, before: String::new() };
        scene.before = scene.state().await;
        scene
    }

    /// All that a request could have changed.
    async fn state(&self) -> String {
        let request = accounts::ListAccountsRequest::default();
        let accounts = self.clients.accounts.clone().list_accounts(request).await.unwrap();
        let balances = (
            balance(&self.clients, &self.house).await,
            balance(&self.clients, &self.account).await,
        );
        format!("{accounts:?} {balances:?}", accounts = accounts.into_inner().accounts)
    }

    /// Nothing has changed, and these ids of transactions are free.
    async fn is_untouched(&self, request_ids: &[String]) {
        assert_eq!(self.state().await, self.before);
        for request_id in request_ids {
            let request = GetOutcomeRequest {
                operation: "create-transaction".to_owned(),
                request_id: request_id.clone(),
                fence: false,
            };
            let outcome = self.clients.transactions_outcomes.clone().get_outcome(request).await;
            assert_eq!(outcome.unwrap().into_inner().state(), State::Unknown);
        }
    }

    async fn record(&self, content_type: &str, content: Vec<u8>) -> Result<(), Status> {
        let record = records::Record {
            subject: self.customer.subject.clone(),
            r#type: "note".to_owned(),
            content_type: content_type.to_owned(),
            content: content.into(),
            ..records::Record::default()
        };
        let request = records::CreateRecordRequest { record: Some(record), ..Default::default() };
        self.clients.records.clone().create_record(request).await.map(drop)
    }

    /// Calls a method with any message, or with none.
    async fn raw<M>(&self, path: &'static str, messages: Vec<M>) -> Status
    where
        M: prost::Message + Default + Clone + 'static,
    {
        let mut client: Grpc<Api> = Grpc::new(self.clients.api(self.world.at.accounts).unwrap());
        client.ready().await.unwrap();
        let codec: ProstCodec<M, accounts::Account> = ProstCodec::default();
        let messages = Request::new(tokio_stream::iter(messages));
        let answer = client.client_streaming(messages, PathAndQuery::from_static(path), codec);
        answer.await.unwrap_err()
    }
}

#[track_caller]
fn refused<T: Debug>(answer: Result<T, Status>, reason: Reason, field: &str) {
    let status = answer.unwrap_err();
    let (found, path, _) = refusal(&status);
    assert_eq!((found, path.as_str()), (reason, field), "{status:?}");
}

#[test]
fn malformed_names() {
    run(async {
        let scene = Scene::new().await;
        let Clients { accounts, customers, records, transactions, balances, .. } = &scene.clients;
        let id = Uuid::now_v7();
        for bad in [
            String::new(),
            "accounts".to_owned(),
            "accounts/".to_owned(),
            id.to_string(),
            format!("Accounts/{id}"),
            format!("accounts/{}", id.to_string().to_uppercase()),
            format!("accounts/{}", id.simple()),
            format!("accounts/{id}/"),
            format!("transactions/{id}/x"),
            "accounts/\u{0}".to_owned(),
        ] {
            let invalid = Reason::FieldInvalid;
            let name = bad.clone();
            let request = accounts::GetAccountRequest { name };
            refused(accounts.clone().get_account(request).await, invalid, "name");
            let name = bad.clone();
            let request = accounts::GetCustomerRequest { name, ..Default::default() };
            refused(customers.clone().get_customer(request).await, invalid, "name");
            let name = bad.clone();
            let request = records::GetRecordRequest { name, ..Default::default() };
            refused(records.clone().get_record(request).await, invalid, "name");
            let name = bad.clone();
            let request = transactions::GetTransactionRequest { name };
            refused(transactions.clone().get_transaction(request).await, invalid, "name");
            let request = transactions::GetBalanceRequest { account: bad.clone(), as_of: None };
            refused(balances.clone().get_balance(request).await, invalid, "account");
            let request = transfer(&bad, &scene.account, "1.00");
            refused(send(&scene.clients, request).await, invalid, "from");
        }
        scene.is_untouched(&[]).await;
    });
}

#[test]
fn bad_amounts_and_postings() {
    run(async {
        let scene = Scene::new().await;
        let (house, account) = (&scene.house, &scene.account);
        let mut ids = Vec::new();
        for (amount, reason) in [
            ("1.001", Reason::PrecisionExceeded),
            ("1e2", Reason::FieldInvalid),
            ("+1", Reason::FieldInvalid),
            (" 1", Reason::FieldInvalid),
            ("1,00", Reason::FieldInvalid),
            ("NaN", Reason::FieldInvalid),
            ("", Reason::FieldInvalid),
            ("0.00", Reason::FieldInvalid),
            ("-1.00", Reason::FieldInvalid),
            (&"9".repeat(39), Reason::AmountOverflow),
        ] {
            let request = transfer(house, account, amount);
            ids.push(request.request_id.clone());
            refused(send(&scene.clients, request).await, reason, "amount.amount");
        }
        for (currency, reason) in [
            ("XQX", Reason::CurrencyUnknown),
            ("eur", Reason::CurrencyUnknown),
            ("CHF", Reason::CurrencyMismatch),
        ] {
            let mut request = transfer(house, account, "1");
            request.amount.as_mut().unwrap().currency = currency.to_owned();
            ids.push(request.request_id.clone());
            refused(send(&scene.clients, request).await, reason, "amount.currency");
        }
        let entry = |account: &str, direction: transactions::Direction, amount: Money| {
            transactions::Entry {
                account: account.to_owned(),
                direction: direction.into(),
                amount: Some(amount),
                ..transactions::Entry::default()
            }
        };
        let unbalanced = transactions::CreateTransactionRequest {
            transaction: Some(transactions::Transaction {
                r#type: "TEST".to_owned(),
                entries: vec![
                    entry(house, Debit, eur("2.00")),
                    entry(account, Credit, eur("1.00")),
                ],
                ..transactions::Transaction::default()
            }),
            request_id: request_id(),
            ..transactions::CreateTransactionRequest::default()
        };
        ids.push(unbalanced.request_id.clone());
        let answer = scene.clients.transactions.clone().create_transaction(unbalanced).await;
        let (_, _, figures) = refusal(answer.as_ref().unwrap_err());
        assert_eq!((&*figures["debits"], &*figures["credits"]), ("2.00", "1.00"));
        refused(answer, Reason::Unbalanced, "transaction.entries");
        scene.is_untouched(&ids).await;
    });
}

#[test]
fn empty_and_broken_messages() {
    run(async {
        let scene = Scene::new().await;
        let Clients { accounts, customers, records, transactions, .. } = &scene.clients;
        let request = transactions::CreateTransactionRequest::default();
        let answer = transactions.clone().create_transaction(request).await;
        refused(answer, Reason::RequestIdRequired, "request_id");
        let request = accounts::CreateAccountRequest::default();
        let answer = accounts.clone().create_account(request).await;
        refused(answer, Reason::FieldInvalid, "account");
        let request = accounts::CreateCustomerRequest::default();
        let answer = customers.clone().create_customer(request).await;
        refused(answer, Reason::FieldInvalid, "customer");
        let request = records::CreateRecordRequest::default();
        let answer = records.clone().create_record(request).await;
        refused(answer, Reason::FieldInvalid, "record");

        let nothing = scene.raw::<accounts::CreateAccountRequest>(CREATE_ACCOUNT, Vec::new()).await;
        refused(Err::<(), _>(nothing), Reason::FieldInvalid, "");
        // As the message of the method this has a field with the number 0.
        let garbage = accounts::GetAccountRequest { name: "\u{1}\u{2}".to_owned() };
        let garbage = scene.raw(CREATE_ACCOUNT, vec![garbage]).await;
        refused(Err::<(), _>(garbage), Reason::FieldInvalid, "");
        let unknown = "/strongroom.accounts.v1.AccountService/DestroyAccount";
        let unknown = scene.raw(unknown, vec![accounts::GetAccountRequest::default()]).await;
        refused(Err::<(), _>(unknown), Reason::MethodUnknown, "");
        scene.is_untouched(&[]).await;
    });
}

#[test]
fn bad_documents() {
    run(async {
        let scene = Scene::new().await;
        for no_json in [&b"{oops"[..], b"", b"{\"a\":1,}", b"\xff\xfe", b"{} {}"] {
            let answer = scene.record(JSON, no_json.to_vec()).await;
            refused(answer, Reason::FieldInvalid, "record.content");
        }
        let over = vec![b'x'; 1024 * 1024 + 1];
        refused(scene.record("text/plain", over).await, Reason::FieldInvalid, "record.content");
        let five_mib = vec![b'x'; 5 * 1024 * 1024];
        refused(scene.record("text/plain", five_mib).await, Reason::MessageTooLarge, "");
        let answer = scene.record("no media type", b"x".to_vec()).await;
        refused(answer, Reason::FieldInvalid, "record.content_type");
        scene.record(JSON, b"{}".to_vec()).await.unwrap();
    });
}

#[test]
fn page_tokens_and_filters_of_others() {
    run(async {
        let scene = Scene::new().await;
        let list = async |clients: &Clients, token: &str, filter: &str| {
            let request = accounts::ListAccountsRequest {
                page_size: 1,
                page_token: token.to_owned(),
                filter: filter.to_owned(),
            };
            clients.accounts.clone().list_accounts(request).await.map(Response::into_inner)
        };
        let good = list(&scene.clients, "", "").await.unwrap().next_page_token;
        let next = list(&scene.clients, &good, "").await.unwrap();
        assert_eq!(next.accounts[0].name, scene.account);

        let mut damaged = good.clone().into_bytes();
        damaged[3] = if damaged[3] == b'A' { b'B' } else { b'A' };
        let damaged = String::from_utf8(damaged).unwrap();
        for bad in ["x", "====", &damaged, &good[1..], &format!("{good}A")] {
            let answer = list(&scene.clients, bad, "").await;
            refused(answer, Reason::PageTokenInvalid, "page_token");
        }
        let other = list(&scene.clients, &good, "currency = \"EUR\"").await;
        refused(other, Reason::PageTokenInvalid, "page_token");
        let stranger = scene.world.newcomer().await;
        refused(list(&stranger, &good, "").await, Reason::PageTokenInvalid, "page_token");
        for bad in ["currency", "secret = \"x\"", "currency = ", "currency > \"EUR\"", "((("] {
            let answer = list(&scene.clients, "", bad).await;
            refused(answer, Reason::FilterInvalid, "filter");
        }
    });
}

#[test]
fn expired_deadlines() {
    run(async {
        let scene = Scene::new().await;
        // A client without a timer of its own, which would be faster than the server's answer.
        let http = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let origin = format!("http://{}", scene.world.at.transactions).parse().unwrap();
        let client = TransactionServiceClient::with_origin(http, origin);
        let mut ids = Vec::new();
        for timeout in ["0n", "1n", "1u", "100u"] {
            let transfer = transfer(&scene.house, &scene.account, "1.00");
            ids.push(transfer.request_id.clone());
            let mut request = Request::new(transfer);
            let bearer = format!("Bearer {}", scene.token).parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
            request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
            let answer = client.clone().create_transfer(request).await;
            refused(answer, Reason::Deadline, "");
        }
        // A header that is no timeout is as if it were not there.
        let mut request = Request::new(transactions::GetBalanceRequest {
            account: scene.account.clone(),
            as_of: None,
        });
        request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
        request.set_timeout(Duration::from_secs(60));
        scene.clients.balances.clone().get_balance(request).await.unwrap();
        scene.is_untouched(&ids).await;
    });
}

#[test]
fn reused_request_ids() {
    run(async {
        let scene = Scene::new().await;
        let request = transfer(&scene.house, &scene.account, "1.00");
        send(&scene.clients, request.clone()).await.unwrap();
        let mut other = request.clone();
        other.amount = Some(eur("2.00"));
        refused(send(&scene.clients, other).await, Reason::RequestIdReused, "");
        // The same amount in other words is the same request.
        let mut same = request;
        same.amount = Some(eur("1"));
        assert!(crate::wire::is_replay(&send(&scene.clients, same).await.unwrap()));
    });
}
