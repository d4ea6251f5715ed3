//! Lists of ledger accounts.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::AccountClass::{Asset, Liability};

use crate::setup::{Client, Ledger, block};

type Keeps<'a> = Box<dyn Fn(&wire::LedgerAccount) -> bool + 'a>;

const ANNA: &str = "customers/00000000-0000-7000-8000-00000000000a";
const BEN: &str = "customers/00000000-0000-7000-8000-00000000000b";

impl Client {
    async fn list_accounts(
        &mut self,
        page_size: i32,
        page_token: &str,
        filter: &str,
    ) -> Result<wire::ListLedgerAccountsResponse, Status> {
        let (page_token, filter) = (page_token.to_owned(), filter.to_owned());
        let request = wire::ListLedgerAccountsRequest { page_size, page_token, filter };
        self.ledger.list_ledger_accounts(request).await.map(tonic::Response::into_inner)
    }

    /// The accounts of every page, one after the other.
    async fn all_accounts(&mut self, size: i32, filter: &str) -> Vec<wire::LedgerAccount> {
        let (mut accounts, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.list_accounts(size, &token, filter).await.unwrap();
            accounts.extend(page.accounts);
            token = page.next_page_token;
            if token.is_empty() {
                return accounts;
            }
        }
    }

    async fn register(&mut self, account: wire::LedgerAccount, id: &str) -> wire::LedgerAccount {
        let request = wire::RegisterLedgerAccountRequest {
            account: Some(account),
            account_id: id.to_owned(),
            ..Default::default()
        };
        self.ledger.register_ledger_account(request).await.unwrap().into_inner()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_list_is_refused() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    client.funded("1").await;
    let fields = "must compare customer, parent, gl_code, class, currency or state";
    for (filter, position, sentence) in [
        ("class = ASSET AND name = x", 19, fields),
        ("class = ASSETS", 1, "must have a usable class"),
        ("class = ACCOUNT_CLASS_UNSPECIFIED", 1, "must have a usable class"),
        ("state = PENDING", 1, "must have a usable state"),
        ("currency = eur", 1, "must have a usable currency"),
        ("customer = accounts/1", 1, "must compare customer with customers/{uuid}"),
        ("parent = accounts/1", 1, "must compare parent with accounts/{uuid}"),
        ("gl_code < 2", 1, "must compare with ="),
        ("gl_code = 1 AND gl_code = 2", 17, "must have only one gl_code"),
    ] {
        let refused = client.list_accounts(0, "", filter).await.unwrap_err();
        let (reason, field, figures) = refusal(&refused);
        assert_eq!((reason, &*field), (Reason::FilterInvalid, "filter"), "{filter}");
        assert_eq!(figures["position"], position.to_string(), "{filter}: {}", refused.message());
        assert!(refused.message().contains(sentence), "{filter}: {}", refused.message());
    }
    let token = client.list_accounts(1, "", "").await.unwrap().next_page_token;
    let foreign = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(foreign, &["*"]);
    assert!(stranger.all_accounts(0, "").await.is_empty());
    for (answer, reason, field) in [
        (client.list_accounts(-1, "", "").await, Reason::FieldInvalid, "page_size"),
        (
            client.list_accounts(1, &token, "class = ASSET").await,
            Reason::PageTokenInvalid,
            "page_token",
        ),
        (client.list_accounts(1, &token[1..], "").await, Reason::PageTokenInvalid, "page_token"),
        (stranger.list_accounts(1, &token, "").await, Reason::PageTokenInvalid, "page_token"),
    ] {
        let (found, path, _) = refusal(&answer.unwrap_err());
        assert_eq!((found, path.as_str()), (reason, field));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_through_what_they_say() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let mut parent = String::new();
    for n in 0..24 {
        let account = wire::LedgerAccount {
            currency: if n % 4 == 0 { "CHF" } else { "EUR" }.to_owned(),
            class: if n % 4 == 0 { Asset } else { Liability }.into(),
            gl_code: ["", "2010", "2020"][n % 3].to_owned(),
            customer: ["", ANNA, BEN, ANNA][n % 4].to_owned(),
            parent: if n % 4 == 1 { parent.clone() } else { String::new() },
            ..Default::default()
        };
        // The smallest and the largest id are ids as well.
        let id = match n {
            2 => "00000000-0000-0000-0000-000000000000",
            3 => "ffffffff-ffff-ffff-ffff-ffffffffffff",
            _ => "",
        };
        let made = client.register(account, id).await;
        if n == 1 {
            parent.clone_from(&made.name);
        }
        if n % 6 == 5 {
            let name = made.name.clone();
            let request = wire::CloseLedgerAccountRequest { name, ..Default::default() };
            client.ledger.close_ledger_account(request).await.unwrap();
        }
    }
    let all = client.all_accounts(0, "").await;
    assert_eq!(all.len(), 24);
    assert!(all.is_sorted_by(|a, b| a.name < b.name));
    for size in [1, 5, 24, 1_000] {
        assert_eq!(client.all_accounts(size, "").await, all, "pages of {size}");
    }
    let terms: [(String, Keeps<'_>); 10] = [
        (format!("customer = {ANNA}"), Box::new(|one| one.customer == ANNA)),
        ("customer = \"\"".to_owned(), Box::new(|one| one.customer.is_empty())),
        (format!("parent = {parent}"), Box::new(|one| one.parent == parent)),
        ("parent = \"\"".to_owned(), Box::new(|one| one.parent.is_empty())),
        ("gl_code = 2010".to_owned(), Box::new(|one| one.gl_code == "2010")),
        ("gl_code = \"\"".to_owned(), Box::new(|one| one.gl_code.is_empty())),
        ("class = ASSET".to_owned(), Box::new(|one| one.class() == Asset)),
        ("currency = EUR".to_owned(), Box::new(|one| one.currency == "EUR")),
        ("state = STATE_CLOSED".to_owned(), Box::new(|one| one.close_time.is_some())),
        ("state = OPEN".to_owned(), Box::new(|one| one.close_time.is_none())),
    ];
    for (first, keeps) in &terms {
        for (second, also) in &terms {
            let filter = format!("{first} AND {second}");
            let field = |term: &str| term.split_once(' ').map(|(field, _)| field.to_owned());
            let same = field(first) == field(second);
            let filter = if same { first.clone() } else { filter };
            let expected: Vec<_> =
                all.iter().filter(|one| keeps(one) && (same || also(one))).cloned().collect();
            assert_eq!(client.all_accounts(3, &filter).await, expected, "{filter}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_never_larger_than_a_message_may_be() {
    let ledger = Ledger::start_with(&["--max-message-bytes", "65536"]).await;
    let mut client = ledger.client();
    for _ in 0..12 {
        let account = client.account(None).await;
        let mut controls = block(1, wire::block::Effect::Debit);
        controls.blocks = vec![controls.blocks[0].clone(); 64];
        for block in &mut controls.blocks {
            block.reason_code = "X".repeat(64);
        }
        for source in ["accounts", "monitor"] {
            let source = source.to_owned();
            client.control(&account, wire::Controls { source, ..controls.clone() }).await.unwrap();
        }
    }
    let page = client.list_accounts(1_000, "", "").await.unwrap();
    assert!((2..12).contains(&page.accounts.len()));
    assert_eq!(client.all_accounts(1_000, "").await.len(), 12);
}
