//! Who is believed.

use diesel::connection::SimpleConnection as _;
use shared::ids::TenantId;
use shared::problem::Reason;
use shared::testing::{Issuer, Running, TestDatabase, refusal};
use shared::token::{Claims, Signer, generate};
use strongroom_proto::transactions::v1 as wire;
use tonic::{Request, Status};
use wire::balance_service_client::BalanceServiceClient;

use crate::setup::{database, server};

const PERMISSION: &str = "transactions.balances.get";

struct Gate {
    database: TestDatabase,
    server: Running,
    issuer: Issuer,
    tenant: TenantId,
}

async fn gate() -> Gate {
    let database = database().await;
    let tenant = tokio::task::block_in_place(|| database.tenant());
    let issuer = Issuer::new(&[("accounts", &[PERMISSION]), ("records", &[])]);
    let workloads = issuer.workload_jwks().to_string_lossy().into_owned();
    let arguments = [&issuer.arguments()[..], &["--workload-jwks", &workloads]].concat();
    let server = server(&database, &arguments).await;
    Gate { database, server, issuer, tenant }
}

impl Gate {
    async fn knock(&self, token: &str, tenant: Option<&str>) -> Result<(), Status> {
        let mut client = BalanceServiceClient::new(self.server.channel());
        let mut request = Request::new(wire::GetBalanceRequest::default());
        let bearer = format!("Bearer {token}");
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        if let Some(tenant) = tenant {
            request.metadata_mut().insert("strongroom-tenant", tenant.parse().unwrap());
        }
        client.get_balance(request).await.map(|_| ())
    }

    async fn refused(&self, token: &str) -> Reason {
        refusal(&self.knock(token, None).await.unwrap_err()).0
    }

    fn claims(&self) -> Claims {
        self.issuer.claims(self.tenant, &[PERMISSION])
    }

    fn spoiled(&self, spoil: impl Fn(&mut Claims)) -> String {
        let mut claims = self.claims();
        spoil(&mut claims);
        self.issuer.sign(&claims)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_issuer_signed_for_us_and_now_is_believed() {
    let gate = gate().await;
    gate.knock(&gate.issuer.sign(&gate.claims()), None).await.unwrap();
    assert_eq!(gate.refused("").await, Reason::TokenInvalid);
    assert_eq!(gate.refused("a.b.c").await, Reason::TokenInvalid);
    assert_eq!(gate.refused(&gate.spoiled(|c| c.exp = 1_000)).await, Reason::TokenExpired);
    let elsewhere = gate.spoiled(|c| c.aud = "another".to_owned());
    assert_eq!(gate.refused(&elsewhere).await, Reason::TokenInvalid);
    let other_issuer = gate.spoiled(|c| c.iss = "https://evil.test".to_owned());
    assert_eq!(gate.refused(&other_issuer).await, Reason::TokenInvalid);

    // Another key under the same key id.
    let (pem, _) = generate("issuer").unwrap();
    let forged = Signer::from_pem("issuer", &pem).unwrap().sign(&gate.claims()).unwrap();
    assert_eq!(gate.refused(&forged).await, Reason::TokenInvalid);
    // The same token with another payload, and without a signature.
    let token = gate.issuer.sign(&gate.claims());
    let other = gate.spoiled(|c| c.sub = "root".to_owned());
    let [head, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let payload = other.split('.').nth(1).unwrap();
    assert_eq!(gate.refused(&format!("{head}.{payload}.{signature}")).await, Reason::TokenInvalid);
    assert_eq!(gate.refused(&format!("{head}.{payload}.")).await, Reason::TokenInvalid);
    // {"alg":"none","kid":"issuer"}
    let none = format!("eyJhbGciOiJub25lIiwia2lkIjoiaXNzdWVyIn0.{payload}.");
    assert_eq!(gate.refused(&none).await, Reason::TokenInvalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_has_the_permissions_of_its_key_and_no_more() {
    let gate = gate().await;
    let signed_by = |service: &str, issuer: &str| {
        let pem = std::fs::read_to_string(gate.issuer.workload_key(service)).unwrap();
        // What the token itself claims does not count.
        let mut claims = gate.issuer.claims(gate.tenant, &["*"]);
        claims.iss = issuer.to_owned();
        Signer::from_pem(service, &pem).unwrap().sign(&claims).unwrap()
    };
    gate.knock(&signed_by("accounts", "strongroom:accounts"), None).await.unwrap();
    let records = signed_by("records", "strongroom:records");
    assert_eq!(gate.refused(&records).await, Reason::PermissionMissing);
    // A service cannot speak as the issuer, nor as another service.
    for issuer in [Issuer::NAME, "strongroom:records"] {
        assert_eq!(gate.refused(&signed_by("accounts", issuer)).await, Reason::TokenInvalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_chosen_among_those_of_the_token() {
    let gate = gate().await;
    let second = tokio::task::block_in_place(|| gate.database.tenant());
    let both = gate.spoiled(|c| c.tenants = vec![gate.tenant.uuid(), second.uuid()]);
    gate.knock(&both, Some(&second.uuid().to_string())).await.unwrap();
    let (reason, field, _) = refusal(&gate.knock(&both, None).await.unwrap_err());
    assert_eq!((reason, field.as_str()), (Reason::FieldInvalid, "metadata.strongroom-tenant"));
    let one = gate.issuer.sign(&gate.claims());
    let foreign = gate.knock(&one, Some(&second.uuid().to_string())).await.unwrap_err();
    assert_eq!(refusal(&foreign).0, Reason::PermissionMissing);
    let unknown = gate.spoiled(|c| c.tenants = vec![uuid::Uuid::now_v7()]);
    assert_eq!(gate.refused(&unknown).await, Reason::ResourceNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant_does_nothing_and_a_read_only_one_reads() {
    let gate = gate().await;
    for (state, reads) in [(2, true), (3, false)] {
        let tenant = tokio::task::block_in_place(|| {
            let tenant = gate.database.tenant();
            let update =
                format!("UPDATE tenants SET state = {state} WHERE id = '{}'", tenant.uuid());
            gate.database.owner().batch_execute(&update).unwrap();
            tenant
        });
        let token = gate.issuer.sign(&gate.issuer.claims(tenant, &["*"]));
        let knocked = gate.knock(&token, None).await;
        assert_eq!(knocked.is_ok(), reads);
        if let Err(status) = knocked {
            let (reason, _, figures) = refusal(&status);
            assert_eq!((reason, figures["state"].as_str()), (Reason::TenantState, "SUSPENDED"));
        }
        let mut client =
            strongroom_proto::outcomes::v1::outcome_service_client::OutcomeServiceClient::new(
                gate.server.channel(),
            );
        let mut fence = Request::new(strongroom_proto::outcomes::v1::GetOutcomeRequest {
            operation: "x".to_owned(),
            request_id: "x".to_owned(),
            fence: true,
        });
        fence.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let refused = client.get_outcome(fence).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::TenantState, "a fence is a write");
    }
}
