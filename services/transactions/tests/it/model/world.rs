//! A ledger with accounts, and the reference of each caller.

use shared::ids::TenantId;
use shared::testing::{Bearer, MockClock};
use shared::time::Timestamp;
use shared::token::Claims;
use strongroom_proto::transactions::v1 as wire;
use tonic::service::interceptor::InterceptedService;
use wire::AccountClass::{Asset, Equity, Expense, Income, Liability};
use wire::currency_service_client::CurrencyServiceClient;
use wire::overdraft::Bound;

use super::account::Account;
use super::generate::Generator;
use super::money::{CURRENCIES, money};
use super::reference::Reference;
use super::rng::Rng;
use super::time::{HOUR, SECOND};
use crate::setup::{Client, Ledger};
use crate::two::PATIENT;

/// A Friday before a month ends and summer time begins, 2026-03-27T09:13:00Z, in microseconds.
const BEGIN: i64 = 1_774_602_780 * SECOND;
/// Accounts of one caller.
const OWN: usize = 18;

pub(super) struct World {
    pub(super) ledger: Ledger,
    pub(super) clock: MockClock,
    pub(super) now: i64,
    pub(super) sites: Vec<Site>,
}

/// A tenant.
pub(super) struct Site {
    pub(super) tenant: TenantId,
    /// The accounts without a bound.
    pub(super) houses: Vec<wire::LedgerAccount>,
}

/// One caller, and what has to become of what it asks for.
pub(super) struct Caller {
    pub(super) generator: Generator,
    pub(super) reference: Reference,
    /// Its accounts, without the houses.
    pub(super) own: Vec<String>,
}

impl World {
    /// A ledger with so many tenants.
    pub(super) async fn start(tenants: usize, arguments: &[&str]) -> Self {
        let clock = MockClock::at(Timestamp::from_micros(BEGIN));
        let ledger = Ledger::start_at(clock.clock(), &[arguments, &PATIENT].concat()).await;
        let mut sites = Vec::new();
        for index in 0..tenants {
            let tenant = match index {
                0 => ledger.tenant,
                _ => tokio::task::block_in_place(|| ledger.database.tenant()),
            };
            for (code, decimals) in [("TOKEN", 8), ("POINTS", 0)] {
                register_currency(&ledger, tenant, code, decimals).await;
            }
            let mut client = ledger.client_of(tenant, &["*"]);
            let mut houses = Vec::new();
            for (currency, class) in CURRENCIES.into_iter().zip([Liability, Asset, Equity]) {
                let bound = Some(Bound::Unbounded(true));
                houses.push(register(&mut client, currency, class, bound, "").await);
            }
            sites.push(Site { tenant, houses });
        }
        Self { ledger, clock, now: BEGIN, sites }
    }

    /// A caller with accounts of its own.
    pub(super) async fn caller(
        &self,
        site: &Site,
        seed: u64,
        prefix: &str,
        is_alone: bool,
    ) -> Caller {
        let mut rng = Rng::new(seed);
        let mut client = self.ledger.client_of(site.tenant, &["*"]);
        let mut reference = Reference::default();
        reference.set_now(self.now);
        let customers: Vec<String> = (0..3).map(|_| format!("customers/{}", rng.uuid())).collect();
        let mut own = Vec::new();
        for index in 0..OWN {
            let currency = CURRENCIES[index % 3];
            let class = match rng.below(8) {
                0..4 => Liability,
                4 => Asset,
                5 => Equity,
                6 => Income,
                _ => Expense,
            };
            let bound = match rng.below(5) {
                0..3 => None,
                3 => Some(Bound::Limit(money(i128::from(rng.between(0, 400)), currency))),
                _ => Some(Bound::Unbounded(index % 2 == 0)),
            };
            let customer = if rng.percent(70) { rng.pick(&customers).as_str() } else { "" };
            own.push(register(&mut client, currency, class, bound, customer).await);
        }
        let mut giants = Vec::new();
        for _ in 0..if is_alone { 2 } else { 0 } {
            let bound = Some(Bound::Unbounded(true));
            giants.push(register(&mut client, "POINTS", Liability, bound, "").await);
        }
        for account in own.iter().chain(&site.houses).chain(&giants) {
            reference.accounts.put(&account.name, Account::registered(account.clone()));
        }
        reference.keep();
        let names = |accounts: &[wire::LedgerAccount]| {
            accounts.iter().map(|account| account.name.clone()).collect::<Vec<_>>()
        };
        let (own, houses, giants) = (names(&own), names(&site.houses), names(&giants));
        let generator = Generator::new(rng, prefix, own.clone(), houses, giants, is_alone);
        Caller { generator, reference, own }
    }

    /// Lets some time pass: mostly some minutes, at times days.
    pub(super) fn pass(&mut self, rng: &mut Rng) {
        let micros = match rng.below(10) {
            0..6 => rng.between(1, HOUR / 2),
            6..9 => rng.between(1, 9 * HOUR),
            _ => rng.between(1, 60 * HOUR),
        };
        self.pass_by(micros);
    }

    pub(super) fn pass_by(&mut self, micros: i64) {
        self.now += micros;
        self.clock.advance(std::time::Duration::from_micros(u64::try_from(micros).unwrap()));
    }
}

async fn register_currency(ledger: &Ledger, tenant: TenantId, code: &str, decimals: i32) {
    let claims = Claims { exp: 4_000_000_000, ..ledger.issuer.claims(tenant, &["*"]) };
    let bearer = Bearer::new(&format!("Bearer {}", ledger.issuer.sign(&claims)));
    let api = InterceptedService::new(ledger.server.channel(), bearer);
    let currency = wire::Currency { code: code.to_owned(), decimals, ..wire::Currency::default() };
    let request = wire::RegisterCurrencyRequest { currency: Some(currency), ..Default::default() };
    CurrencyServiceClient::new(api).register_currency(request).await.unwrap();
}

async fn register(
    client: &mut Client,
    currency: &str,
    class: wire::AccountClass,
    bound: Option<Bound>,
    customer: &str,
) -> wire::LedgerAccount {
    let account = wire::LedgerAccount {
        currency: currency.to_owned(),
        class: class.into(),
        overdraft: bound.map(|bound| wire::Overdraft { bound: Some(bound) }),
        customer: customer.to_owned(),
        ..Default::default()
    };
    let request =
        wire::RegisterLedgerAccountRequest { account: Some(account), ..Default::default() };
    client.ledger.register_ledger_account(request).await.unwrap().into_inner()
}
