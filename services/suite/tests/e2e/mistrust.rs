//! Callers that are not who they say they are, or want what is not theirs.

use shared::problem::Reason;
use shared::testing::refusal;
use shared::token::{Claims, Signer, generate};
use strongroom_proto::accounts::v1::GetAccountRequest;
use strongroom_proto::records::v1 as records;
use strongroom_proto::transactions::v1 as transactions;
use suite::Clients;
use tonic::{Request, Response, Status};
use transactions::AccountClass;

use crate::wire::{cents, customer, open, send, source, transfer};
use crate::world::{claims, now, run, world};

fn reason<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Reason {
    refusal(&answer.unwrap_err()).0
}

#[test]
fn tokens_that_are_not_good() {
    run(async {
        let world = world().await;
        let tenant = world.tenant().await;
        let owner = world.caller(tenant);
        let (house, account) = (source(&owner).await, open(&owner, AccountClass::Liability).await);
        let good = || claims(tenant, &["*"]);
        let request = || transfer(&house, &account, "1.00");

        let anonymous = Clients::new(world.at, None).unwrap();
        assert_eq!(reason(send(&anonymous, request()).await), Reason::TokenMissing);

        // The key of somebody else under the name of the issuer's, and under that of a service's.
        let forged = |kid: &str| {
            let (pem, _) = generate(kid).unwrap();
            Signer::from_pem(kid, &pem).unwrap().sign(&good()).unwrap()
        };
        let unsigned = {
            let token = world.token(&good());
            let (head_and_claims, _) = token.rsplit_once('.').unwrap();
            format!("{head_and_claims}.")
        };
        let promoted = {
            let (theirs, ours) = (world.token(&claims(tenant, &[])), world.token(&good()));
            let parts: Vec<&str> = theirs.split('.').collect();
            format!("{}.{}.{}", parts[0], ours.split('.').nth(1).unwrap(), parts[2])
        };
        let changed = |change: fn(&mut Claims)| {
            let mut claims = good();
            change(&mut claims);
            world.token(&claims)
        };
        for (token, expected) in [
            ("nonsense".to_owned(), Reason::TokenInvalid),
            (forged("development"), Reason::TokenInvalid),
            (forged("accounts"), Reason::TokenInvalid),
            (forged("unknown"), Reason::TokenInvalid),
            (unsigned, Reason::TokenInvalid),
            (promoted, Reason::TokenInvalid),
            (changed(|claims| claims.aud = "others".to_owned()), Reason::TokenInvalid),
            (changed(|claims| claims.iss = "others".to_owned()), Reason::TokenInvalid),
            (changed(|claims| claims.exp = now() - 60), Reason::TokenExpired),
            (changed(|claims| claims.tenants.clear()), Reason::FieldInvalid),
        ] {
            let caller = world.caller_with(&token);
            assert_eq!(reason(send(&caller, request()).await), expected, "{token}");
        }
        assert_eq!(cents(&owner, &account).await, 0);
        send(&world.caller_with(&world.token(&good())), request()).await.unwrap();
    });
}

#[test]
fn permissions_hold_where_they_are_given() {
    run(async {
        let world = world().await;
        let (tenant, other) = (world.tenant().await, world.tenant().await);
        let owner = world.caller(tenant);
        let (house, account) = (source(&owner).await, open(&owner, AccountClass::Liability).await);

        let reader = world.token(&claims(tenant, &["transactions.balances.get"]));
        let reader = world.caller_with(&reader);
        assert_eq!(cents(&reader, &account).await, 0);
        let refused = send(&reader, transfer(&house, &account, "1.00")).await.unwrap_err();
        let (reason_of, _, figures) = refusal(&refused);
        assert_eq!(reason_of, Reason::PermissionMissing);
        assert_eq!(figures["permission"], "transactions.transactions.create");

        // A tenant that the token does not name, and a choice that is none.
        for (chosen, expected) in [
            (other.uuid().to_string(), Reason::PermissionMissing),
            ("mine".to_owned(), Reason::FieldInvalid),
        ] {
            let mut request = Request::new(transfer(&house, &account, "1.00"));
            request.metadata_mut().insert("strongroom-tenant", chosen.parse().unwrap());
            let answer = owner.transactions.clone().create_transfer(request).await;
            assert_eq!(reason(answer), expected);
        }
        assert_eq!(cents(&owner, &account).await, 0);
    });
}

#[test]
fn what_is_anothers_is_not_there() {
    run(async {
        let world = world().await;
        let (owner, stranger) = (world.newcomer().await, world.newcomer().await);
        let (house, account) = (source(&owner).await, open(&owner, AccountClass::Liability).await);
        let posted = send(&owner, transfer(&house, &account, "5.00")).await.unwrap().into_inner();
        let person = owner.customers.clone().create_customer(customer()).await.unwrap();
        let record = records::Record {
            subject: person.into_inner().subject,
            r#type: "note".to_owned(),
            content_type: "text/plain".to_owned(),
            content: "secret".into(),
            ..records::Record::default()
        };
        let seal = |record: &records::Record| records::CreateRecordRequest {
            record: Some(record.clone()),
            ..records::CreateRecordRequest::default()
        };
        let sealed = owner.records.clone().create_record(seal(&record)).await.unwrap();

        let missing = Reason::ResourceNotFound;
        let own = source(&stranger).await;
        let request = GetAccountRequest { name: account.clone() };
        assert_eq!(reason(stranger.accounts.clone().get_account(request).await), missing);
        let request = transactions::GetBalanceRequest { account: account.clone(), as_of: None };
        assert_eq!(reason(stranger.balances.clone().get_balance(request).await), missing);
        let request = transactions::GetTransactionRequest { name: posted.name };
        assert_eq!(reason(stranger.transactions.clone().get_transaction(request).await), missing);
        let request = records::GetRecordRequest {
            name: sealed.into_inner().name,
            view: records::RecordView::Full.into(),
            purpose: "KYC".to_owned(),
            version: 0,
        };
        assert_eq!(reason(stranger.records.clone().get_record(request).await), missing);
        assert_eq!(reason(stranger.records.clone().create_record(seal(&record)).await), missing);
        for (from, to) in [(&account, &own), (&own, &account)] {
            assert_eq!(reason(send(&stranger, transfer(from, to, "1.00")).await), missing);
        }
        assert_eq!(cents(&owner, &account).await, 500);
        assert_eq!(cents(&stranger, &own).await, 0);
    });
}

#[test]
fn a_service_may_do_no_more_than_its_work() {
    run(async {
        let world = world().await;
        let tenant = world.tenant().await;
        let owner = world.caller(tenant);
        let (house, account) = (source(&owner).await, open(&owner, AccountClass::Liability).await);
        // Whoever has the key of the accounts service registers accounts, and moves no money.
        let mut promoted = claims(tenant, &["*"]);
        promoted.iss = "strongroom:accounts".to_owned();
        let accounts = world.caller_with(&world.accounts_signer.sign(&promoted).unwrap());
        let answer = send(&accounts, transfer(&house, &account, "1.00")).await;
        assert_eq!(reason(answer), Reason::PermissionMissing);
        let request = transactions::GetBalanceRequest { account: account.clone(), as_of: None };
        let answer = accounts.balances.clone().get_balance(request).await;
        assert_eq!(reason(answer), Reason::PermissionMissing);
        assert_eq!(cents(&owner, &account).await, 0);
    });
}
