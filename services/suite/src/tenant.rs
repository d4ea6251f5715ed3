//! The tenant "default", which every service has from its first start on.

use std::time::Duration;

use shared::clock::Clock;
use shared::ids::TenantId;
use shared::principal::{Grants, Principal};
use shared::token::WorkloadSigner;
use strongroom_proto::tenants::v1::tenant_service_client::TenantServiceClient;
use strongroom_proto::tenants::v1::{CreateTenantRequest, Tenant};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request};
use uuid::Uuid;

use crate::client::{Bearer, channel};
use crate::error::Error;
use crate::keys::Keys;
use crate::options::{Addresses, Options};
use crate::progress::Progress;

/// The id of the tenant "default".
pub const DEFAULT_TENANT: TenantId =
    TenantId::from_uuid(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001));

/// One attempt, and the pause before the next.
const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// Creates the tenant in every service. The answers also tell that the services are ready.
pub(crate) async fn create_default(
    options: &Options,
    keys: &Keys,
    at: Addresses,
    progress: &Progress,
) -> Result<(), Error> {
    progress.say("starting the services");
    let bearer = bearer(options, keys)?;
    let create = |service, address| create(service, address, &bearer, progress);
    tokio::try_join!(
        create("accounts", at.accounts),
        create("records", at.records),
        create("transactions", at.transactions),
    )?;
    Ok(())
}

/// The suite's own token, which may create tenants and nothing else.
fn bearer(options: &Options, keys: &Keys) -> Result<MetadataValue<Ascii>, Error> {
    let (key, audience) = (keys.workload("suite"), &options.issuer.token_audience);
    let principal = Principal {
        subject: "suite".to_owned(),
        workload: None,
        tenant: None,
        customer: None,
        grants: Grants::default(),
    };
    let token = WorkloadSigner::load("suite", &key, audience, Clock::system())
        .and_then(|signer| signer.speak_for(&principal, None))
        .map_err(|error| Error::Token(error.to_string()))?;
    Bearer::value(&token)
}

/// Asks until the service has a database to answer from. What the network lost is asked again as
/// well: if the service has ended, its own error says why.
async fn create(
    service: &'static str,
    address: std::net::SocketAddr,
    bearer: &MetadataValue<Ascii>,
    progress: &Progress,
) -> Result<(), Error> {
    let refused = |message: String| Error::Tenant { service, message };
    let mut client = TenantServiceClient::new(channel(address)?);
    loop {
        let tenant = Tenant { display_name: "default".to_owned(), ..Tenant::default() };
        let mut request = Request::new(CreateTenantRequest {
            tenant: Some(tenant),
            tenant_id: DEFAULT_TENANT.uuid().to_string(),
            ..CreateTenantRequest::default()
        });
        request.set_timeout(TIMEOUT);
        request.metadata_mut().insert("authorization", bearer.clone());
        let Err(status) = client.create_tenant(request).await else { return Ok(()) };
        match status.code() {
            // It has got another name meanwhile.
            Code::AlreadyExists => return Ok(()),
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
                progress.say(&format!("waiting for {service}: {}", status.message()));
                tokio::time::sleep(PAUSE).await;
            }
            _ => return Err(refused(status.message().to_owned())),
        }
    }
}
