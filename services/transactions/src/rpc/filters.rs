//! What the filters of several lists have in common.

use std::collections::BTreeMap;

use shared::field::{self, Decoded};
use shared::filter::Term;

/// A type, which is a code.
pub(super) fn kind(term: &Term) -> Decoded<String> {
    term.read(|value| field::code(value.to_owned()).ok())
}

/// Keeps what an entry of a map has to be; a second term for the same key is refused.
pub(super) fn set_entry(map: &mut BTreeMap<String, String>, key: &str, term: &Term) -> Decoded<()> {
    let mut value = map.remove(key);
    term.set(&mut value, term.equal()?.to_owned())?;
    map.extend(value.map(|value| (key.to_owned(), value)));
    Ok(())
}

/// A value of an enum by its name in the contract, with its prefix or without.
pub(super) fn constant<T>(
    term: &Term,
    prefix: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Decoded<T> {
    term.read(|name| read(name).or_else(|| read(&format!("{prefix}{name}"))))
}
