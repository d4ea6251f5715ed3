//! Changes of state, as tables.

/// A state does not allow what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} is {state}, and would have to be {}", .allowed.join(" or "))]
pub(crate) struct NotAllowed {
    /// What has the state: "customer".
    pub(crate) what: &'static str,
    /// The state in which it is.
    pub(crate) state: &'static str,
    /// The states that would allow it.
    pub(crate) allowed: Vec<&'static str>,
}
