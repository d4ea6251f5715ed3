//! What is asked of accounts and has to reach the ledger.

use std::time::Duration;

use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::records::v1 as records;
use strongroom_proto::transactions::v1 as ledger;
use suite::Clients;
use tonic::{Request, Status};
use uuid::Uuid;
use wire::freeze::Direction;

use crate::wire::{account, eur, is_replay, request_id};

macro_rules! acts {
    ($($act:ident($request:ident) = $operation:literal, $client:ident.$method:ident;)*) => {
        /// Something that is asked for, under one request id.
        #[derive(Debug, Clone)]
        pub(super) enum Act {
            $($act(wire::$request),)*
        }

        impl Act {
            pub(super) fn operation(&self) -> &'static str {
                match self {
                    $(Self::$act(_) => $operation,)*
                }
            }

            pub(super) fn request_id(&self) -> &str {
                match self {
                    $(Self::$act(request) => &request.request_id,)*
                }
            }

            /// Asks for it, and gives the name of what it made or changed, and whether it had been
            /// done before.
            pub(super) async fn send(&self, clients: &Clients) -> Result<(String, bool), Status> {
                self.send_within(clients, None).await
            }

            /// The same with a deadline of the caller's own.
            pub(super) async fn send_within(
                &self,
                clients: &Clients,
                timeout: Option<Duration>,
            ) -> Result<(String, bool), Status> {
                match self.clone() {
                    $(Self::$act(request) => {
                        let mut request = Request::new(request);
                        if let Some(timeout) = timeout {
                            request.set_timeout(timeout);
                        }
                        let answer = clients.$client.clone().$method(request).await?;
                        let is_replay = is_replay(&answer);
                        Ok((answer.into_inner().name, is_replay))
                    })*
                }
            }
        }
    };
}

acts! {
    Open(CreateAccountRequest) = "create-account", accounts.create_account;
    FreezeAccount(FreezeAccountRequest) = "freeze-account", accounts.freeze_account;
    UnfreezeAccount(UnfreezeAccountRequest) = "unfreeze-account", accounts.unfreeze_account;
    SetLimits(SetLimitsRequest) = "set-limits", accounts.set_limits;
    MarkDormant(MarkDormantRequest) = "mark-dormant", accounts.mark_dormant;
    Reactivate(ReactivateAccountRequest) = "reactivate-account", accounts.reactivate_account;
    Close(CloseAccountRequest) = "close-account", accounts.close_account;
    Reopen(ReopenAccountRequest) = "reopen-account", accounts.reopen_account;
    FreezeCustomer(FreezeCustomerRequest) = "freeze-customer", customers.freeze_customer;
    UnfreezeCustomer(UnfreezeCustomerRequest) = "unfreeze-customer", customers.unfreeze_customer;
    Suspend(SuspendCustomerRequest) = "suspend-customer", customers.suspend_customer;
    Reinstate(ReinstateCustomerRequest) = "reinstate-customer", customers.reinstate_customer;
    Approve(ApproveKycRequest) = "approve-kyc", customers.approve_kyc;
}

/// The reason of every freeze here.
pub(super) const ORDER: &str = "COURT_ORDER";

fn order(direction: Direction) -> wire::Freeze {
    wire::Freeze {
        direction: direction.into(),
        reason_code: ORDER.to_owned(),
        authority: "court-of-zurich".to_owned(),
        ..Default::default()
    }
}

/// Opens an account of a customer, and gives the name that it will have.
pub(super) fn open(customer: &str) -> (Act, String) {
    let mut request = account(ledger::AccountClass::Liability);
    customer.clone_into(&mut request.account.as_mut().unwrap().customer);
    let name = format!("accounts/{}", request.account_id);
    (Act::Open(request), name)
}

