//! What is asked and what is answered.

use std::collections::BTreeMap;
use std::fmt::Display;

use prost::Message as _;
use shared::problem::{Reason, reason_from_name};
use shared::testing::refusal;
use strongroom_proto::outcomes::v1::{GetOutcomeRequest, Outcome};
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::batch_item::Operation;
use wire::batch_result::Result as ItemResult;

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    Transaction(wire::CreateTransactionRequest),
    Transfer(wire::CreateTransferRequest),
    Reversal(wire::ReverseTransactionRequest),
    Hold(wire::CreateHoldRequest),
    Capture(wire::CaptureHoldRequest),
    Release(wire::ReleaseHoldRequest),
    Extend(wire::ExtendHoldRequest),
    Increase(wire::IncreaseHoldRequest),
}

/// The same field of whatever is asked for.
macro_rules! each {
    ($order:expr, $request:ident => $value:expr) => {
        match $order {
            Order::Transaction($request) => $value,
            Order::Transfer($request) => $value,
            Order::Reversal($request) => $value,
            Order::Hold($request) => $value,
            Order::Capture($request) => $value,
            Order::Release($request) => $value,
            Order::Extend($request) => $value,
            Order::Increase($request) => $value,
        }
    };
}

impl Order {
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Transaction(_) | Self::Transfer(_) => "create-transaction",
            Self::Reversal(_) => "reverse-transaction",
            Self::Hold(_) => "create-hold",
            Self::Capture(_) => "capture-hold",
            Self::Release(_) => "release-hold",
            Self::Extend(_) => "extend-hold",
            Self::Increase(_) => "increase-hold",
        }
    }

    pub(super) fn request_id(&self) -> &str {
        each!(self, request => &request.request_id)
    }

    pub(super) fn set_request_id(&mut self, id: &str) {
        each!(self, request => id.clone_into(&mut request.request_id));
    }

    pub(super) fn is_dry(&self) -> bool {
        each!(self, request => request.validate_only)
    }

    pub(super) fn set_dry(&mut self) {
        each!(self, request => request.validate_only = true);
    }

    /// The id that the caller has chosen; empty where it has not.
    pub(super) fn chosen(&self) -> &str {
        match self {
            Self::Transaction(request) => &request.transaction_id,
            Self::Transfer(request) => &request.transaction_id,
            Self::Reversal(request) => &request.transaction_id,
            Self::Capture(request) => &request.transaction_id,
            Self::Hold(request) => &request.hold_id,
            Self::Release(_) | Self::Extend(_) | Self::Increase(_) => "",
        }
    }

    /// Puts what it posts into a group, where it names none.
    pub(super) fn join(&mut self, group: &str) {
        let own = match self {
            Self::Transaction(request) => {
                request.transaction.as_mut().map(|transaction| &mut transaction.group_id)
            }
            Self::Transfer(request) => Some(&mut request.group_id),
            Self::Reversal(request) => Some(&mut request.group_id),
            Self::Capture(request) => Some(&mut request.group_id),
            Self::Hold(_) | Self::Release(_) | Self::Extend(_) | Self::Increase(_) => None,
        };
        if let Some(own) = own.filter(|own| own.is_empty()) {
            group.clone_into(own);
        }
    }

    /// The item of a batch; not every order can be one.
    pub(super) fn item(self) -> Option<wire::BatchItem> {
        let operation = match self {
            Self::Transaction(request) => Operation::Transaction(request),
            Self::Transfer(request) => Operation::Transfer(request),
            Self::Reversal(request) => Operation::Reversal(request),
            Self::Hold(request) => Operation::Hold(request),
            Self::Capture(request) => Operation::Capture(request),
            Self::Release(request) => Operation::Release(request),
            Self::Extend(_) | Self::Increase(_) => return None,
        };
        Some(wire::BatchItem { operation: Some(operation) })
    }

    pub(super) fn of_item(item: &wire::BatchItem) -> Self {
        match item.operation.clone().unwrap() {
            Operation::Transaction(request) => Self::Transaction(request),
            Operation::Transfer(request) => Self::Transfer(request),
            Operation::Reversal(request) => Self::Reversal(request),
            Operation::Hold(request) => Self::Hold(request),
            Operation::Capture(request) => Self::Capture(request),
            Operation::Release(request) => Self::Release(request),
        }
    }
}

