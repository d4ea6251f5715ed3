use super::*;

fn units(units: i128) -> Units {
    Units::new(units).unwrap()
}

fn head() -> NewStatement {
    let uuid = uuid::Uuid::from_u128;
    NewStatement {
        name: StatementName {
            account: AccountId::from_uuid(uuid(1)),
            id: StatementId::from_uuid(uuid(2)),
        },
        start: Day::parse("2026-10-01").unwrap(),
        end: Day::parse("2026-10-31").unwrap(),
        version: 1,
        supersedes: None,
        currency: Currency::iso("EUR").unwrap(),
        normal_side: Direction::Credit,
        opening: units(100),
        debits: units(30),
        credits: Units::ZERO,
        closing: units(70),
        line_count: 1,
        entry_seq: 7,
        is_final: true,
        create_time: Timestamp::from_micros(0),
    }
}

fn line() -> StatementLine {
    StatementLine {
        line: 1,
        transaction: TransactionId::from_uuid(uuid::Uuid::from_u128(3)),
        kind: "PAY".to_owned(),
        entry_index: 0,
        direction: Direction::Debit,
        amount: units(30),
        posted_after: units(70),
        available_after: None,
        entry_seq: 7,
        version_after: 8,
        effective_time: Timestamp::from_micros(0),
        record_time: Timestamp::from_micros(0),
        booking_date: Day::parse("2026-10-31").unwrap(),
        balance: units(70),
        memo: Some(Written { text: "rent".to_owned(), commitment: None }),
        description: None,
    }
}

fn hash(head: &NewStatement, line: &StatementLine) -> Option<String> {
    let tenant = TenantId::from_uuid(uuid::Uuid::from_u128(4));
    let mut tally = Tally::begin(head, tenant);
    tally.add(line)?;
    tally.end().map(|hash| hex(&hash))
}

#[test]
fn a_statement_has_one_name() {
    let name = head().name;
    assert_eq!(StatementName::parse(&name.name()).unwrap(), name);
    for bad in ["", "accounts/1/statements/2", "/statements/", &name.account.name()] {
        assert!(StatementName::parse(bad).is_err(), "{bad}");
    }
    assert!(StatementName::parse(&format!("{}/x", name.name())).is_err());
}

/// A change of the format would make every statement that exists unprovable.
#[test]
fn the_format_of_what_is_hashed_does_not_change() {
    let id = |n: u8| format!("00000000-0000-0000-0000-{n:012}");
    let (one, two, three, four) = (id(1), id(2), id(3), id(4));
    let expected = format!(
        "{{\"v\":1,\"kind\":\"statement.created\",\"tenant\":\"tenants/{four}\",\
         \"statement\":\"accounts/{one}/statements/{two}\",\"account\":\"accounts/{one}\",\
         \"start_date\":\"2026-10-01\",\"end_date\":\"2026-10-31\",\"version\":1,\
         \"currency\":\"EUR\",\"normal_side\":\"CREDIT\",\"opening\":\"1.00\",\
         \"debits\":\"0.30\",\"credits\":\"0.00\",\"closing\":\"0.70\",\"line_count\":1,\
         \"entry_seq\":7,\"final\":true,\"create_time\":\"1970-01-01T00:00:00Z\"}}"
    );
    assert_eq!(head().line(TenantId::from_uuid(uuid::Uuid::from_u128(4))), expected);
    let expected = format!(
        "{{\"line\":1,\"transaction\":\"transactions/{three}\",\"type\":\"PAY\",\
         \"entry_index\":0,\"direction\":\"DEBIT\",\"amount\":\"0.30\",\"posted\":\"0.70\",\
         \"entry_seq\":7,\"version\":8,\"effective_time\":\"1970-01-01T00:00:00Z\",\
         \"record_time\":\"1970-01-01T00:00:00Z\",\"booking_date\":\"2026-10-31\",\
         \"balance\":\"0.70\"}}"
    );
    assert_eq!(line().line(head().currency), expected);
}

#[test]
fn what_does_not_add_up_has_no_hash() {
    let (head, line) = (head(), line());
    let right = hash(&head, &line).unwrap();
    // Nobody's text is in it.
    let other = Written { text: "other".to_owned(), commitment: None };
    let same = hash(&head, &StatementLine { memo: Some(other), ..line.clone() });
    assert_eq!(same.as_ref(), Some(&right));
    let later = NewStatement { entry_seq: 8, ..head.clone() };
    assert_ne!(hash(&later, &line), Some(right));
    for head in [
        NewStatement { opening: units(99), ..head.clone() },
        NewStatement { closing: units(71), ..head.clone() },
        NewStatement { credits: units(1), ..head.clone() },
        NewStatement { line_count: 2, ..head.clone() },
        NewStatement { normal_side: Direction::Debit, ..head.clone() },
    ] {
        assert_eq!(hash(&head, &line), None);
    }
    assert_eq!(hash(&head, &StatementLine { line: 2, ..line }), None);
}
