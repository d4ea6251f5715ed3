//! Filters in any spelling, and what callers may come up with.

use super::*;
use crate::ids::{Tenant, TenantId};

fn one(text: &str) -> Term {
    let mut terms = parse(text).unwrap();
    assert_eq!(terms.len(), 1, "{text}");
    terms.remove(0)
}

#[track_caller]
fn assert_refused<T>(read: Decoded<T>, position: usize) -> String {
    let Err(problem) = read else { panic!("nothing was refused") };
    assert_eq!(problem.reason, Reason::FilterInvalid);
    assert_eq!(problem.figures["position"], position.to_string(), "{problem}");
    assert_eq!(problem.field.as_deref(), Some(""));
    problem.message
}

#[test]
fn terms_are_read_in_any_spelling() {
    let terms = parse(" a=x AND (b >= \"y z\" AND\tlabels.env < 'AND') AND c = \"\"").unwrap();
    let read: Vec<_> =
        terms.iter().map(|term| (&*term.path, &*term.value, term.position)).collect();
    let expected = [("a", "x", 2), ("b", "y z", 11), ("labels.env", "AND", 26), ("c", "", 50)];
    assert_eq!(read, expected);
    assert!(parse("").unwrap().is_empty());
    assert!(parse(" \n\t").unwrap().is_empty());
}

#[test]
fn a_key_of_a_map_may_be_anything() {
    for (text, key) in [
        ("labels.env = x", Some("env")),
        ("labels.a.b = x", Some("a.b")),
        ("labels.\"a b.c\" = x", Some("a b.c")),
        ("labels.\"\" = x", Some("")),
        ("labels = x", None),
        ("labelsenv = x", None),
    ] {
        assert_eq!(one(text).key("labels"), key, "{text}");
    }
}

#[test]
fn what_is_refused_says_where() {
    for (text, position) in [
        ("a", 1),
        ("a = b AND c", 11),
        ("a = b OR c = d", 1),
        ("a = b c = d", 1),
        ("a = b AND NOT c = d", 11),
        ("a = b AND -c = d", 11),
        ("a = \" AND \" AND (c = d OR e = f)", 18),
        ("a = é AND c", 11),
        ("a = (b)", 1),
        ("a = b.c", 1),
        ("a = f(b)", 1),
        ("f(a) = b", 1),
        ("\"a\" = b", 1),
        ("a = b AND", 7),
        ("a = ", 5),
        ("a = \"b", 5),
        ("a = b)", 6),
        ("a = 2026-11-01T00:00:00Z", 18),
        ("a = \"\0\"", 6),
        ("a = \u{7f}", 5),
    ] {
        assert_refused(parse(text), position);
    }
    assert_refused(parse(&"(".repeat(1_000)), 1);
    assert_refused(parse(&format!("{}a", "f(".repeat(500))), 1);
    assert_eq!(parse(&"é".repeat(1_025)).unwrap_err().reason, Reason::FieldInvalid);
    assert_eq!(parse(&format!("a = \"{}\"", "é".repeat(1_018))).unwrap().len(), 1);
}

#[test]
fn a_term_is_refused_by_what_reads_it() {
    let terms = parse("x = 1 AND a = b AND a != c").unwrap();
    let message = assert_refused(Err::<(), _>(terms[1].unknown(&["b", "c", "d"])), 11);
    assert_eq!(message, "must compare b, c or d (at position 11)");
    assert_refused(terms[2].equal(), 21);
    assert_refused(terms[1].read(|_| None::<()>), 11);
    assert_refused(terms[1].name::<Tenant>(), 11);
    let mut slot = None;
    terms[0].set(&mut slot, 1).unwrap();
    assert_refused(terms[1].set(&mut slot, 2), 11);
    assert_eq!(slot, Some(1));
}

#[test]
fn names_are_names_of_their_kind() {
    let id = TenantId::generate();
    assert_eq!(one(&format!("tenant = {id}")).name::<Tenant>().unwrap(), id);
    let upper = id.uuid().to_string().to_uppercase();
    for name in ["", "tenants/", "tenants/1", "accounts/1", &format!("tenants/{upper}")] {
        assert_refused(one(&format!("t = \"{name}\"")).name::<Tenant>(), 1);
    }
}

#[test]
fn a_period_has_two_ends() {
    let period = |text: &str| {
        let mut period = Period::default();
        parse(text)?.iter().try_for_each(|term| period.add(term)).map(|()| period)
    };
    let read = period("t >= \"1970-01-01T00:00:01.000002Z\" AND t < '1970-01-01T01:00:02+01:00'");
    let time = |micros| Some(Timestamp::from_micros(micros));
    assert_eq!(read.unwrap(), Period { from: time(1_000_002), before: time(2_000_000) });
    let early = period("t < \"1969-12-31T23:59:59.5Z\"").unwrap();
    assert_eq!(early.before, time(-500_000));
    for (text, position) in [
        ("t = \"2026-11-01T00:00:00Z\"", 1),
        ("t > \"2026-11-01T00:00:00Z\"", 1),
        ("t >= \"2026-11-01T00:00:00\"", 1),
        ("t >= \"2026-11-01\"", 1),
        ("t >= \"2026-02-30T00:00:00Z\"", 1),
        ("t >= \"2026-11-01T00:00:00.0000001Z\"", 1),
        ("t >= \"-002026-11-01T00:00:00Z\"", 1),
        ("t >= \"10000-01-01T00:00:00Z\"", 1),
        ("t >= infinity", 1),
        ("t < \"2026-11-01T00:00:00Z\" AND t < \"2026-11-01T00:00:00Z\"", 32),
    ] {
        assert_refused(period(text), position);
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(text in "[a-z =<>.()\"'\\\\AND é\\-\0]{0,40}") {
        for term in parse(&text).unwrap_or_default() {
            let _ = (term.time(), term.name::<Tenant>());
        }
    }
}
