//! A posting to an account that the ledger does not know asks accounts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use shared::problem::{Problem, Reason};
use shared::testing::{listener, refusal};
use strongroom_proto::accounts::v1 as accounts;
use strongroom_proto::transactions::v1::AccountClass;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::requests::{hold, why};
use crate::setup::{Ledger, unbounded};

/// The accounts service, as far as the ledger asks it.
#[derive(Clone)]
struct Accounts {
    known: String,
    asked: Arc<AtomicUsize>,
    /// Whether something stops the account that it knows.
    is_stopped: Arc<AtomicBool>,
}

/// The service, of which the ledger asks for one method, and for none of the others.
macro_rules! service {
    (never { $($other:ident: $asked:ident => $answered:ident,)+ }) => {
        #[tonic::async_trait]
        impl accounts::account_service_server::AccountService for Accounts {
            async fn get_account(
                &self,
                request: Request<accounts::GetAccountRequest>,
            ) -> Result<Response<accounts::Account>, Status> {
                self.get(request)
            }

            $(async fn $other(
                &self,
                _: Request<accounts::$asked>,
            ) -> Result<Response<accounts::$answered>, Status> {
                unreachable!("the ledger does not ask for that")
            })+
        }
    };
}

service! {
    never {
        create_account: CreateAccountRequest => Account,
        list_accounts: ListAccountsRequest => ListAccountsResponse,
        batch_get_accounts: BatchGetAccountsRequest => BatchGetAccountsResponse,
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
        list_undelivered_controls:
            ListUndeliveredControlsRequest => ListUndeliveredControlsResponse,
    }
}

impl Accounts {
    fn get(
        &self,
        request: Request<accounts::GetAccountRequest>,
    ) -> Result<Response<accounts::Account>, Status> {
        assert!(request.metadata().get("authorization").is_some(), "the ledger says who it is");
        assert!(request.metadata().get("grpc-timeout").is_some(), "the deadline goes along");
        self.asked.fetch_add(1, Ordering::SeqCst);
        let name = request.into_inner().name;
        if name != self.known {
            return Err(Problem::not_found("account", name).into());
        }
        Ok(Response::new(accounts::Account {
            name,
            currency: "EUR".to_owned(),
            class: AccountClass::Liability.into(),
            state: accounts::account::State::Pending.into(),
            effect: Some(accounts::account::Effect {
                debits: true,
                credits: !self.is_stopped.load(Ordering::SeqCst),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }
}

fn account_name() -> String {
    format!("accounts/{}", Uuid::now_v7())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_just_opened_does_not_refuse_money() {
    let (known, asked) = (account_name(), Arc::<AtomicUsize>::default());
    let is_stopped = Arc::new(AtomicBool::new(true));
    let fake = Accounts {
        known: known.clone(),
        asked: Arc::clone(&asked),
        is_stopped: Arc::clone(&is_stopped),
    };
    let socket = listener().await;
    let address = socket.local_addr().unwrap().to_string();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(socket);
    let service = accounts::account_service_server::AccountServiceServer::new(fake);
    tokio::spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming),
    );
    let ledger = Ledger::start_with(&["--accounts", &address]).await;
    let mut client = ledger.client();
    let house = client.account(Some(unbounded())).await;
    // What stops it would not be known here, and so it does not come this way.
    let refused = client.pay(&house, &known, "10").await.unwrap_err();
    let (reason, _, figures) = refusal(&refused);
    assert_eq!((reason, figures["peer"].as_str()), (Reason::PeerUnavailable, "accounts"));
    is_stopped.store(false, Ordering::SeqCst);
    asked.store(0, Ordering::SeqCst);
    // A hold needs its accounts as a posting does; there is no money yet.
    let early = client.hold(&hold(&known, &house, "1")).await;
    assert_eq!(why(early).0, Reason::InsufficientFunds);
    client.pay(&house, &known, "10").await.unwrap();
    client.pay(&house, &known, "1").await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1, "known accounts are not asked about");
    assert_eq!(client.posted(&known).await, "11.00");

    // Nobody knows this one, and asking again at once makes no noise.
    let nobody = account_name();
    for _ in 0..5 {
        let refused = client.pay(&house, &nobody, "1").await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::ResourceNotFound);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_accounts_is_away_only_unknown_accounts_suffer() {
    let socket = listener().await;
    let address = socket.local_addr().unwrap().to_string();
    drop(socket);
    let ledger = Ledger::start_with(&["--accounts", &address]).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("5").await;
    let refused = client.pay(&house, &account_name(), "1").await.unwrap_err();
    let (reason, _, figures) = refusal(&refused);
    assert_eq!((reason, figures["peer"].as_str()), (Reason::PeerUnavailable, "accounts"));
    client.pay(&account, &house, "5").await.unwrap();
}
