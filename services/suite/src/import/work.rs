//! The import itself: check, register, open, post.

use std::collections::BTreeMap;
use std::io::Write as _;

use shared::clock::Clock;
use shared::money::{Currency, Units};
use strongroom_proto::outcomes::v1::outcome_service_client::OutcomeServiceClient;
use strongroom_proto::transactions::v1 as wire;
use wire::currency_service_client::CurrencyServiceClient;
use wire::ledger_service_client::LedgerServiceClient;
use wire::statement_service_client::StatementServiceClient;

use super::Arguments;
use super::check::{Check, Checked};
use super::error::ImportError;
use super::fault::Faults;
use super::known::Known;
use super::ledger::{closed_through, currencies};
use super::meter::Meter;
use super::register::Registrar;
use super::request;
use super::resume::Resume;
use super::rules::Rules;
use super::send::Sender;
use super::source::Source;
use crate::client::{Api, Clients};
use crate::error::Error;
use crate::options::Addresses;
use crate::progress::Progress;

/// Rows refused that are shown.
const SHOWN: usize = 20;

/// An import under way.
struct Import<'a> {
    arguments: &'a Arguments,
    rules: Rules,
    known: Known,
    meter: Meter,
    ledger: LedgerServiceClient<Api>,
    outcomes: OutcomeServiceClient<Api>,
    sender: Sender,
}

/// Checks the files, and imports them.
pub(super) async fn import(
    clients: Clients,
    at: Addresses,
    arguments: &Arguments,
    progress: &Progress,
) -> Result<(), Error> {
    let (accounts, transactions) = (&arguments.accounts, &arguments.transactions);
    let accounts = accounts.as_deref().map(Source::of).transpose()?;
    let transactions = transactions.as_deref().map(Source::of).transpose()?;
    let api = clients.api(at.transactions)?;
    let currencies = currencies(CurrencyServiceClient::new(api.clone())).await?;
    let closed = closed_through(StatementServiceClient::new(api.clone())).await?;
    let ledger = LedgerServiceClient::new(api);
    let zone = arguments.time_zone.clone();
    let now = Clock::system().now();
    let priority = if arguments.bulk { wire::Priority::Bulk } else { wire::Priority::Normal };
    let mut import = Import {
        arguments,
        rules: Rules::new(&arguments.source, currencies, zone, now, closed),
        known: Known::new(ledger.clone()),
        meter: Meter::new(progress.clone()),
        ledger,
        outcomes: clients.transactions_outcomes.clone(),
        sender: Sender::new(clients.transactions.clone(), priority),
    };
    let checked = import.check(accounts.as_ref(), transactions.as_ref()).await?;
    if arguments.check {
        return Ok(print(&[
            ("accounts", checked.0.rows.to_string()),
            ("opening balances", checked.0.openings.to_string()),
            ("transactions", checked.1.rows.to_string()),
            ("entries", checked.1.entries.to_string()),
        ])?);
    }
    let mut refused = 0;
    if let Some(source) = accounts {
        refused += import.accounts(&source, &checked.0).await?;
    }
    if let Some(source) = transactions {
        refused += import.transactions(&source, &checked.1).await?;
    }
    progress.clear();
    import.report(&checked.0, &checked.1, refused)?;
    match refused {
        0 => Ok(()),
        count => Err(ImportError::Rows { count }.into()),
    }
}

