//! A refusal, as it is told to people.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A refusal as it is told to code.
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// Without the trace, which is another one each time.
    pub(crate) figures: Vec<(String, String)>,
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let mut figures: Vec<_> = info
            .iter()
            .flat_map(|info| info.metadata.clone())
            .filter(|(name, _)| name != "trace_id")
            .collect();
        figures.sort();
        Self {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            message: status.message().to_owned(),
            figures,
        }
    }
}

impl Refusal {
    /// A figure, or nothing.
    pub(crate) fn figure(&self, name: &str) -> &str {
        let found = self.figures.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// All of it on one line.
    pub(crate) fn line(&self) -> String {
        format!("{} {}: {}", code_name(self.code), self.reason, self.message)
    }
}

/// `FAILED_PRECONDITION`, as the protocol spells it.
pub(crate) fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
