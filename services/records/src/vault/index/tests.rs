//! Tokens, and what is found out about those that were changed.

use zeroize::Zeroizing;

use super::*;
use crate::domain::content_type::ContentType;
use crate::domain::field_path::FieldPath;
use crate::domain::field_rule::{FieldRule, Index, Sensitivity};
use crate::domain::normalise::Normalisation;
use crate::domain::record_type::RecordType;
use crate::seal::{Key, TenantKey};
use shared::time::Timestamp;

fn keys(versions: &[i32]) -> IndexKeys {
    let above = TenantKey::new(uuid::Uuid::now_v7(), 1, Key::random().unwrap());
    let key = |version: &i32| above.new_index_key(*version).unwrap().0;
    IndexKeys(versions.iter().map(key).collect())
}

fn kind(bits: u32) -> CompiledType {
    let rule = |path: &str, name: &str| FieldRule {
        path: FieldPath::parse(path).unwrap(),
        sensitivity: Sensitivity::Pii,
        index: Some(Index::new(name.to_owned(), bits, Normalisation::Exact).unwrap()),
    };
    let kind = RecordType {
        id: "kyc-file".to_owned(),
        content_type: Some(ContentType::parse("application/json").unwrap()),
        schema: None,
        fields: vec![rule("/name", "name"), rule("/mail", "mail")],
        retention: None,
        requires_consent: false,
        create_time: Timestamp::from_micros(0),
        update_time: Timestamp::from_micros(0),
        revision: 1,
    };
    kind.compile().unwrap()
}

fn value(index: &str, value: &str) -> IndexValue {
    IndexValue { index: index.to_owned(), value: Zeroizing::new(value.to_owned()) }
}

fn rows(tokens: Vec<IndexToken>) -> Vec<IndexRow> {
    let row = |one: IndexToken| IndexRow {
        kind: "kyc-file".to_owned(),
        name: one.name,
        key_version: one.key_version,
        rules: one.rules,
        token: one.token.as_bytes().to_vec(),
    };
    tokens.into_iter().map(row).collect()
}

#[test]
fn tokens_are_made_with_the_newest_key_and_looked_for_with_all() {
    let (keys, kind) = (keys(&[3, 2]), kind(128));
    let values = [value("mail", "a"), value("name", "a"), value("name", "b")];
    let tokens = keys.tokens(&kind, &values).unwrap();
    assert_eq!(tokens.iter().map(|one| one.key_version).collect::<Vec<_>>(), [3, 3, 3]);
    let query = keys.query(&kind, &values[1]).unwrap();
    assert_eq!(query.iter().map(|(version, _)| *version).collect::<Vec<_>>(), [3, 2]);
    let same: Vec<_> = tokens.iter().filter(|one| one.token == query[0].1).collect();
    assert_eq!(same.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["name"]);
    assert_ne!(query[0].1, query[1].1);
    assert!(keys.query(&kind, &value("phone", "1")).is_err());
}

#[test]
fn values_that_share_a_short_token_have_one() {
    let (keys, kind) = (keys(&[1]), kind(8));
    let values: Vec<_> = (0..256).map(|n| value("name", &n.to_string())).collect();
    let tokens = keys.tokens(&kind, &values).unwrap();
    assert!(tokens.len() < values.len());
    keys.verify(&kind, &values, &rows(tokens)).unwrap();
}

#[test]
fn any_change_of_a_row_is_found() {
    let (keys, kind) = (keys(&[2, 1]), kind(128));
    let values = [value("mail", "a"), value("name", "a")];
    let rows = rows(keys.tokens(&kind, &values).unwrap());
    let verify = |rows: &[IndexRow]| keys.verify(&kind, &values, rows);
    verify(&rows).unwrap();
    assert!(keys.verify(&kind, &values[..1], &rows).is_err(), "a row too many");
    verify(&rows[..1]).unwrap_err();
    for bit in 0..128 {
        let mut changed = rows.clone();
        changed[1].token[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&changed).is_err(), "bit {bit}");
    }
    let edits: [fn(&mut IndexRow); 5] = [
        |row| row.name = "mail".to_owned(),
        |row| row.kind = "kyc-filf".to_owned(),
        |row| row.key_version = 1,
        |row| row.key_version = 9,
        |row| row.rules ^= 1,
    ];
    for edit in edits {
        let mut changed = rows.clone();
        edit(&mut changed[1]);
        verify(&changed).unwrap_err();
    }
}

#[test]
fn rows_of_other_rules_say_nothing() {
    let keys = keys(&[1]);
    let (old, new) = (kind(128), kind(64));
    let values = [value("name", "a")];
    let rows = rows(keys.tokens(&old, &values).unwrap());
    keys.verify(&new, &[value("name", "b")], &rows).unwrap();
    keys.verify(&old, &[value("name", "b")], &rows).unwrap_err();
}
