//! The services of the contract, method by method: each is answered by the file of its name.

use strongroom_proto::accounts::v1 as wire;
use tonic::{Request, Response, Status};
use wire::account_service_server::AccountService;
use wire::customer_service_server::CustomerService;

use super::Rpc;

/// A service, as a table of its methods.
macro_rules! service {
    ($service:ident: $($method:ident: $request:ident => $answer:ident,)+) => {
        #[tonic::async_trait]
        impl $service for Rpc {
            $(async fn $method(
                &self,
                request: Request<wire::$request>,
            ) -> Result<Response<wire::$answer>, Status> {
                super::$method::call(self, request).await
            })+
        }
    };
}

service! {
    CustomerService:
    create_customer: CreateCustomerRequest => Customer,
    get_customer: GetCustomerRequest => Customer,
    batch_get_customers: BatchGetCustomersRequest => BatchGetCustomersResponse,
    list_customers: ListCustomersRequest => ListCustomersResponse,
    lookup_customer: LookupCustomerRequest => LookupCustomerResponse,
    update_customer: UpdateCustomerRequest => Customer,
    activate_customer: ActivateCustomerRequest => Customer,
    submit_kyc: SubmitKycRequest => Customer,
    approve_kyc: ApproveKycRequest => Customer,
    reject_kyc: RejectKycRequest => Customer,
    expire_kyc: ExpireKycRequest => Customer,
    list_kyc_decisions: ListKycDecisionsRequest => ListKycDecisionsResponse,
    add_relationship: AddRelationshipRequest => Relationship,
    remove_relationship: RemoveRelationshipRequest => Relationship,
    list_relationships: ListRelationshipsRequest => ListRelationshipsResponse,
}

service! {
    AccountService:
    create_account: CreateAccountRequest => Account,
    get_account: GetAccountRequest => Account,
    list_accounts: ListAccountsRequest => ListAccountsResponse,
}
