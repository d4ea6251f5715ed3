//! What people wrote about a transaction, as commitments: they are in the log, and outlive the
//! texts.

use std::collections::BTreeMap;

use shared::commitment::Commitment;

use super::PostedTransaction;

/// The index of a transaction's own description among the memos of its entries.
pub(crate) const DESCRIPTION: i32 = -1;
/// The index of why it was forced.
pub(crate) const FORCE_REASON: i32 = -2;

/// The commitments to the texts of a transaction. One without a salt is to a text that has been
/// redacted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Commitments {
    /// By the index of the entry, or those above.
    pub(crate) texts: BTreeMap<i32, Commitment>,
    /// By key.
    pub(crate) labels: BTreeMap<String, Commitment>,
    /// By kind.
    pub(crate) external_ids: BTreeMap<String, Commitment>,
    /// Whether any of the texts has been redacted.
    pub(crate) redacted: bool,
}

impl Commitments {
    /// New ones, to all that is written about a transaction.
    pub(crate) fn to(posted: &PostedTransaction) -> Self {
        let texts = posted.texts().filter(|(_, text)| !text.is_empty());
        let named = |kind: &str, map: &BTreeMap<String, String>| {
            let commit = |(key, value): (&String, &String)| {
                (key.clone(), Commitment::new(&format!("{kind}/{key}"), value))
            };
            map.iter().map(commit).collect()
        };
        Self {
            texts: texts
                .map(|(index, text)| (index, Commitment::new(&format!("texts/{index}"), text)))
                .collect(),
            labels: named("labels", &posted.labels),
            external_ids: named("external_ids", &posted.external_ids),
            redacted: false,
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.labels.is_empty() && self.external_ids.is_empty()
    }
}