/// One call of the service.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    One(Box<Order>),
    Batch(wire::ExecuteBatchRequest),
    Controls(wire::SetLedgerControlsRequest),
    Close(wire::CloseLedgerAccountRequest),
    Outcome(GetOutcomeRequest),
}

/// What an order has made.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Made {
    Transaction(wire::Transaction),
    Hold(wire::Hold),
    Capture(Box<wire::Hold>, Box<wire::Transaction>),
}

impl Made {
    pub(super) fn capture(response: wire::CaptureHoldResponse) -> Self {
        let (hold, transaction) = (response.hold.unwrap(), response.transaction.unwrap());
        Self::Capture(Box::new(hold), Box::new(transaction))
    }

    /// The name of what is new.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Transaction(transaction) => &transaction.name,
            Self::Capture(_, transaction) => &transaction.name,
            Self::Hold(hold) => &hold.name,
        }
    }
}

/// Why something is refused: of an answer with all its figures, of the model with those that it
/// knows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) figures: BTreeMap<String, String>,
}

impl Refusal {
    pub(super) fn new(reason: Reason) -> Self {
        Self { reason, figures: BTreeMap::new() }
    }

    pub(super) fn with(mut self, name: &str, figure: impl Display) -> Self {
        self.figures.insert(name.to_owned(), format!("{figure}"));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.figures.remove(name);
        self
    }

    /// Whether an answer says this.
    pub(super) fn is_said_by(&self, answer: &Self) -> bool {
        let said = |(name, figure)| answer.figures.get(name) == Some(figure);
        self.reason == answer.reason && self.figures.iter().all(said)
    }

    /// Whether the request id keeps it.
    pub(super) fn is_frozen(&self) -> bool {
        shared::grpc::status::code(self.reason) == tonic::Code::FailedPrecondition
    }

    fn of_status(status: &Status) -> Self {
        let (reason, _, figures) = refusal(status);
        Self::of_answer(reason, figures)
    }

    fn of_error(error: &tonic_types::pb::Status) -> Self {
        let info = error.details.iter().find(|any| any.type_url.ends_with("ErrorInfo")).unwrap();
        let info = tonic_types::pb::ErrorInfo::decode(info.value.as_slice()).unwrap();
        Self::of_answer(reason_from_name(&info.reason).unwrap(), info.metadata)
    }

    fn of_answer(reason: Reason, figures: impl IntoIterator<Item = (String, String)>) -> Self {
        let figures = figures.into_iter().filter(|(name, _)| name != "trace_id");
        Self { reason, figures: figures.collect() }
    }
}

/// What was answered to a call.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Made(Made),
    Batch(Vec<(Result<Made, Refusal>, bool)>),
    Account(wire::LedgerAccount),
    Outcome(Outcome),
}

#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) reply: Result<Reply, Refusal>,
    pub(super) is_replay: bool,
}

impl Answer {
    pub(super) fn of<T>(
        answer: Result<tonic::Response<T>, Status>,
        read: impl FnOnce(T) -> Reply,
    ) -> Self {
        match answer {
            Ok(answer) => {
                let is_replay = answer.metadata().contains_key("strongroom-replayed");
                Self { reply: Ok(read(answer.into_inner())), is_replay }
            }
            Err(status) => Self { reply: Err(Refusal::of_status(&status)), is_replay: false },
        }
    }
}

/// What became of an item.
pub(super) fn item(result: wire::BatchResult) -> (Result<Made, Refusal>, bool) {
    let made = match result.result.unwrap() {
        ItemResult::Transaction(transaction) => Ok(Made::Transaction(*transaction)),
        ItemResult::Hold(hold) => Ok(Made::Hold(*hold)),
        ItemResult::Capture(response) => Ok(Made::capture(*response)),
        ItemResult::Error(error) => Err(Refusal::of_error(&error)),
    };
    (made, result.replayed)
}
