//! How what a card has paid comes back: the shop gives it, or it is taken from the shop.

use strongroom_proto::transactions::v1 as wire;
use tonic::{Response, Status};
use wire::Direction::{Credit, Debit};
use wire::link::Type::{ChargebackOf, RefundOf};

use super::{Books, Card, entry};
use crate::demo::money::eur;
use crate::demo::narrator::{DemoError, check};
use crate::demo::story::{given, word};

/// What became of a posting.
type Answer = Result<Response<wire::Transaction>, Status>;

const CREATE: &str = "TransactionService.CreateTransaction";

/// What gives back a part of what was captured.
struct Back<'a> {
    kind: &'static str,
    link: wire::link::Type,
    capture: &'a str,
    amount: &'static str,
    /// Why it is posted whether or not there is money.
    force: Option<&'static str>,
}

impl Card<'_> {
    pub(super) async fn refund(&mut self, books: &Books, capture: &str) -> Result<(), DemoError> {
        self.teller.out.chapter(
            "A refund",
            "Ada brings back goods for 30 euros. The refund names the entry that it gives back, \
             and all of them together never exceed it.",
        )?;
        let back = Back { kind: "REFUND", link: RefundOf, capture, amount: "30.00", force: None };
        let posted = self.back(books, &back).await?;
        let posted = given(CREATE, posted)?;
        self.teller.posted(&posted, &[&books.shop, &books.card])?;
        let back = Back { amount: "70.01", ..back };
        let refused = self.back(books, &back).await?;
        self.refused(refused, "LINK_EXCEEDS_ORIGINAL")
    }

    pub(super) async fn charge_back(
        &mut self,
        books: &Books,
        capture: &str,
    ) -> Result<(), DemoError> {
        self.teller.out.chapter(
            "A chargeback",
            "Ada disputes the rest, and the card scheme takes it back from the shop, which has \
             spent it. It comes whether or not there is money: who posts it says which rule it \
             overrides, and why, and both stay with it.",
        )?;
        let back =
            Back { kind: "CHARGEBACK", link: ChargebackOf, capture, amount: "70.00", force: None };
        let refused = self.back(books, &back).await?;
        self.refused(refused, "INSUFFICIENT_FUNDS")?;
        let forced = Back { force: Some("Dispute lost."), ..back };
        let posted = self.back(books, &forced).await?;
        let posted = given(CREATE, posted)?;
        self.teller.posted(&posted, &[&books.shop, &books.card])?;
        check("whether it is marked", posted.force.is_some().to_string(), "true")?;
        let again = self.back(books, &Back { amount: "0.01", ..forced }).await?;
        self.refused(again, "LINK_EXCEEDS_ORIGINAL")
    }

    /// Moves a part of what was captured from the shop back to the card.
    async fn back(&mut self, books: &Books, back: &Back<'_>) -> Result<Answer, DemoError> {
        let amount = back.amount;
        let entries = [(&books.shop, Debit, amount), (&books.card, Credit, amount)];
        let link = word(back.link.as_str_name(), "TYPE_");
        let mut rows = vec![
            ("type", back.kind.to_owned()),
            ("links[0]", format!("{link} {amount} EUR of {}, entry 0", back.capture)),
        ];
        if let Some(reason) = back.force {
            rows.push(("force", format!("FUNDS: {reason}")));
        }
        self.show_entries(CREATE, rows, &entries)?;
        let link = wire::Link {
            r#type: back.link.into(),
            transaction: back.capture.to_owned(),
            entry_index: 0,
            amount: Some(eur(amount)),
        };
        let force = back.force.map(|reason| wire::Force {
            overrides: vec![wire::Override::Funds.into()],
            reason: reason.to_owned(),
        });
        let transaction = wire::Transaction {
            r#type: back.kind.to_owned(),
            entries: entries.map(|(held, side, amount)| entry(held, side, amount)).to_vec(),
            links: vec![link],
            force,
            ..wire::Transaction::default()
        };
        let request = wire::CreateTransactionRequest {
            transaction: Some(transaction),
            request_id: self.teller.request_id("back"),
            ..wire::CreateTransactionRequest::default()
        };
        Ok(self.teller.clients.transactions.create_transaction(request).await)
    }

    /// A posting that has to be refused.
    fn refused(&mut self, answer: Answer, reason: &str) -> Result<(), DemoError> {
        match answer {
            Ok(_) => check("the posting", "posted", "refused"),
            Err(status) => self.teller.refusal(&status, reason).map(drop),
        }
    }
}
