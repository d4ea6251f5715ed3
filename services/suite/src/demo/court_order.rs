//! A court order: an account is frozen in part while everybody tries to empty it, a second
//! authority freezes it altogether, and each of them lets go of its own alone.

use std::io::Write;

use futures_util::future::join_all;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::transactions::v1::AccountClass::{Asset, Liability};
use wire::freeze::Direction;

use super::money::eur;
use super::narrator::{DemoError, Row, check, money};
use super::story::{given, word};
use super::teller::{Held, TRANSFER, Teller};
use crate::client::Clients;
use crate::error::Error;
use crate::refusal::Refusal;

/// Who pays at the same time, until nothing is left.
const PAYERS: usize = 8;

/// Plays the story, and prints each call and its answer. An error where anything is not as told.
pub(super) async fn play(clients: Clients, out: &mut dyn Write) -> Result<(), Error> {
    let mut story = CourtOrder { teller: Teller::new(clients, out) };
    let told = async {
        let books = story.open().await?;
        let court = story.freeze_an_amount(&books).await?;
        story.race(&books).await?;
        let unit = story.freeze_all(&books).await?;
        story.lift_one(&books, &court).await?;
        story.lift_the_other(&books, &unit).await?;
        story.look_back(&books).await
    };
    Ok(told.await?)
}

/// The story as it is being told.
struct CourtOrder<'a> {
    teller: Teller<'a>,
}

/// The accounts of the story.
struct Books {
    settlement: Held,
    ada: Held,
    grace: Held,
}

/// What an authority orders.
struct Order {
    authority: &'static str,
    reason_code: &'static str,
    case_reference: &'static str,
    direction: Direction,
    amount: Option<&'static str>,
}

