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
    suspend_customer: SuspendCustomerRequest => Customer,
    reinstate_customer: ReinstateCustomerRequest => Customer,
    close_customer: CloseCustomerRequest => Customer,
    freeze_customer: FreezeCustomerRequest => Freeze,
    unfreeze_customer: UnfreezeCustomerRequest => Freeze,
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
    batch_get_accounts: BatchGetAccountsRequest => BatchGetAccountsResponse,
    list_accounts: ListAccountsRequest => ListAccountsResponse,
    update_account: UpdateAccountRequest => Account,
    add_holder: AddHolderRequest => Holder,
    update_holder: UpdateHolderRequest => Holder,
    remove_holder: RemoveHolderRequest => Holder,
    list_holders: ListHoldersRequest => ListHoldersResponse,
    freeze_account: FreezeAccountRequest => Freeze,
    unfreeze_account: UnfreezeAccountRequest => Freeze,
    get_freeze: GetFreezeRequest => Freeze,
    list_freezes: ListFreezesRequest => ListFreezesResponse,
    set_limits: SetLimitsRequest => Account,
    mark_dormant: MarkDormantRequest => Account,
    reactivate_account: ReactivateAccountRequest => Account,
    close_account: CloseAccountRequest => Account,
    reopen_account: ReopenAccountRequest => Account,
    list_undelivered_controls: ListUndeliveredControlsRequest => ListUndeliveredControlsResponse,
}
