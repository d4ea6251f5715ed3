//! A card: it is topped up, authorises and pays, and what it has paid comes back in two ways.

mod back;

use std::io::Write;

use strongroom_proto::transactions::v1 as wire;
use wire::AccountClass::{Asset, Income, Liability};
use wire::Direction::{Credit, Debit};
use wire::hold_service_client::HoldServiceClient;

use crate::client::{Api, Clients};
use crate::demo::money::eur;
use crate::demo::narrator::{DemoError, Row, check, money};
use crate::demo::story::{given, word};
use crate::demo::teller::{Held, Teller};
use crate::error::Error;
use crate::options::Addresses;

/// Plays the story, and prints each call and its answer. An error where anything is not as told.
pub(super) async fn play(
    clients: Clients,
    at: Addresses,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let holds = HoldServiceClient::new(clients.api(at.transactions)?);
    let mut story = Card { holds, teller: Teller::new(clients, out) };
    let told = async {
        let books = story.open().await?;
        story.top_up(&books).await?;
        let hold = story.authorise(&books).await?;
        let capture = story.capture(&books, hold).await?;
        story.pay_out(&books).await?;
        story.refund(&books, &capture).await?;
        story.charge_back(&books, &capture).await?;
        story.sum_up(&books).await
    };
    Ok(told.await?)
}

/// The story as it is being told.
struct Card<'a> {
    holds: HoldServiceClient<Api>,
    teller: Teller<'a>,
}

/// The accounts of the story.
struct Books {
    settlement: Held,
    fees: Held,
    card: Held,
    shop: Held,
}

