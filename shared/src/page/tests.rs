//! Pages over a list of numbers, and tokens in the wrong hands.

use std::convert::Infallible;

use prost_types::Value;

use super::*;

fn key(byte: u8) -> TenantKey {
    TenantKey::new([byte; 32])
}

fn page(size: i32, token: &str) -> Page<u32> {
    Page::decode(&key(1), "list-numbers", &"a", size, token).unwrap()
}

/// One page of the even numbers, or of all, below 10,000: how many, and the token.
fn even(size: i32, token: &str, is_kept: impl Fn(u32) -> bool) -> (Vec<u32>, String) {
    let page = page(size, token);
    let candidates = |after: Option<&u32>, limit: i64| {
        let from = after.map_or(0, |after| after + 1);
        Ok::<_, Infallible>((from..10_000).take(usize::try_from(limit).unwrap()).collect())
    };
    let Ok(found) = Found::among(&page, candidates, |n| *n, |n| is_kept(*n));
    let items = found.items.clone();
    let (messages, token) = page.fill(found, usize::MAX, |n| *n, |_| Value::default());
    (items[..messages.len()].to_vec(), token)
}

/// Every page, one after the other.
fn walk(size: i32, is_kept: impl Fn(u32) -> bool + Copy) -> Vec<Vec<u32>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let (items, next) = even(size, &token, is_kept);
        pages.push(items);
        if next.is_empty() {
            return pages;
        }
        token = next;
    }
}

#[test]
fn pages_have_everything_once_in_order_whatever_the_filter() {
    let all: Vec<u32> = (0..10_000).collect();
    for size in [3, 50, 999, 1_000, 5_000] {
        assert_eq!(walk(size, |_| true).concat(), all, "pages of {size}");
    }
    let rare = |n| n % 1_999 == 7;
    assert_eq!(walk(1, rare).concat(), [7, 2_006, 4_005, 6_004, 8_003]);
    assert_eq!(walk(2, |n| n == 9_999).concat(), [9_999]);
    assert_eq!(walk(2, |_| false).concat(), [0_u32; 0]);
}

#[test]
fn a_page_examines_no_more_than_it_may() {
    let pages = walk(2, |_| false);
    assert_eq!(pages.len(), 10_000 / EXAMINED_MAX + 1);
    let page = page(1, "");
    let mut examined = 0;
    let count = |_: Option<&u32>, limit: i64| {
        let limit = u32::try_from(limit).unwrap();
        examined += limit;
        Ok::<_, Infallible>((0..limit).collect())
    };
    let Ok(found) = Found::among(&page, count, |n| *n, |_| false);
    assert!(found.items.is_empty() && found.more.is_some());
    assert_eq!(examined as usize, EXAMINED_MAX);
}

#[test]
fn a_page_fits_into_a_message_and_has_at_least_one() {
    let text = |n: u32| prost_types::FieldMask { paths: vec!["x".repeat(n as usize)] };
    let filled = |sizes: Vec<u32>, bytes: usize| {
        let (messages, token) = page(10, "").fill(Found::all(sizes), bytes, |n| *n, text);
        (messages.len(), if token.is_empty() { None } else { page(10, &token).after })
    };
    assert_eq!(filled(vec![1_000, 1_001, 1_002], OVERHEAD_BYTES + 2_100), (2, Some(1_001)));
    assert_eq!(filled(vec![1_000, 1_001], OVERHEAD_BYTES + 2_100), (2, None));
    assert_eq!(filled(vec![1_000, 1_001], 0), (1, Some(1_000)));
    assert_eq!(filled(vec![], 0), (0, None));
}

#[test]
fn what_is_loaded_is_what_fits() {
    let text = |n: &u32| prost_types::FieldMask { paths: vec!["x".repeat(*n as usize)] };
    let loaded = |sizes: Vec<u32>, guess: usize, room: usize| {
        let mut loads = Vec::new();
        let load = |some: &[u32]| {
            loads.push(some.len());
            Ok::<_, Infallible>(some.iter().map(text).collect())
        };
        let found = Found::all(sizes);
        let Ok((messages, token)) =
            page(5, "").load(found, OVERHEAD_BYTES + room, |n| *n, |_| guess, load);
        let after = if token.is_empty() { None } else { page(5, &token).after };
        (messages.len(), after, loads)
    };
    // At once where they seem to fit, a part at a time where they are smaller than they seemed, and
    // no more than a message takes where they are larger.
    assert_eq!(loaded(vec![1, 2, 3, 4, 5, 6], 10, 1_000), (5, Some(5), vec![5]));
    assert_eq!(loaded(vec![1, 2, 3, 4], 500, 1_010), (4, None, vec![2, 1, 1]));
    assert_eq!(loaded(vec![400, 401, 402, 403], 10, 1_000), (2, Some(401), vec![4]));
    assert_eq!(loaded(vec![400, 401], 10, 0), (1, Some(400), vec![1, 1]));
    assert_eq!(loaded(vec![], 10, 0), (0, None, vec![]));
}

#[test]
fn sizes_have_bounds() {
    for (asked, size) in [(0, 50), (1, 1), (1_000, 1_000), (i32::MAX, 1_000)] {
        assert_eq!(page(asked, "").size, size);
    }
    let refused = Page::<u32>::decode(&key(1), "list-numbers", &"a", -1, "").unwrap_err();
    assert_eq!(
        (refused.reason, refused.field.as_deref()),
        (Reason::FieldInvalid, Some("page_size"))
    );
}

#[test]
fn a_token_serves_one_tenant_and_one_query() {
    let token = page(1, "").tokens.token(&7_u32);
    assert_eq!(page(1, &token).after, Some(7));
    let decode = |byte: u8, query: &str, arguments: &str, token: &str| {
        Page::<u32>::decode(&key(byte), query, &arguments, 1, token)
    };
    for foreign in [
        decode(2, "list-numbers", "a", &token),
        decode(1, "list-others", "a", &token),
        decode(1, "list-numbers", "b", &token),
        decode(1, "list-numbers", "a", "x"),
        decode(1, "list-numbers", "a", "!!"),
        decode(1, "list-numbers", "a", "AAAA"),
        decode(1, "list-numbers", "a", &token[1..]),
        decode(1, "list-numbers", "a", &format!("{token}A")),
        // As a version would make it whose lists are in another order.
        decode(1, "list-numbers", "a", &page(1, "").tokens.token(&"seven")),
    ] {
        let refused = foreign.unwrap_err();
        assert_eq!(refused.reason, Reason::PageTokenInvalid);
        assert_eq!(refused.field.as_deref(), Some("page_token"));
    }
}