impl CourtOrder<'_> {
    async fn open(&mut self) -> Result<Books, DemoError> {
        self.teller
            .out
            .chapter("A customer with money", "Ada has 500 euros, and pays Grace now and then.")?;
        let ada = self.teller.customer("Ada Lovelace").await?;
        let grace = self.teller.customer("Grace Hopper").await?;
        let teller = &mut self.teller;
        let settlement = teller.account("the house", None, "settlement", Asset).await?;
        let ada = teller.account("Ada", Some(&ada), "current", Liability).await?;
        let grace = teller.account("Grace", Some(&grace), "current", Liability).await?;
        teller.pay(&settlement, &ada, "500.00", "DEPOSIT").await?;
        Ok(Books { settlement, ada, grace })
    }

    /// Gives the name of the freeze.
    async fn freeze_an_amount(&mut self, books: &Books) -> Result<String, DemoError> {
        self.teller.out.chapter(
            "A court freezes 300 euros",
            "OK means that the ledger has it: no later posting takes the account below them.",
        )?;
        let order = Order {
            authority: "court-of-zurich",
            reason_code: "COURT_ORDER",
            case_reference: "HG 2026/117",
            direction: Direction::Debit,
            amount: Some("300.00"),
        };
        let freeze = self.freeze(&books.ada, &order).await?;
        self.teller.balance(&books.ada, ["500.00 EUR", "200.00 EUR"]).await?;
        self.effect(&books.ada, ["true", "true", "FROZEN"]).await?;
        Ok(freeze)
    }

    /// Everybody pays at once, until they are refused.
    async fn race(&mut self, books: &Books) -> Result<(), DemoError> {
        let about = format!(
            "{PAYERS} payers send 5 euros each, again and again, until they are refused: 40 \
             payments pass, and what is frozen is there to the cent."
        );
        self.teller.out.chapter("Payments race", &about)?;
        let rows: [Row<'_>; 3] = [
            ("from", books.ada.named()),
            ("to", books.grace.named()),
            ("amount", format!("5.00 EUR, by {PAYERS} at once")),
        ];
        self.teller.out.call(TRANSFER, &rows)?;
        let payers: Vec<_> = (0..PAYERS)
            .map(|_| {
                let request = self.teller.payment(&books.ada, &books.grace, "5.00", "PAYMENT");
                let mut transactions = self.teller.clients.transactions.clone();
                async move {
                    for paid in 0.. {
                        let mut payment = request.clone();
                        payment.request_id = format!("{}-{paid}", request.request_id);
                        if let Err(status) = transactions.create_transfer(payment).await {
                            return (paid, Refusal::from(&status).reason);
                        }
                    }
                    (0, String::new())
                }
            })
            .collect();
        let ended: Vec<(u32, String)> = join_all(payers).await;
        let passed: u32 = ended.iter().map(|(paid, _)| paid).sum();
        let refused = ended.iter().filter(|(_, reason)| reason == "INSUFFICIENT_FUNDS").count();
        let rows = [("passed", passed.to_string()), ("refused", refused.to_string())];
        self.teller.out.answer(&rows)?;
        check("the payments that passed", passed.to_string(), "40")?;
        check("the payers that were refused", refused.to_string(), PAYERS.to_string())?;
        self.teller.balance(&books.ada, ["300.00 EUR", "0.00 EUR"]).await
    }

    /// Gives the name of the freeze.
    async fn freeze_all(&mut self, books: &Books) -> Result<String, DemoError> {
        self.teller.out.chapter(
            "A second authority freezes everything",
            "Now nothing comes in either. Freezes are a set, and their effect is the union.",
        )?;
        let order = Order {
            authority: "financial-intelligence-unit",
            reason_code: "MONEY_LAUNDERING",
            case_reference: "FIU 88-4",
            direction: Direction::All,
            amount: None,
        };
        let freeze = self.freeze(&books.ada, &order).await?;
        self.effect(&books.ada, ["false", "false", "FROZEN"]).await?;
        let Books { settlement, ada, .. } = books;
        self.blocked(settlement, ada).await?;
        Ok(freeze)
    }

    async fn lift_one(&mut self, books: &Books, freeze: &str) -> Result<(), DemoError> {
        self.teller.out.chapter(
            "The court lets go",
            "It lifts its own order and nobody else's: still nothing passes.",
        )?;
        self.lift(freeze).await?;
        self.effect(&books.ada, ["false", "false", "FROZEN"]).await?;
        self.blocked(&books.ada, &books.grace).await
    }

    async fn lift_the_other(&mut self, books: &Books, freeze: &str) -> Result<(), DemoError> {
        self.teller.out.chapter("The release", "With the last order gone, Ada pays again.")?;
        self.lift(freeze).await?;
        self.effect(&books.ada, ["true", "true", ""]).await?;
        self.teller.pay(&books.ada, &books.grace, "100.00", "PAYMENT").await?;
        self.teller.balance(&books.ada, ["200.00 EUR", "200.00 EUR"]).await?;
        self.teller.balance(&books.grace, ["300.00 EUR", "300.00 EUR"]).await
    }

    async fn look_back(&mut self, books: &Books) -> Result<(), DemoError> {
        const METHOD: &str = "AccountService.ListFreezes";
        self.teller.out.chapter("What was ordered", "All of it stays on record.")?;
        let parent = books.ada.account.clone();
        let rows = [("parent", books.ada.named()), ("show_ended", "true".to_owned())];
        self.teller.out.call(METHOD, &rows)?;
        let request = wire::ListFreezesRequest { parent, show_ended: true, ..Default::default() };
        let listed = given(METHOD, self.teller.clients.accounts.list_freezes(request).await)?;
        let row = |[authority, amount, state, who]: [&str; 4]| {
            format!("{authority:<30}{amount:<13}{state:<10}{who}\n")
        };
        let mut table = row(["authority", "amount", "state", "lifter"]);
        for freeze in &listed.freezes {
            let state = word(freeze.state().as_str_name(), "STATE_");
            let amount = freeze.amount.as_ref().map_or("all".to_owned(), |all| money(Some(all)));
            table += &row([&freeze.authority, &amount, &state, &freeze.lifter]);
            check("the state of the freeze", state, "LIFTED")?;
        }
        self.teller.out.document(&table)?;
        check("the freezes", listed.freezes.len().to_string(), "2")
    }

    /// Gives the name of the freeze.
    async fn freeze(&mut self, held: &Held, order: &Order) -> Result<String, DemoError> {
        const METHOD: &str = "AccountService.FreezeAccount";
        let direction = word(order.direction.as_str_name(), "DIRECTION_");
        let mut rows = vec![("parent", held.named()), ("direction", direction)];
        rows.extend(order.amount.map(|amount| ("amount", format!("{amount} EUR"))));
        rows.push(("authority", order.authority.to_owned()));
        rows.push(("reason_code", order.reason_code.to_owned()));
        rows.push(("case_reference", order.case_reference.to_owned()));
        self.teller.out.call(METHOD, &rows)?;
        let freeze = wire::Freeze {
            direction: order.direction.into(),
            amount: order.amount.map(eur),
            reason_code: order.reason_code.to_owned(),
            authority: order.authority.to_owned(),
            case_reference: order.case_reference.to_owned(),
            ..wire::Freeze::default()
        };
        let request = wire::FreezeAccountRequest {
            parent: held.account.clone(),
            freeze: Some(freeze),
            request_id: self.teller.request_id("freeze"),
            ..wire::FreezeAccountRequest::default()
        };
        let frozen = self.teller.clients.accounts.freeze_account(request).await;
        self.ordered(&given(METHOD, frozen)?, "ACTIVE")
    }

    async fn lift(&mut self, freeze: &str) -> Result<(), DemoError> {
        const METHOD: &str = "AccountService.UnfreezeAccount";
        self.teller.out.call(METHOD, &[("name", freeze.to_owned())])?;
        let request = wire::UnfreezeAccountRequest {
            name: freeze.to_owned(),
            request_id: self.teller.request_id("lift"),
            ..wire::UnfreezeAccountRequest::default()
        };
        let lifted = self.teller.clients.accounts.unfreeze_account(request).await;
        self.ordered(&given(METHOD, lifted)?, "LIFTED").map(drop)
    }

    fn ordered(&mut self, freeze: &wire::Freeze, expected: &str) -> Result<String, DemoError> {
        let state = word(freeze.state().as_str_name(), "STATE_");
        self.teller.out.answer(&[("name", freeze.name.clone()), ("state", state.clone())])?;
        check("the freeze", state, expected)?;
        Ok(freeze.name.clone())
    }

    /// What may move on an account, as far as accounts knows: debits, credits, and why not.
    async fn effect(&mut self, held: &Held, expected: [&str; 3]) -> Result<(), DemoError> {
        const METHOD: &str = "AccountService.GetAccount";
        self.teller.out.call(METHOD, &[("name", held.named())])?;
        let request = wire::GetAccountRequest { name: held.account.clone() };
        let account = given(METHOD, self.teller.clients.accounts.get_account(request).await)?;
        let effect = account.effect.unwrap_or_default();
        let found =
            [effect.debits.to_string(), effect.credits.to_string(), effect.reasons.join(", ")];
        let [debits, credits, reasons] = found.clone();
        self.teller.out.answer(&[
            ("effect.debits", debits),
            ("effect.credits", credits),
            ("effect.reasons", reasons),
        ])?;
        check("the effect", found.join(" "), expected.join(" "))
    }

    /// A payment that the second authority's order stops.
    async fn blocked(&mut self, from: &Held, to: &Held) -> Result<(), DemoError> {
        let refused = self.teller.refused_payment(from, to, "1.00", "ACCOUNT_BLOCKED").await?;
        check("who stops it", refused.figure("source"), "accounts")
    }
}
