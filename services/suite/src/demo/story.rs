//! The story: two customers, their accounts, money that comes in and moves, money that does not
//! move, a request that is repeated, and a document that is sealed.

use std::io::Write;

use strongroom_proto::accounts::v1 as accounts;
use strongroom_proto::records::v1 as records;
use strongroom_proto::transactions::v1 as transactions;
use tonic::{Response, Status};
use uuid::Uuid;

use super::narrator::{DemoError, Narrator, check};
use crate::client::Clients;
use crate::refusal::Refusal;

/// The document, as it is sealed.
const DOCUMENT: &str = r#"{"document":"passport","number":"X4203917","country":"GB"}"#;
/// What must not be in a masked answer.
const SECRET: &str = "X4203917";

/// What the story leaves behind.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// `customers/{uuid}`, twice.
    pub customers: [String; 2],
    /// `accounts/{uuid}` of the house, of the first customer, of the second.
    pub accounts: [String; 3],
    /// `transactions/{uuid}` of the deposit and of the transfer.
    pub transactions: [String; 2],
    /// `records/{uuid}`.
    pub record: String,
}

/// Plays the story, and prints each call and its answer. An error where anything is not as told.
pub async fn play(clients: &Clients, out: &mut dyn Write) -> Result<Told, DemoError> {
    // The stories that were told before on the same suite had other request ids.
    let run = Uuid::now_v7().simple().to_string().split_off(24);
    let mut story = Story { clients: clients.clone(), run, out: Narrator::new(out) };
    let mut told = Told::default();
    story.open_customers(&mut told).await?;
    story.open_accounts(&mut told).await?;
    story.deposit(&mut told).await?;
    let transfer = story.transfer(&mut told).await?;
    story.overdraw(&told).await?;
    story.repeat(&told, transfer).await?;
    story.seal(&mut told).await?;
    story.balance(&told).await?;
    Ok(told)
}

/// The story as it is being told.
pub(super) struct Story<'a> {
    pub(super) clients: Clients,
    /// Makes the request ids of this run its own.
    run: String,
    pub(super) out: Narrator<'a>,
}

