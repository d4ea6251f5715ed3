//! Judges the files as a whole, before anything is written.

use std::collections::{BTreeMap, HashSet};

use shared::money::Currency;
use strongroom_proto::transactions::v1::AccountClass;
use uuid::Uuid;

use super::error::ImportError;
use super::fault::{Fault, Faults};
use super::known::Known;
use super::meter::Meter;
use super::row::TransactionRow;
use super::rules::{Posting, Rules, in_entry};
use super::source::{Metered, Source};

/// A file that breaks no rule.
#[derive(Debug, Clone, Default)]
pub(super) struct Checked {
    pub(super) sha256: String,
    pub(super) rows: u64,
    pub(super) entries: u64,
    /// Accounts that have an opening balance.
    pub(super) openings: u64,
    /// Debits less credits of the opening balances, by currency. All is zero where the old ledger
    /// balanced.
    pub(super) opened: BTreeMap<Currency, i128>,
}

/// Judges rows.
pub(super) struct Check<'a> {
    pub(super) rules: &'a Rules,
    pub(super) known: &'a mut Known,
    pub(super) faults: &'a mut Faults,
    pub(super) meter: &'a mut Meter,
}

impl Check<'_> {
    /// Judges a file of accounts.
    pub(super) async fn accounts(&mut self, source: &Source) -> Result<Checked, ImportError> {
        let size = source.size()?;
        let mut rows = source.accounts()?;
        let mut checked = Checked::default();
        while let Some(row) = rows.next() {
            let judged = row.and_then(|row| {
                let account = self.rules.account(&row)?;
                self.known.add(row.line, &account)?;
                Ok(account)
            });
            match judged {
                Ok(account) => {
                    if let Some((units, _)) = account.opening {
                        let normal = if is_debit_normal(account.class) { 1 } else { -1 };
                        let sum = checked.opened.entry(account.currency).or_default();
                        *sum = sum.saturating_add(normal * units.get());
                        checked.openings += 1;
                    }
                }
                Err(fault) => self.faults.add(&source.path, fault),
            }
            checked.rows += 1;
            self.tell(source, rows.file(), size, checked.rows).await;
            if self.faults.are_enough() {
                return Ok(checked);
            }
        }
        checked.sha256 = rows.file().sha256();
        for fault in self.known.check_parents(self.rules).await? {
            if !self.faults.are_enough() {
                self.faults.add(&source.path, fault);
            }
        }
        Ok(checked)
    }

    /// Judges a file of transactions.
    pub(super) async fn transactions(&mut self, source: &Source) -> Result<Checked, ImportError> {
        let size = source.size()?;
        let mut rows = source.transactions()?;
        let mut checked = Checked::default();
        let mut taken = Taken::default();
        while let Some(row) = rows.next() {
            let judged = match row {
                Ok(row) => self.transaction(&row, &mut taken).await?,
                Err(fault) => Err(fault),
            };
            match judged {
                Ok(entries) => checked.entries += entries,
                Err(fault) => self.faults.add(&source.path, fault),
            }
            checked.rows += 1;
            self.tell(source, rows.file(), size, checked.rows).await;
            if self.faults.are_enough() {
                return Ok(checked);
            }
        }
        checked.sha256 = rows.file().sha256();
        Ok(checked)
    }

    /// Judges a transaction, and gives how many entries it has.
    async fn transaction(
        &mut self,
        row: &TransactionRow,
        taken: &mut Taken,
    ) -> Result<Result<u64, Fault>, ImportError> {
        let posting = match self.rules.posting(row) {
            Ok(posting) => posting,
            Err(fault) => return Ok(Err(fault)),
        };
        if let Err(fault) = taken.take(row.line, &posting) {
            return Ok(Err(fault));
        }
        for (index, entry) in posting.entries.iter().enumerate() {
            let sentence = match self.known.find(entry.account, self.rules).await? {
                None => "must be an account of the files or of the ledger".to_owned(),
                Some(facts) if facts.is_closed => "is closed".to_owned(),
                Some(facts) if facts.currency != entry.amount.currency => {
                    format!("is in {}, and the amount is not", facts.currency)
                }
                Some(_) => continue,
            };
            let problem = shared::field::invalid(sentence).in_field("account");
            return Ok(Err(in_entry(row, index, problem)));
        }
        Ok(Ok(posting.entries.len() as u64))
    }

    async fn tell(&mut self, source: &Source, file: &Metered, size: u64, rows: u64) {
        if rows.is_multiple_of(256) {
            // Whoever wants it to end is heard.
            tokio::task::yield_now().await;
        }
        self.meter.say(|| {
            let percent = file.read * 100 / size.max(1);
            format!("checking {}: {rows} rows, {percent} %", source.path.display())
        });
    }
}

/// What must be there once, hashed: a file has many.
#[derive(Default)]
struct Taken {
    ids: HashSet<Uuid>,
    external_ids: HashSet<Uuid>,
}

impl Taken {
    fn take(&mut self, line: u64, posting: &Posting) -> Result<(), Fault> {
        let hash = |text: &str| Uuid::new_v5(&Uuid::nil(), text.as_bytes());
        if !self.ids.insert(hash(&posting.key)) {
            return Err(Fault::new(
                line,
                "id",
                "is there twice, or its rows do not stand together",
            ));
        }
        for (kind, value) in &posting.external_ids {
            if !self.external_ids.insert(hash(&format!("{kind}/{value}"))) {
                return Err(Fault::new(line, &format!("external_id.{kind}"), "is there twice"));
            }
        }
        Ok(())
    }
}

/// Whether debits better an account.
pub(super) fn is_debit_normal(class: AccountClass) -> bool {
    matches!(class, AccountClass::Asset | AccountClass::Expense)
}
