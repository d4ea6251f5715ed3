//! The chapters of the story in which money moves, or does not.

use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as transactions;
use tonic::Code;
use transactions::Direction::{Credit, Debit};

use super::narrator::{DemoError, check, money};
use super::story::{Story, Told, given};
use crate::refusal::{Refusal, code_name};

/// Whose the accounts are.
const WHOSE: [&str; 3] = ["the house", "Ada", "Grace"];

impl Story<'_> {
    pub(super) async fn deposit(&mut self, told: &mut Told) -> Result<(), DemoError> {
        const METHOD: &str = "TransactionService.CreateTransaction";
        self.out.chapter(
            "A deposit",
            "250 euros come in for Ada. What is debited is what is credited, or nothing is posted.",
        )?;
        let [house, ada, _] = told.accounts.clone();
        let request_id = self.request_id("deposit");
        self.out.call(
            METHOD,
            &[
                ("type", "DEPOSIT".to_owned()),
                ("entries[0]", format!("DEBIT   250.00 EUR  {}", named(told, 0))),
                ("entries[1]", format!("CREDIT  250.00 EUR  {}", named(told, 1))),
                ("request_id", request_id.clone()),
            ],
        )?;
        let entry = |account, direction: transactions::Direction| transactions::Entry {
            account,
            direction: direction.into(),
            amount: Some(eur("250.00")),
            ..transactions::Entry::default()
        };
        let transaction = transactions::Transaction {
            r#type: "DEPOSIT".to_owned(),
            entries: vec![entry(house, Debit), entry(ada, Credit)],
            ..transactions::Transaction::default()
        };
        let request = transactions::CreateTransactionRequest {
            transaction: Some(transaction),
            request_id,
            ..transactions::CreateTransactionRequest::default()
        };
        let posted = given(METHOD, self.clients.transactions.create_transaction(request).await)?;
        self.posted(&posted, ["250.00 EUR", "250.00 EUR"])?;
        told.transactions[0] = posted.name;
        Ok(())
    }

    /// Gives the request, to be repeated.
    pub(super) async fn transfer(
        &mut self,
        told: &mut Told,
    ) -> Result<transactions::CreateTransferRequest, DemoError> {
        const METHOD: &str = "TransactionService.CreateTransfer";
        self.out.chapter("A transfer", "Ada pays Grace 40 euros.")?;
        let request = self.payment(told, [1, 2], "40.00", "transfer")?;
        let answer = self.clients.transactions.create_transfer(request.clone()).await;
        let posted = given(METHOD, answer)?;
        self.posted(&posted, ["210.00 EUR", "40.00 EUR"])?;
        told.transactions[1] = posted.name;
        Ok(request)
    }

    pub(super) async fn overdraw(&mut self, told: &Told) -> Result<(), DemoError> {
        self.out.chapter(
            "A refused overdraft",
            "Grace cannot pay 100 euros from 40. The refusal has the figures that explain it.",
        )?;
        let request = self.payment(told, [2, 1], "100.00", "overdraft")?;
        let refused = match self.clients.transactions.create_transfer(request).await {
            Ok(posted) => {
                return check("the overdraft", posted.into_inner().name, "refused");
            }
            Err(status) => Refusal::from(&status),
        };
        self.out.refusal(&refused)?;
        check("the code", code_name(refused.code), code_name(Code::FailedPrecondition))?;
        check("the reason", &refused.reason, "INSUFFICIENT_FUNDS")?;
        check("what is available", refused.figure("available"), "40.00")?;
        check("what is lacking", refused.figure("shortfall"), "60.00")
    }

    pub(super) async fn repeat(
        &mut self,
        told: &Told,
        request: transactions::CreateTransferRequest,
    ) -> Result<(), DemoError> {
        const METHOD: &str = "TransactionService.CreateTransfer";
        self.out.chapter(
            "The transfer again",
            "The same request with the same id gives the same answer, and moves nothing.",
        )?;
        self.out.call(METHOD, &[("request_id", request.request_id.clone())])?;
        let answer = self.clients.transactions.create_transfer(request).await;
        let metadata = answer.as_ref().ok().map(|answer| answer.metadata().clone());
        let replayed = metadata.as_ref().and_then(|all| all.get("strongroom-replayed"));
        let replayed = replayed.and_then(|value| value.to_str().ok()).unwrap_or("no").to_owned();
        let posted = given(METHOD, answer)?;
        self.out
            .answer(&[("name", posted.name.clone()), ("strongroom-replayed", replayed.clone())])?;
        check("the mark of a repeat", replayed, "true")?;
        check("the repeated transaction", posted.name, &told.transactions[1])
    }

    pub(super) async fn balance(&mut self, told: &Told) -> Result<(), DemoError> {
        const METHOD: &str = "BalanceService.GetBalance";
        self.out.chapter("The books", "What the house has is what it owes: 250 = 210 + 40.")?;
        let expected = ["250.00 EUR", "210.00 EUR", "40.00 EUR"];
        for (index, expected) in expected.into_iter().enumerate() {
            self.out.call(METHOD, &[("account", named(told, index))])?;
            let account = told.accounts[index].clone();
            let request = transactions::GetBalanceRequest { account, as_of: None };
            let balance = given(METHOD, self.clients.balances.get_balance(request).await)?;
            let posted = money(balance.posted.as_ref());
            self.out.answer(&[
                ("posted", posted.clone()),
                ("available", money(balance.available.as_ref())),
            ])?;
            check("the balance", posted, expected)?;
        }
        Ok(())
    }

    /// A transfer between two of the accounts, as it is printed and sent.
    fn payment(
        &mut self,
        told: &Told,
        [from, to]: [usize; 2],
        amount: &str,
        id: &str,
    ) -> Result<transactions::CreateTransferRequest, DemoError> {
        let request = transactions::CreateTransferRequest {
            from: told.accounts[from].clone(),
            to: told.accounts[to].clone(),
            amount: Some(eur(amount)),
            request_id: self.request_id(id),
            ..transactions::CreateTransferRequest::default()
        };
        self.out.call(
            "TransactionService.CreateTransfer",
            &[
                ("from", named(told, from)),
                ("to", named(told, to)),
                ("amount", money(request.amount.as_ref())),
                ("request_id", request.request_id.clone()),
            ],
        )?;
        Ok(request)
    }

    /// A posted transaction of two entries, and what they left on their accounts.
    fn posted(
        &mut self,
        posted: &transactions::Transaction,
        expected: [&str; 2],
    ) -> Result<(), DemoError> {
        let left = |entry: &transactions::Entry| {
            money(entry.balance.as_ref().and_then(|balance| balance.posted.as_ref()))
        };
        let left: Vec<String> = posted.entries.iter().map(left).collect();
        let after = |index: usize| left.get(index).cloned().unwrap_or_default();
        self.out.answer(&[
            ("name", posted.name.clone()),
            ("entries[0].balance.posted", after(0)),
            ("entries[1].balance.posted", after(1)),
        ])?;
        check("the first account", after(0), expected[0])?;
        check("the second account", after(1), expected[1])
    }
}

pub(super) fn eur(amount: &str) -> Money {
    Money { currency: "EUR".to_owned(), amount: amount.to_owned() }
}

/// An account's name, and whose it is.
fn named(told: &Told, index: usize) -> String {
    format!("{}  ({})", told.accounts[index], WHOSE[index])
}