/// Freezes an account, and gives what lifts that.
pub(super) fn freeze_account(name: &str, direction: Direction) -> (Act, Act) {
    let freeze_id = Uuid::now_v7().to_string();
    let lift = wire::UnfreezeAccountRequest {
        name: format!("{name}/freezes/{freeze_id}"),
        request_id: request_id(),
        ..Default::default()
    };
    let freeze = wire::FreezeAccountRequest {
        parent: name.to_owned(),
        freeze: Some(order(direction)),
        freeze_id,
        request_id: request_id(),
        validate_only: false,
    };
    (Act::FreezeAccount(freeze), Act::UnfreezeAccount(lift))
}

/// Freezes a customer, and gives what lifts that.
pub(super) fn freeze_customer(name: &str, direction: Direction) -> (Act, Act) {
    let freeze_id = Uuid::now_v7().to_string();
    let lift = wire::UnfreezeCustomerRequest {
        name: format!("{name}/freezes/{freeze_id}"),
        request_id: request_id(),
        ..Default::default()
    };
    let freeze = wire::FreezeCustomerRequest {
        parent: name.to_owned(),
        freeze: Some(order(direction)),
        freeze_id,
        request_id: request_id(),
        validate_only: false,
    };
    (Act::FreezeCustomer(freeze), Act::UnfreezeCustomer(lift))
}

/// Suspends a customer, and gives what ends that.
pub(super) fn suspend(name: &str) -> (Act, Act) {
    let suspend = wire::SuspendCustomerRequest {
        name: name.to_owned(),
        reason_code: "FRAUD_SUSPECTED".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    let (name, request_id) = (name.to_owned(), request_id());
    let reinstate = wire::ReinstateCustomerRequest { name, request_id, ..Default::default() };
    (Act::Suspend(suspend), Act::Reinstate(reinstate))
}

/// Lets an account pay this much at once.
pub(super) fn limit(name: &str, amount: &str) -> Act {
    let limit = ledger::Limit {
        id: "at-once".to_owned(),
        effect: ledger::block::Effect::Debit.into(),
        window: ledger::limit::Window::Transaction.into(),
        max_amount: Some(eur(amount)),
        ..Default::default()
    };
    Act::SetLimits(wire::SetLimitsRequest {
        name: name.to_owned(),
        limits: vec![limit],
        request_id: request_id(),
        ..Default::default()
    })
}

/// Says that an account is dormant, and gives what ends that.
pub(super) fn dormant(name: &str) -> (Act, Act) {
    let mark = wire::MarkDormantRequest {
        name: name.to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    let reactivate = wire::ReactivateAccountRequest {
        name: name.to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    (Act::MarkDormant(mark), Act::Reactivate(reactivate))
}

/// Closes an account, whose rest goes to another.
pub(super) fn close(name: &str, disposition: &str) -> Act {
    Act::Close(wire::CloseAccountRequest {
        name: name.to_owned(),
        disposition_account: disposition.to_owned(),
        request_id: request_id(),
        ..Default::default()
    })
}

pub(super) fn reopen(name: &str) -> Act {
    let (name, request_id) = (name.to_owned(), request_id());
    Act::Reopen(wire::ReopenAccountRequest { name, request_id, ..Default::default() })
}

/// A document about somebody.
pub(super) fn passport(subject: String) -> records::CreateRecordRequest {
    let record = records::Record {
        subject,
        r#type: "passport".to_owned(),
        content_type: "application/pdf".to_owned(),
        content: b"%PDF".as_slice().into(),
        ..Default::default()
    };
    records::CreateRecordRequest {
        record: Some(record),
        request_id: request_id(),
        ..Default::default()
    }
}

/// Begins to look at who a customer is, without which nobody approves.
pub(super) fn submission(name: &str, record: &str) -> wire::SubmitKycRequest {
    wire::SubmitKycRequest {
        name: name.to_owned(),
        evidence: vec![format!("{record}/versions/1")],
        request_id: request_id(),
        ..Default::default()
    }
}

/// Approves a customer until a time.
pub(super) fn approve(name: &str, until: Option<prost_types::Timestamp>) -> Act {
    Act::Approve(wire::ApproveKycRequest {
        name: name.to_owned(),
        level: 1,
        expire_time: until,
        request_id: request_id(),
        ..Default::default()
    })
}
