//! What is measured: tenants with accounts.

use shared::task::blocking;
use strongroom_proto::common::v1::Money;
use strongroom_proto::tenants::v1 as tenants;
use strongroom_proto::transactions::v1 as wire;
use tenants::tenant_service_client::TenantServiceClient;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use uuid::Uuid;
use wire::ledger_service_client::LedgerServiceClient;

use super::child::Service;
use super::error::BenchError;
use super::fill::Filled;
use super::load::{Book, CURRENCY, account_id};
use super::options::Size;
use super::place::Place;
use super::sql::Admin;
use crate::client::channel;

/// How far an account may be overdrawn, in major units: the bound is checked and never reached.
const OVERDRAFT: &str = "1000000000";

/// The tenants with accounts.
pub(super) struct Books {
    /// The one of the floor "same rows".
    pub(super) floor: Uuid,
    /// The one that has all accounts, and its books.
    pub(super) one: (Uuid, Vec<Book>),
    /// The one that holds are made for, with as many accounts.
    pub(super) holds: (Uuid, Vec<Book>),
    /// Those that share them, where there are several.
    pub(super) many: Vec<Book>,
}

/// Which books are needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    pub(super) size: Size,
    /// How many tenants share the accounts, if any do.
    pub(super) tenants: usize,
    pub(super) floors: bool,
    pub(super) holds: bool,
}

impl Books {
    /// Opens books, for one tenant and for others. The service writes one tenant and one account;
    /// all others are copies of these.
    pub(super) async fn open(place: &Place, needs: Needs) -> Result<Self, BenchError> {
        let accounts = needs.size.accounts;
        let [one, floor, holds] = [0, 1, 2].map(tenant);
        let many: Vec<Uuid> = (0..needs.tenants).map(|index| tenant(index + 3)).collect();
        let service = Service::start(&place.variables()).await?;
        register(&service, place, one).await?;
        service.stop().await?;
        let share = (accounts / needs.tenants.max(1) as u64).max(2);
        let (url, others) = (place.admin_url(), many.clone());
        let copied = blocking(move || {
            let mut admin = Admin::connect(&url)?;
            admin.copy_tenant(one, &[floor, holds])?;
            admin.copy_tenant(one, &others)?;
            admin.copy_account(one, &others, share)?;
            if needs.holds {
                admin.copy_account(one, &[holds], accounts)?;
            }
            if needs.floors {
                admin.copy_account(one, &[floor], accounts)?;
                admin.make_floors(accounts)?;
            }
            admin.copy_account(one, &[one], accounts)?;
            admin.vacuum_accounts()
        });
        copied.await.map_err(|panic| BenchError::Service(panic.to_string()))??;
        let filled = Filled::now(needs.size.fill);
        let book = |tenant, accounts, filled| {
            Ok::<_, BenchError>(Book { token: place.token(tenant)?, accounts, filled })
        };
        let small = |tenant| book(tenant, share, Filled::default());
        Ok(Self {
            floor,
            one: (one, vec![book(one, accounts, filled)?]),
            holds: (holds, vec![book(holds, accounts, Filled::default())?]),
            many: many.into_iter().map(small).collect::<Result<_, _>>()?,
        })
    }
}

/// The id of a tenant by its number.
fn tenant(number: usize) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_1000 + number as u128)
}

/// Has a service write a tenant.
pub(super) async fn create_tenant(
    service: &Service,
    place: &Place,
    tenant: Uuid,
) -> Result<(), BenchError> {
    let failed = |what: &str| BenchError::Service(what.to_owned());
    let channel = channel(service.address).map_err(|error| failed(&error.to_string()))?;
    let mut request = Request::new(tenants::CreateTenantRequest {
        tenant: Some(tenants::Tenant { display_name: "bench".to_owned(), ..Default::default() }),
        tenant_id: tenant.to_string(),
        ..Default::default()
    });
    request.metadata_mut().insert("authorization", bearer(place, tenant)?);
    let created = TenantServiceClient::new(channel).create_tenant(request).await;
    created.map(drop).map_err(|status| failed(status.message()))
}

fn bearer(place: &Place, tenant: Uuid) -> Result<MetadataValue<Ascii>, BenchError> {
    let bearer = format!("Bearer {}", place.token(tenant)?).parse();
    bearer.map_err(|_| BenchError::Service("a token is not ASCII".to_owned()))
}

/// Has the ledger write a tenant, and the first of its accounts.
async fn register(service: &Service, place: &Place, tenant: Uuid) -> Result<(), BenchError> {
    create_tenant(service, place, tenant).await?;
    let failed = |what: &str| BenchError::Service(what.to_owned());
    let channel = channel(service.address).map_err(|error| failed(&error.to_string()))?;
    let limit = Money { currency: CURRENCY.to_owned(), amount: OVERDRAFT.to_owned() };
    let account = wire::LedgerAccount {
        currency: CURRENCY.to_owned(),
        class: wire::AccountClass::Liability.into(),
        overdraft: Some(wire::Overdraft { bound: Some(wire::overdraft::Bound::Limit(limit)) }),
        ..Default::default()
    };
    let mut request = Request::new(wire::RegisterLedgerAccountRequest {
        account: Some(account),
        account_id: account_id(1),
        ..Default::default()
    });
    request.metadata_mut().insert("authorization", bearer(place, tenant)?);
    let registered = LedgerServiceClient::new(channel).register_ledger_account(request).await;
    registered.map_err(|status| failed(status.message()))?;
    Ok(())
}
