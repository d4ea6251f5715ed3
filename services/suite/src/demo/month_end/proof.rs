//! What is left of the month: a statement, a trial balance, and the proof of it.

use std::time::Duration;

use strongroom_proto::transactions::v1 as wire;
use wire::get_trial_balance_request::AsOf;
use wire::render_statement_request::Format;

use super::{Accounts, MonthEnd};
use crate::demo::narrator::{DemoError, check, money};
use crate::demo::story::{given, word};
use crate::export::hex;
use crate::verify::{Report, Trust, verify};

/// How often, and after which pauses, a checkpoint is asked for that covers the statement.
const ATTEMPTS: u32 = 300;
const PAUSE: Duration = Duration::from_millis(100);

impl MonthEnd<'_> {
    pub(super) async fn statement(&mut self, accounts: &Accounts) -> Result<String, DemoError> {
        const METHOD: &str = "StatementService.CreateStatement";
        self.out.chapter(
            "A statement",
            "An immutable snapshot: opening + credits - debits = closing, and a hash over it.",
        )?;
        let (start, end) = (self.month.first.to_string(), self.month.last.to_string());
        let account = format!("{}  (Ada)", accounts.ada);
        self.out.call(
            METHOD,
            &[("account", account), ("start_date", start.clone()), ("end_date", end.clone())],
        )?;
        let request = wire::CreateStatementRequest {
            account: accounts.ada.clone(),
            start_date: start,
            end_date: end,
            request_id: self.request_id("statement"),
            validate_only: false,
        };
        let statement = given(METHOD, self.statements.create_statement(request).await)?;
        let closing = money(statement.closing.as_ref());
        self.out.answer(&[
            ("name", statement.name.clone()),
            ("opening", money(statement.opening.as_ref())),
            ("credits", money(statement.credits.as_ref())),
            ("debits", money(statement.debits.as_ref())),
            ("closing", closing.clone()),
            ("final", statement.r#final.to_string()),
            ("hash", hex(&statement.hash)),
        ])?;
        check("the closing balance", closing, "747.50 EUR")?;
        check("whether the statement is final", statement.r#final.to_string(), "true")?;

        self.out.call(
            "StatementService.RenderStatement",
            &[("name", statement.name.clone()), ("format", "CSV".to_owned())],
        )?;
        let csv = self.render(&statement.name, Format::Csv).await?;
        self.out.document(&csv)?;
        check("the lines of the CSV", csv.lines().count().to_string(), "4")?;
        Ok(statement.name)
    }

    /// A document of a statement, whole.
    async fn render(&mut self, name: &str, format: Format) -> Result<String, DemoError> {
        const METHOD: &str = "StatementService.RenderStatement";
        let request = wire::RenderStatementRequest { name: name.to_owned(), format: format.into() };
        let mut pieces = given(METHOD, self.statements.render_statement(request).await)?;
        let mut document = Vec::new();
        loop {
            match pieces.message().await {
                Ok(Some(piece)) => document.extend(piece.data),
                Ok(None) => return Ok(String::from_utf8_lossy(&document).into_owned()),
                Err(status) => return given(METHOD, Err::<tonic::Response<String>, _>(status)),
            }
        }
    }

    pub(super) async fn trial_balance(&mut self) -> Result<(), DemoError> {
        const METHOD: &str = "BalanceService.GetTrialBalance";
        self.out.chapter(
            "The trial balance",
            "All accounts by class and general ledger code. Debits equal credits.",
        )?;
        let last = self.month.last.to_string();
        self.out.call(METHOD, &[("booking_date", last.clone())])?;
        let request = wire::GetTrialBalanceRequest {
            as_of: Some(AsOf::BookingDate(last)),
            ..wire::GetTrialBalanceRequest::default()
        };
        let balance = given(METHOD, self.clients.balances.get_trial_balance(request).await)?;
        let row = |[class, code, debits, credits, balance]: [&str; 5]| {
            format!("{class:<11}{code:<8}{debits:>14}{credits:>14}{balance:>14}\n")
        };
        let mut table = row(["class", "gl_code", "debits", "credits", "balance"]);
        let plain = |amount: &Option<strongroom_proto::common::v1::Money>| {
            amount.as_ref().map(|money| money.amount.clone()).unwrap_or_default()
        };
        for line in &balance.lines {
            let class = word(line.class().as_str_name(), "ACCOUNT_CLASS_");
            let (debits, credits) = (plain(&line.debits), plain(&line.credits));
            table += &row([&class, &line.gl_code, &debits, &credits, &plain(&line.balance)]);
        }
        for total in &balance.totals {
            let (debits, credits) = (plain(&total.debits), plain(&total.credits));
            table += &row([&total.currency, "", &debits, &credits, ""]);
            check("the sum of the credits", credits, debits)?;
        }
        self.out.document(&table)?;
        check("the lines of the trial balance", balance.lines.len().to_string(), "3")
    }

    pub(super) async fn prove(&mut self, statement: &str, trust: &Trust) -> Result<(), DemoError> {
        self.out.chapter(
            "The proof",
            "Whoever has the key of the log verifies the statement without the house: its hash, \
             its sums, its texts, and that it stands in a log whose checkpoint was signed.",
        )?;
        self.out.call(
            "StatementService.RenderStatement",
            &[("name", statement.to_owned()), ("format", "PROOF".to_owned())],
        )?;
        let proof = self.proof(statement).await?;
        self.out.answer(&[("lines", proof.lines().count().to_string())])?;
        self.out.text("strongroom verify statement.ndjson --key log.vkey")?;
        let report = judge(&proof, trust)?;
        self.report(&report)?;
        check("whether the statement holds", report.holds().to_string(), "true")?;

        self.out.text("One byte is changed: the 250.00 of the rent become 950.00.")?;
        let report = judge(&proof.replacen("\"250.00\"", "\"950.00\"", 1), trust)?;
        self.report(&report)?;
        check("whether the changed statement holds", report.holds().to_string(), "false")
    }

    /// The statement with its proof, once a signed checkpoint covers it.
    async fn proof(&mut self, statement: &str) -> Result<String, DemoError> {
        for _ in 0..ATTEMPTS {
            let proof = self.render(statement, Format::Proof).await?;
            if proof.lines().next().is_some_and(|head| head.contains("\"checkpoint\":")) {
                return Ok(proof);
            }
            tokio::time::sleep(PAUSE).await;
        }
        check("the checkpoint of the statement", "none", "one that is signed")?;
        Ok(String::new())
    }

    fn report(&mut self, report: &Report) -> Result<(), DemoError> {
        let mut text = Vec::new();
        report.print(&"statement.ndjson", &mut text)?;
        Ok(self.out.text(&String::from_utf8_lossy(&text))?)
    }
}

fn judge(file: &str, trust: &Trust) -> Result<Report, DemoError> {
    Ok(verify(file.as_bytes(), trust)?)
}
