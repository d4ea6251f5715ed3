//! A refusal as every service says it: a reason for code, a sentence for people, and the figures
//! that explain it. `grpc::status` is the one place where it becomes a status and back.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use strongroom_proto::common::v1::ErrorReason as Reason;

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The reason, for code.
    pub reason: Reason,
    /// The sentence, for people. It never holds content.
    pub message: String,
    /// The figures, by name, as `contracts` lists them for each reason.
    pub figures: BTreeMap<String, String>,
    /// The dotted path of the field that is wrong, where one is.
    pub field: Option<String>,
    /// When a repeat makes sense, where it does.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// A problem without figures.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { reason, message, figures: BTreeMap::new(), field: None, retry_after: None }
    }

    /// A fault of the service, of which a caller learns no more than that.
    pub fn internal() -> Self {
        Self::new(Reason::Internal, "The service failed. The trace id finds it.")
    }

    /// `RESOURCE_NOT_FOUND` for a resource, by its type ("account") and name ("accounts/…").
    pub fn not_found(kind: &str, name: impl fmt::Display) -> Self {
        Self::new(Reason::ResourceNotFound, format!("There is no {kind} {name}."))
            .figure("type", kind)
            .figure("name", name)
    }

    /// Adds a figure.
    #[must_use]
    pub fn figure(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.figures.insert(name.to_owned(), value.to_string());
        self
    }

    /// Names the field that is wrong.
    #[must_use]
    pub fn in_field(mut self, path: impl Into<String>) -> Self {
        self.field = Some(path.into());
        self
    }

    /// Says when a repeat makes sense.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Whether this is a decision of business: it is stored with the request id, and the same
    /// request id repeats it. Every other problem leaves the id free.
    pub fn is_frozen(&self) -> bool {
        crate::grpc::status::code(self.reason) == tonic::Code::FailedPrecondition
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", reason_name(self.reason), self.message)
    }
}

impl std::error::Error for Problem {}

/// The reason as it stands in `ErrorInfo`: without the enum's prefix.
pub fn reason_name(reason: Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

/// The reason from its name in `ErrorInfo`.
pub fn reason_from_name(name: &str) -> Option<Reason> {
    Reason::from_str_name(&format!("ERROR_REASON_{name}"))
}
