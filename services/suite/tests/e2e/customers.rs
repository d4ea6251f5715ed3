//! Customers from their creation to their erasure, with the records service that there is.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::records::v1 as records;
use strongroom_proto::transactions::v1 as transactions;
use suite::Clients;
use transactions::AccountClass;
use wire::lookup_customer_request::Key;

use records::governance_service_client::GovernanceServiceClient;
use records::subject_service_client::SubjectServiceClient;

use crate::wire::{account, customer, request_id, source, transfer};
use crate::world::{run, world};

/// Looks for something that comes by itself.
const LOOKS: usize = 600;
const PAUSE: Duration = Duration::from_millis(50);

fn named(name: &str, profile: wire::Profile) -> wire::UpdateCustomerRequest {
    let customer =
        wire::Customer { name: name.to_owned(), profile: Some(profile), ..Default::default() };
    wire::UpdateCustomerRequest {
        customer: Some(customer),
        request_id: request_id(),
        ..Default::default()
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, from the first day to the last")]
fn a_customer_is_found_verified_and_forgotten() {
    run(async {
        let world = world().await;
        let clients = world.newcomer().await;
        let mut customers = clients.customers.clone();
        let mut request = customer();
        let new = request.customer.as_mut().unwrap();
        new.external_ids = [("CRM".to_owned(), "7".to_owned())].into();
        new.profile = Some(wire::Profile { full_name: "Zoë".to_owned(), ..Default::default() });
        let customer = customers.create_customer(request).await.unwrap().into_inner();
        let name = customer.name.clone();

        // The next version of the profile is found by what is new in it.
        let tax_id = |country: &str, number: &str| wire::TaxId {
            country: country.to_owned(),
            number: number.to_owned(),
        };
        let profile = wire::Profile {
            full_name: "Zoë".to_owned(),
            email: "Zoe.Anderli@Example.com".to_owned(),
            phone: "+41446681800".to_owned(),
            tax_ids: vec![tax_id("CH", "756.1234.5678.97")],
            ..Default::default()
        };
        customers.update_customer(named(&name, profile.clone())).await.unwrap();
        for (key, found) in [
            (Key::Email("zoe.anderli@example.com".to_owned()), true),
            (Key::Phone("+41446681800".to_owned()), true),
            (Key::TaxId(tax_id("CH", "7561234567897")), true),
            (Key::TaxId(tax_id("DE", "7561234567897")), false),
        ] {
            let request =
                wire::LookupCustomerRequest { key: Some(key), purpose: "SUPPORT".to_owned() };
            let answer = customers.lookup_customer(request).await.unwrap().into_inner();
            let names: Vec<String> = answer.customers.into_iter().map(|one| one.name).collect();
            assert_eq!(names, if found { vec![name.clone()] } else { Vec::new() });
        }
        let get = |view: records::RecordView| wire::GetCustomerRequest {
            name: name.clone(),
            view: view.into(),
            purpose: "SUPPORT".to_owned(),
        };
        let full = customers.get_customer(get(records::RecordView::Full)).await.unwrap();
        assert_eq!(full.into_inner().profile, Some(profile));

        let gift = gift(&clients, &name).await;

        // Evidence is kept while the customer is one.
        let record = records::Record {
            subject: customer.subject.clone(),
            r#type: "passport".to_owned(),
            content_type: "application/pdf".to_owned(),
            content: b"%PDF".as_slice().into(),
            ..Default::default()
        };
        let create = records::CreateRecordRequest { record: Some(record), ..Default::default() };
        let record = clients.records.clone().create_record(create).await.unwrap().into_inner();
        let submit = |version: i64| wire::SubmitKycRequest {
            name: name.clone(),
            evidence: vec![format!("{}/versions/{version}", record.name)],
            etag: String::new(),
            request_id: request_id(),
        };
        let refused = customers.submit_kyc(submit(2)).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::FieldInvalid);
        let submitted = customers.submit_kyc(submit(1)).await.unwrap().into_inner();
        assert_eq!(submitted.kyc.unwrap().state(), wire::kyc::State::InReview);
        let api = clients.api(world.at.records).unwrap();
        let (mut subjects, mut governance) =
            (SubjectServiceClient::new(api.clone()), GovernanceServiceClient::new(api));
        let erase = |dry_run| records::EraseSubjectRequest {
            name: customer.subject.clone(),
            legal_basis: records::erasure::LegalBasis::SubjectRequest.into(),
            dry_run,
            request_id: request_id(),
        };
        let erasure = subjects.erase_subject(erase(true)).await.unwrap().into_inner();
        assert_eq!(erasure.blockers.len(), 1, "the interest of accounts");

        // Without it the person is forgotten, here too.
        let interest = records::RetentionInterest {
            subject: customer.subject.clone(),
            source: "accounts".to_owned(),
            reference: name.clone(),
            end_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            ..Default::default()
        };
        let end = records::SetRetentionInterestRequest {
            retention_interest: Some(interest),
            ..Default::default()
        };
        governance.set_retention_interest(end).await.unwrap();
        subjects.erase_subject(erase(false)).await.unwrap();
        for look in 0.. {
            assert!(look < LOOKS, "the redaction did not come");
            let request = get(records::RecordView::Basic);
            let now = customers.get_customer(request).await.unwrap().into_inner();
            if now.external_ids.is_empty() && now.labels.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let refused = customers.get_customer(get(records::RecordView::Full)).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::SubjectErased);
        // And so does the ledger, which keeps what was paid.
        for look in 0.. {
            assert!(look < LOOKS, "the ledger's redaction did not come");
            let request = transactions::GetTransactionRequest { name: gift.name.clone() };
            let now = clients.transactions.clone().get_transaction(request).await.unwrap();
            let now = now.into_inner();
            assert_eq!(now.entries.len(), gift.entries.len());
            if now.description.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
}

/// Money on an account of a customer, with a text that names somebody.
async fn gift(clients: &Clients, customer: &str) -> transactions::Transaction {
    let bank = source(clients).await;
    let mut request = account(AccountClass::Liability);
    customer.clone_into(&mut request.account.as_mut().unwrap().customer);
    let own = clients.accounts.clone().create_account(request).await.unwrap().into_inner();
    let mut request = transfer(&bank, &own.name, "5.00");
    request.description.push_str("For Zoë Anderli");
    let posted = clients.transactions.clone().create_transfer(request).await.unwrap().into_inner();
    assert_eq!(posted.description, "For Zoë Anderli");
    posted
}
