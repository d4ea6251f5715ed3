//! The state machines as pictures, for the pages that explain them.

use std::fmt::Write as _;

use super::transition::State;
use super::{AccountState, CustomerState, KycState};

/// The state machines of customers, of their verifications and of accounts, each with its title, as
/// state diagrams of Mermaid.
pub fn diagrams() -> [(&'static str, String); 3] {
    [
        ("Customer", diagram::<CustomerState>()),
        ("KYC", diagram::<KycState>()),
        ("Account", diagram::<AccountState>()),
    ]
}

/// A machine begins in its first state, and ends in those that nothing follows.
fn diagram<S: State>() -> String {
    let mut text = "stateDiagram-v2\n".to_owned();
    let mut line = |from: &str, to: &str| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "    {from} --> {to}");
    };
    if let Some(first) = S::STATES.first() {
        line("[*]", first.label());
    }
    for state in S::STATES {
        for next in state.next() {
            line(state.label(), next.label());
        }
        if state.next().is_empty() {
            line(state.label(), "[*]");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagram_has_every_step() {
        let expected = "\
stateDiagram-v2
    [*] --> PENDING
    PENDING --> ACTIVE
    PENDING --> CLOSED
    ACTIVE --> SUSPENDED
    ACTIVE --> CLOSED
    SUSPENDED --> ACTIVE
    SUSPENDED --> CLOSED
    CLOSED --> [*]
";
        assert_eq!(diagram::<CustomerState>(), expected);
    }
}
