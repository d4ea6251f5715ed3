//! A map whose changes can be taken back until they are kept.

use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub(super) struct Table<V> {
    rows: BTreeMap<String, V>,
    /// What was there before each change since the last time that changes were kept.
    before: Vec<(String, Option<V>)>,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), before: Vec::new() }
    }
}

impl<V: Clone> Table<V> {
    pub(super) fn get(&self, key: &str) -> Option<&V> {
        self.rows.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &V)> {
        self.rows.iter()
    }

    pub(super) fn put(&mut self, key: &str, value: V) {
        let old = self.rows.insert(key.to_owned(), value);
        self.before.push((key.to_owned(), old));
    }

    /// A row to be changed, which has to be there.
    pub(super) fn change(&mut self, key: &str) -> &mut V {
        let row = self.rows.get_mut(key).unwrap();
        self.before.push((key.to_owned(), Some(row.clone())));
        row
    }

    pub(super) fn keep(&mut self) {
        self.before.clear();
    }

    pub(super) fn take_back(&mut self) {
        while let Some((key, old)) = self.before.pop() {
            match old {
                Some(old) => self.rows.insert(key, old),
                None => self.rows.remove(&key),
            };
        }
    }
}