impl Card<'_> {
    async fn open(&mut self) -> Result<Books, DemoError> {
        self.teller.out.chapter(
            "A cardholder and a shop",
            "Both have an account, and the house has two: one for the money that comes in and \
             goes out, and one for what it earns.",
        )?;
        let ada = self.teller.customer("Ada Lovelace").await?;
        let grace = self.teller.customer("Grace Hopper").await?;
        let teller = &mut self.teller;
        Ok(Books {
            settlement: teller.account("the settlement", None, "settlement", Asset).await?,
            fees: teller.account("the fees", None, "fees", Income).await?,
            card: teller.account("Ada", Some(&ada), "card", Liability).await?,
            shop: teller.account("the shop", Some(&grace), "merchant", Liability).await?,
        })
    }

    async fn top_up(&mut self, books: &Books) -> Result<(), DemoError> {
        self.teller.out.chapter("A top-up", "200 euros come in for Ada's card.")?;
        self.teller.pay(&books.settlement, &books.card, "200.00", "TOPUP").await?;
        self.teller.balance(&books.card, ["200.00 EUR", "200.00 EUR"]).await
    }

    /// Gives the name of the hold.
    async fn authorise(&mut self, books: &Books) -> Result<String, DemoError> {
        const METHOD: &str = "HoldService.CreateHold";
        self.teller.out.chapter(
            "An authorisation",
            "The shop asks for 120 euros: they stay where they are, and nobody else can have them.",
        )?;
        self.teller.out.call(
            METHOD,
            &[("account", books.card.named()), ("amount", "120.00 EUR".to_owned())],
        )?;
        let hold = wire::Hold {
            account: books.card.account.clone(),
            destination: books.shop.account.clone(),
            amount: Some(eur("120.00")),
            r#type: "CARD".to_owned(),
            ..wire::Hold::default()
        };
        let request_id = self.teller.request_id("hold");
        let request =
            wire::CreateHoldRequest { hold: Some(hold), request_id, ..Default::default() };
        let hold = given(METHOD, self.holds.create_hold(request).await)?;
        self.show(&hold, ["OPEN", "120.00 EUR"])?;
        self.teller.balance(&books.card, ["200.00 EUR", "80.00 EUR"]).await?;
        self.teller
            .refused_payment(&books.card, &books.shop, "80.01", "INSUFFICIENT_FUNDS")
            .await?;
        Ok(hold.name)
    }

    /// Gives the name of what was posted.
    async fn capture(&mut self, books: &Books, hold: String) -> Result<String, DemoError> {
        const METHOD: &str = "HoldService.CaptureHold";
        const GET: &str = "HoldService.GetHold";
        self.teller.out.chapter(
            "A part is captured",
            "The shop delivers for 100 euros. What it gets and what the house keeps of it is one \
             posting, and the 20 euros that are not captured are free again.",
        )?;
        let entries = [
            (&books.card, Debit, "100.00"),
            (&books.shop, Credit, "98.50"),
            (&books.fees, Credit, "1.50"),
        ];
        self.show_entries(METHOD, vec![("name", hold.clone())], &entries)?;
        let request = wire::CaptureHoldRequest {
            name: hold,
            entries: entries.map(|(held, side, amount)| entry(held, side, amount)).to_vec(),
            request_id: self.teller.request_id("capture"),
            ..wire::CaptureHoldRequest::default()
        };
        let captured = given(METHOD, self.holds.capture_hold(request).await)?;
        let posted = captured.transaction.unwrap_or_default();
        self.teller.posted(&posted, &[&books.card, &books.shop, &books.fees])?;
        let name = captured.hold.map(|hold| hold.name).unwrap_or_default();
        self.teller.out.call(GET, &[("name", name.clone())])?;
        let hold = given(GET, self.holds.get_hold(wire::GetHoldRequest { name }).await)?;
        self.show(&hold, ["CAPTURED", "0.00 EUR"])?;
        self.teller.balance(&books.card, ["100.00 EUR", "100.00 EUR"]).await?;
        Ok(posted.name)
    }

    async fn pay_out(&mut self, books: &Books) -> Result<(), DemoError> {
        self.teller.out.chapter("The shop is paid", "60 euros go to its bank.")?;
        self.teller.pay(&books.shop, &books.settlement, "60.00", "PAYOUT").await
    }

    async fn sum_up(&mut self, books: &Books) -> Result<(), DemoError> {
        self.teller.out.chapter(
            "The books",
            "What the house has is what it owes and has earned: 140 = 200 - 61.50 + 1.50.",
        )?;
        let Books { settlement, fees, card, shop } = books;
        self.teller.balance(settlement, ["140.00 EUR", "any"]).await?;
        self.teller.balance(fees, ["1.50 EUR", "any"]).await?;
        self.teller.balance(card, ["200.00 EUR", "200.00 EUR"]).await?;
        self.teller.balance(shop, ["-61.50 EUR", "-61.50 EUR"]).await
    }

    /// A call that posts entries of its own.
    fn show_entries(
        &mut self,
        method: &str,
        first: Vec<Row<'_>>,
        entries: &[(&Held, wire::Direction, &str)],
    ) -> Result<(), DemoError> {
        let spelled = entries.iter().enumerate().map(|(index, (held, side, amount))| {
            let side = word(side.as_str_name(), "DIRECTION_");
            (format!("entries[{index}]"), format!("{side:<6} {amount:>7} EUR  {}", held.named()))
        });
        let spelled: Vec<(String, String)> = spelled.collect();
        let mut rows = first;
        rows.extend(spelled.iter().map(|(name, value)| (name.as_str(), value.clone())));
        Ok(self.teller.out.call(method, &rows)?)
    }

    /// A hold, which has to be in this state and keep back this much.
    fn show(&mut self, hold: &wire::Hold, expected: [&str; 2]) -> Result<(), DemoError> {
        let state = word(hold.state().as_str_name(), "STATE_");
        let remaining = money(hold.remaining.as_ref());
        let [is_in, keeps] = expected;
        self.teller.out.answer(&[
            ("name", hold.name.clone()),
            ("state", state.clone()),
            ("remaining", remaining.clone()),
        ])?;
        check("the hold", state, is_in)?;
        check("what the hold keeps back", remaining, keeps)
    }
}

fn entry(held: &Held, direction: wire::Direction, amount: &str) -> wire::Entry {
    wire::Entry {
        account: held.account.clone(),
        direction: direction.into(),
        amount: Some(eur(amount)),
        ..wire::Entry::default()
    }
}