impl Story<'_> {
    async fn open_customers(&mut self, told: &mut Told) -> Result<(), DemoError> {
        self.out.chapter(
            "Two customers",
            "Who they are is sealed in records under a key of their own; accounts keeps their ids.",
        )?;
        let people = [("Ada Lovelace", "1815-12-10"), ("Grace Hopper", "1906-12-09")];
        for (index, (name, born)) in people.into_iter().enumerate() {
            const METHOD: &str = "CustomerService.CreateCustomer";
            let request_id = self.request_id(&format!("customer-{index}"));
            self.out.call(
                METHOD,
                &[
                    ("kind", "PERSON".to_owned()),
                    ("profile.full_name", name.to_owned()),
                    ("profile.birth_date", born.to_owned()),
                    ("request_id", request_id.clone()),
                ],
            )?;
            let profile = accounts::Profile {
                full_name: name.to_owned(),
                birth_date: born.to_owned(),
                ..accounts::Profile::default()
            };
            let customer = accounts::Customer {
                kind: accounts::customer::Kind::Person.into(),
                profile: Some(profile),
                ..accounts::Customer::default()
            };
            let request = accounts::CreateCustomerRequest {
                customer: Some(customer),
                request_id,
                ..accounts::CreateCustomerRequest::default()
            };
            let customer = given(METHOD, self.clients.customers.create_customer(request).await)?;
            let state = word(customer.state().as_str_name(), "STATE_");
            self.out.answer(&[("name", customer.name.clone()), ("state", state.clone())])?;
            check("the customer's state", state, "ACTIVE")?;
            told.customers[index] = customer.name;
        }
        Ok(())
    }

    async fn open_accounts(&mut self, told: &mut Told) -> Result<(), DemoError> {
        self.out.chapter(
            "Their accounts, and one of the house",
            "Money that comes in has to come from somewhere: from an account of the house.",
        )?;
        let [ada, grace] = told.customers.clone();
        let house = (String::new(), "settlement", transactions::AccountClass::Asset);
        let current = |customer| (customer, "current", transactions::AccountClass::Liability);
        let wanted = [house, current(ada), current(grace)];
        for (index, (customer, product, class)) in wanted.into_iter().enumerate() {
            const METHOD: &str = "AccountService.CreateAccount";
            let request_id = self.request_id(&format!("account-{index}"));
            self.out.call(
                METHOD,
                &[
                    (
                        "customer",
                        if index == 0 { "none: the house".into() } else { customer.clone() },
                    ),
                    ("product", product.to_owned()),
                    ("class", word(class.as_str_name(), "ACCOUNT_CLASS_")),
                    ("currency", "EUR".to_owned()),
                    ("request_id", request_id.clone()),
                ],
            )?;
            let account = accounts::Account {
                customer,
                product: product.to_owned(),
                currency: "EUR".to_owned(),
                class: class.into(),
                ..accounts::Account::default()
            };
            let request = accounts::CreateAccountRequest {
                account: Some(account),
                request_id,
                ..accounts::CreateAccountRequest::default()
            };
            let account = given(METHOD, self.clients.accounts.create_account(request).await)?;
            let state = word(account.state().as_str_name(), "STATE_");
            self.out.answer(&[("name", account.name.clone()), ("state", state.clone())])?;
            check("the account's state", state, "OPEN")?;
            told.accounts[index] = account.name;
        }
        Ok(())
    }

    async fn seal(&mut self, told: &mut Told) -> Result<(), DemoError> {
        const METHOD: &str = "RecordService.CreateRecord";
        self.out.chapter(
            "A sealed document",
            "Encrypted under Ada's key. Each read that shows content is logged before it answers.",
        )?;
        let subject = told.customers[0].replace("customers/", "subjects/");
        let request_id = self.request_id("record");
        self.out.call(
            METHOD,
            &[
                ("subject", subject.clone()),
                ("type", "kyc-file".to_owned()),
                ("content_type", "application/json".to_owned()),
                ("content", DOCUMENT.to_owned()),
                ("request_id", request_id.clone()),
            ],
        )?;
        let record = records::Record {
            subject,
            r#type: "kyc-file".to_owned(),
            content_type: "application/json".to_owned(),
            content: DOCUMENT.into(),
            ..records::Record::default()
        };
        let request = records::CreateRecordRequest {
            record: Some(record),
            request_id,
            ..records::CreateRecordRequest::default()
        };
        let record = given(METHOD, self.clients.records.create_record(request).await)?;
        let size = format!("{} bytes", record.size_bytes);
        self.out.answer(&[("name", record.name.clone()), ("size", size)])?;
        told.record = record.name;

        let basic = self.read(told, records::RecordView::Basic, "").await?;
        check("the content of BASIC", basic, "")?;
        let masked = self.read(told, records::RecordView::Masked, "KYC").await?;
        check("whether MASKED shows the number", masked.contains(SECRET).to_string(), "false")?;
        check("whether MASKED shows the fields", masked.contains("number").to_string(), "true")?;
        let full = self.read(told, records::RecordView::Full, "KYC").await?;
        check("the content of FULL", full, DOCUMENT)
    }

    async fn read(
        &mut self,
        told: &Told,
        view: records::RecordView,
        purpose: &str,
    ) -> Result<String, DemoError> {
        const METHOD: &str = "RecordService.GetRecord";
        let (name, purpose) = (told.record.clone(), purpose.to_owned());
        let mut rows = vec![("name", name.clone())];
        rows.push(("view", word(view.as_str_name(), "RECORD_VIEW_")));
        if !purpose.is_empty() {
            rows.push(("purpose", purpose.clone()));
        }
        self.out.call(METHOD, &rows)?;
        let request = records::GetRecordRequest { name, view: view.into(), purpose, version: 0 };
        let record = given(METHOD, self.clients.records.get_record(request).await)?;
        let content = String::from_utf8_lossy(&record.content).into_owned();
        let shown = if content.is_empty() { "none".to_owned() } else { content.clone() };
        self.out.answer(&[("content", shown)])?;
        Ok(content)
    }

    pub(super) fn request_id(&self, what: &str) -> String {
        format!("demo-{}-{what}", self.run)
    }
}

/// The answer that the story needs to go on.
pub(super) fn given<T>(
    method: &'static str,
    answer: Result<Response<T>, Status>,
) -> Result<T, DemoError> {
    answer
        .map(Response::into_inner)
        .map_err(|status| DemoError::Refused { method, message: Refusal::from(&status).line() })
}

/// The name of an enum's value without the prefix.
pub(super) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}
