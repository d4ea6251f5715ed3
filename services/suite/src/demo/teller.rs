//! What stories about customers and their accounts have in common.

use std::io::Write;

use strongroom_proto::accounts::v1 as accounts;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as transactions;
use tonic::Status;
use uuid::Uuid;

use super::money::eur;
use super::narrator::{DemoError, Narrator, Row, check, money};
use super::story::{given, word};
use crate::client::Clients;
use crate::refusal::Refusal;

pub(super) const TRANSFER: &str = "TransactionService.CreateTransfer";

/// An account of a story, and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) account: String,
    pub(super) whose: &'static str,
}

impl Held {
    /// `accounts/{uuid}  (Ada)`.
    pub(super) fn named(&self) -> String {
        format!("{}  ({})", self.account, self.whose)
    }
}

/// Tells a story.
pub(super) struct Teller<'a> {
    pub(super) clients: Clients,
    /// Makes the request ids of this run its own.
    run: String,
    /// How many requests there were.
    requests: u32,
    pub(super) out: Narrator<'a>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(clients: Clients, out: &'a mut dyn Write) -> Self {
        let run = Uuid::now_v7().simple().to_string().split_off(24);
        Self { clients, run, requests: 0, out: Narrator::new(out) }
    }

    pub(super) fn request_id(&mut self, what: &str) -> String {
        self.requests += 1;
        format!("{what}-{}-{}", self.run, self.requests)
    }

    /// Gives the name of a new person.
    pub(super) async fn customer(&mut self, full_name: &str) -> Result<String, DemoError> {
        const METHOD: &str = "CustomerService.CreateCustomer";
        self.out.call(METHOD, &[("profile.full_name", full_name.to_owned())])?;
        let profile =
            accounts::Profile { full_name: full_name.to_owned(), ..accounts::Profile::default() };
        let customer = accounts::Customer {
            kind: accounts::customer::Kind::Person.into(),
            profile: Some(profile),
            ..accounts::Customer::default()
        };
        let request = accounts::CreateCustomerRequest {
            customer: Some(customer),
            request_id: self.request_id("customer"),
            ..accounts::CreateCustomerRequest::default()
        };
        let customer = given(METHOD, self.clients.customers.create_customer(request).await)?;
        let state = word(customer.state().as_str_name(), "STATE_");
        self.out.answer(&[("name", customer.name.clone()), ("state", state.clone())])?;
        check("the customer's state", state, "ACTIVE")?;
        Ok(customer.name)
    }

    /// Opens an account in EUR: of a customer, or of the house, which has no bound.
    pub(super) async fn account(
        &mut self,
        whose: &'static str,
        customer: Option<&str>,
        product: &str,
        class: transactions::AccountClass,
    ) -> Result<Held, DemoError> {
        const METHOD: &str = "AccountService.CreateAccount";
        self.out.call(
            METHOD,
            &[
                ("customer", customer.unwrap_or("none: the house").to_owned()),
                ("product", product.to_owned()),
                ("class", word(class.as_str_name(), "ACCOUNT_CLASS_")),
            ],
        )?;
        let unbounded = transactions::overdraft::Bound::Unbounded(true);
        let unbounded = transactions::Overdraft { bound: Some(unbounded) };
        let account = accounts::Account {
            customer: customer.unwrap_or_default().to_owned(),
            product: product.to_owned(),
            currency: "EUR".to_owned(),
            class: class.into(),
            overdraft: customer.is_none().then_some(unbounded),
            ..accounts::Account::default()
        };
        let request = accounts::CreateAccountRequest {
            account: Some(account),
            request_id: self.request_id("account"),
            ..accounts::CreateAccountRequest::default()
        };
        let account = given(METHOD, self.clients.accounts.create_account(request).await)?;
        let state = word(account.state().as_str_name(), "STATE_");
        self.out.answer(&[("name", account.name.clone()), ("state", state.clone())])?;
        check("the account's state", state, "OPEN")?;
        Ok(Held { account: account.name, whose })
    }

    /// A payment, as it is sent.
    pub(super) fn payment(
        &mut self,
        from: &Held,
        to: &Held,
        amount: &str,
        kind: &str,
    ) -> transactions::CreateTransferRequest {
        transactions::CreateTransferRequest {
            from: from.account.clone(),
            to: to.account.clone(),
            amount: Some(eur(amount)),
            r#type: kind.to_owned(),
            request_id: self.request_id("payment"),
            ..transactions::CreateTransferRequest::default()
        }
    }

    fn show_payment(
        &mut self,
        from: &Held,
        to: &Held,
        amount: &str,
        kind: &str,
    ) -> Result<(), DemoError> {
        let rows: [Row<'_>; 4] = [
            ("type", kind.to_owned()),
            ("from", from.named()),
            ("to", to.named()),
            ("amount", format!("{amount} EUR")),
        ];
        Ok(self.out.call(TRANSFER, &rows)?)
    }

    /// A payment that passes.
    pub(super) async fn pay(
        &mut self,
        from: &Held,
        to: &Held,
        amount: &str,
        kind: &str,
    ) -> Result<(), DemoError> {
        self.show_payment(from, to, amount, kind)?;
        let request = self.payment(from, to, amount, kind);
        let posted = given(TRANSFER, self.clients.transactions.create_transfer(request).await)?;
        self.posted(&posted, &[from, to])
    }

    /// A payment that does not.
    pub(super) async fn refused_payment(
        &mut self,
        from: &Held,
        to: &Held,
        amount: &str,
        reason: &str,
    ) -> Result<Refusal, DemoError> {
        self.show_payment(from, to, amount, "PAYMENT")?;
        let request = self.payment(from, to, amount, "PAYMENT");
        match self.clients.transactions.create_transfer(request).await {
            Ok(posted) => {
                let (what, name) = ("the payment".to_owned(), posted.into_inner().name);
                Err(DemoError::NotAsTold { what, expected: "refused".to_owned(), found: name })
            }
            Err(status) => self.refusal(&status, reason),
        }
    }

    /// A refusal, which has to have this reason.
    pub(super) fn refusal(&mut self, status: &Status, reason: &str) -> Result<Refusal, DemoError> {
        let refusal = Refusal::from(status);
        self.out.refusal(&refusal)?;
        check("the reason", &refusal.reason, reason)?;
        Ok(refusal)
    }

    /// What was posted, and what its entries left on these accounts.
    pub(super) fn posted(
        &mut self,
        posted: &transactions::Transaction,
        of: &[&Held],
    ) -> Result<(), DemoError> {
        let mut rows = vec![("name".to_owned(), posted.name.clone())];
        for (entry, held) in posted.entries.iter().zip(of) {
            let left = entry.balance.as_ref().and_then(|balance| balance.posted.as_ref());
            rows.push((format!("{} has", held.whose), money(left)));
        }
        let rows: Vec<Row<'_>> =
            rows.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        Ok(self.out.answer(&rows)?)
    }

    /// What an account has, as it should be: posted and available.
    pub(super) async fn balance(
        &mut self,
        held: &Held,
        expected: [&str; 2],
    ) -> Result<(), DemoError> {
        const METHOD: &str = "BalanceService.GetBalance";
        self.out.call(METHOD, &[("account", held.named())])?;
        let request =
            transactions::GetBalanceRequest { account: held.account.clone(), as_of: None };
        let balance = given(METHOD, self.clients.balances.get_balance(request).await)?;
        let shown = |amount: &Option<Money>| money(amount.as_ref());
        let (posted, available) = (shown(&balance.posted), shown(&balance.available));
        let mut rows = vec![("posted", posted.clone())];
        let apart = [("held", &balance.held), ("blocked", &balance.blocked)];
        rows.extend(apart.map(|(name, amount)| (name, shown(amount))));
        rows.push(("available", if available.is_empty() { "any".to_owned() } else { available }));
        let [has, may] = expected;
        check(&format!("what {} has", held.whose), posted, has)?;
        check(&format!("what {} can spend", held.whose), rows[3].1.clone(), may)?;
        Ok(self.out.answer(&rows)?)
    }
}