impl Import<'_> {
    /// Judges both files, before anything is written.
    async fn check(
        &mut self,
        accounts: Option<&Source>,
        transactions: Option<&Source>,
    ) -> Result<(Checked, Checked), ImportError> {
        let mut faults = Faults::default();
        let mut check = Check {
            rules: &self.rules,
            known: &mut self.known,
            faults: &mut faults,
            meter: &mut self.meter,
        };
        let mut checked = (Checked::default(), Checked::default());
        if let Some(source) = accounts {
            checked.0 = check.accounts(source).await?;
        }
        // What accounts there are is not known where their file is bad.
        if let (Some(source), true) = (transactions, check.faults.is_empty()) {
            checked.1 = check.transactions(source).await?;
        }
        match faults.is_empty() {
            true => Ok(checked),
            false => Err(ImportError::Data(faults.to_string())),
        }
    }

    async fn resume(&mut self, source: &Source, checked: &Checked) -> Result<Resume, ImportError> {
        let mut resume = Resume::open(&source.path, &self.arguments.source, &checked.sha256)?;
        let path = source.path.display();
        match (resume.recognise(&mut self.outcomes).await?, resume.done()) {
            (true, 0) => {}
            (true, done) => self.meter.tell(&format!("{path}: {done} were imported before")),
            (false, _) => self.meter.tell(&format!(
                "{path}: this ledger is not the one that it was imported into; beginning anew"
            )),
        }
        Ok(resume)
    }

    /// Registers the accounts, and posts their opening balances. Gives how many were refused.
    async fn accounts(&mut self, source: &Source, checked: &Checked) -> Result<usize, ImportError> {
        let mut resume = self.resume(source, checked).await?;
        // The writes of a file have one order, whenever it is imported.
        let mut behind = resume.done();
        let mut is_done = || {
            let is_done = behind > 0;
            behind = behind.saturating_sub(1);
            is_done
        };
        let mut registrar = Registrar::new(self.ledger.clone());
        for currency in checked.opened.keys() {
            if !is_done() {
                let request = request::register_opening(&self.rules, *currency);
                registrar.push(1, request, &mut resume).await?;
            }
        }
        for depth in 0..=self.known.deepest() {
            let mut rows = source.accounts()?;
            while let Some(row) = rows.next() {
                let row = row.map_err(|_| changed(source))?;
                let account = self.rules.account(&row).map_err(|_| changed(source))?;
                if self.known.depth(account.id) == depth && !is_done() {
                    let request = request::register(&self.rules, &account);
                    registrar.push(row.line, request, &mut resume).await?;
                    let done = resume.done();
                    self.meter.say(|| format!("registering accounts: {done} of {}", checked.rows));
                }
            }
            // Parents are there before their children.
            registrar.finish(&mut resume).await?;
        }
        let mut rows = source.accounts()?;
        while let Some(row) = rows.next() {
            let row = row.map_err(|_| changed(source))?;
            let account = self.rules.account(&row).map_err(|_| changed(source))?;
            let name = &self.arguments.source;
            let Some(request) = request::open(&self.rules, name, &account) else { continue };
            if !is_done() {
                self.sender.push(row.line, row.id, request, &mut resume).await?;
                let done = resume.done().saturating_sub(checked.rows);
                self.meter.say(|| format!("opening balances: {done} of {}", checked.openings));
            }
        }
        self.sender.finish(&mut resume).await?;
        show(source, &resume);
        Ok(resume.refused().len())
    }

    /// Posts the history. Gives how many of it were refused.
    async fn transactions(
        &mut self,
        source: &Source,
        checked: &Checked,
    ) -> Result<usize, ImportError> {
        let mut resume = self.resume(source, checked).await?;
        let behind = resume.done();
        let mut rows = source.transactions()?;
        let mut place = 0;
        while let Some(row) = rows.next() {
            let row = row.map_err(|_| changed(source))?;
            place += 1;
            if place <= behind {
                continue;
            }
            let posting = self.rules.posting(&row).map_err(|_| changed(source))?;
            let request = request::post(&self.rules, &self.arguments.source, posting);
            self.sender.push(row.line, row.id, request, &mut resume).await?;
            let (done, of) = (resume.done(), checked.rows);
            let percent = done * 100 / of.max(1);
            self.meter.say(|| format!("posting: {done} of {of} transactions, {percent} %"));
        }
        self.sender.finish(&mut resume).await?;
        if rows.file().sha256() != checked.sha256 {
            return Err(changed(source));
        }
        show(source, &resume);
        Ok(resume.refused().len())
    }

    fn report(
        &self,
        accounts: &Checked,
        transactions: &Checked,
        refused: usize,
    ) -> Result<(), ImportError> {
        let mut rows = vec![
            ("accounts", accounts.rows.to_string()),
            ("opening balances", accounts.openings.to_string()),
            ("transactions", transactions.rows.to_string()),
            ("entries", transactions.entries.to_string()),
            ("refused", refused.to_string()),
            ("there before", self.sender.replayed.to_string()),
        ];
        for (currency, sum) in left_over(&accounts.opened) {
            let account = request::account_name(request::opening_account(&self.rules, currency));
            rows.push(("does not balance", format!("{sum} {currency} is left on {account}")));
        }
        print(&rows)
    }
}

/// What opening balances leave on the account against which they are posted, by currency.
fn left_over(opened: &BTreeMap<Currency, i128>) -> Vec<(Currency, String)> {
    let unbalanced = opened.iter().filter(|(_, sum)| **sum != 0);
    let shown = unbalanced.map(|(currency, sum)| {
        let units = Units::new(*sum);
        (*currency, units.map_or_else(|| sum.to_string(), |units| units.major(*currency)))
    });
    shown.collect()
}

/// Shows what was refused.
fn show(source: &Source, resume: &Resume) {
    let mut out = anstream::stderr().lock();
    for refused in resume.refused().iter().take(SHOWN) {
        let (path, line) = (source.path.display(), refused.line);
        // Nobody reads it any more: the file of the progress has it too.
        let _ = writeln!(out, "{path}:{line}: {}: {}", refused.id, refused.message);
    }
    if let Some(more) = resume.refused().len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(out, "and {more} more, in {}.progress", source.path.display());
    }
}

fn print(rows: &[(&str, String)]) -> Result<(), ImportError> {
    let mut out = anstream::stdout().lock();
    let mut write = || {
        for (name, value) in rows {
            writeln!(out, "{name:<18}{value}")?;
        }
        out.flush()
    };
    write().map_err(ImportError::file("standard output".as_ref()))
}

/// The file was another one when it was checked.
fn changed(source: &Source) -> ImportError {
    let message = "changed while it was imported".to_owned();
    ImportError::File { path: source.path.clone(), message }
}
