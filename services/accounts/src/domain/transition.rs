//! Changes of state, as tables.

/// The states of something, and which may follow which.
pub(crate) trait State: Copy + PartialEq + 'static {
    /// What has the state: "customer".
    const WHAT: &'static str;
    /// Every state.
    const STATES: &'static [Self];

    /// The name in the contract, without its prefix.
    fn label(self) -> &'static str;

    /// The states that may follow.
    fn next(self) -> &'static [Self];

    /// The state that shall follow, where it may.
    fn to(self, next: Self) -> Result<Self, NotAllowed> {
        if self.next().contains(&next) {
            return Ok(next);
        }
        let allowed = Self::STATES.iter().filter(|state| state.next().contains(&next));
        Err(self.not_allowed(allowed.map(|state| state.label()).collect()))
    }

    /// The refusal of what only other states allow.
    fn not_allowed(self, allowed: Vec<&'static str>) -> NotAllowed {
        NotAllowed { what: Self::WHAT, state: self.label(), allowed }
    }
}

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
