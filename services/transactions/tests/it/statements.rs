//! Statements: snapshots that add up, and that nothing changes.

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection as _;
use shared::problem::Reason;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use wire::Direction;

use crate::defence::attack;
use crate::periods::noon;
use crate::requests::{field, why};
use crate::setup::{Client, Ledger, entry, eur, request_id, transfer, unbounded};

pub(crate) fn of_days(account: &str, start: &str, end: &str) -> wire::CreateStatementRequest {
    wire::CreateStatementRequest {
        account: account.to_owned(),
        start_date: start.to_owned(),
        end_date: end.to_owned(),
        ..Default::default()
    }
}

impl Client {
    pub(crate) async fn state(
        &mut self,
        request: &wire::CreateStatementRequest,
    ) -> Result<wire::Statement, Status> {
        let answer = self.statements.create_statement(request.clone()).await;
        answer.map(tonic::Response::into_inner)
    }

    pub(crate) async fn lines(&mut self, name: &str, page_size: i32) -> Vec<wire::StatementLine> {
        let (mut lines, mut page_token) = (Vec::new(), String::new());
        loop {
            let name = name.to_owned();
            let request = wire::ListStatementLinesRequest { name, page_size, page_token };
            let page = self.statements.list_statement_lines(request).await.unwrap().into_inner();
            lines.extend(page.lines);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return lines;
            }
        }
    }

    async fn statement(&mut self, name: &str) -> Result<wire::Statement, Status> {
        let request = wire::GetStatementRequest { name: name.to_owned() };
        self.statements.get_statement(request).await.map(tonic::Response::into_inner)
    }

    async fn list_statements(
        &mut self,
        account: &str,
        size: i32,
    ) -> Result<Vec<wire::Statement>, Status> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let account = account.to_owned();
            let request = wire::ListStatementsRequest { account, page_size: size, page_token };
            let page = self.statements.list_statements(request).await?.into_inner();
            all.extend(page.statements);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    pub(crate) async fn pay_on(
        &mut self,
        from: &str,
        to: &str,
        amount: &str,
        day: &str,
    ) -> wire::Transaction {
        let request = wire::CreateTransferRequest {
            booking_date: day.to_owned(),
            ..transfer(from, to, amount)
        };
        self.transfer(&request).await.unwrap()
    }
}

fn amount(money: Option<&Money>) -> i64 {
    money.unwrap().amount.replace('.', "").parse().unwrap()
}

/// Asserts that a statement is what its lines and the balances of its days say.
async fn assert_adds_up(client: &mut Client, account: &str, statement: &wire::Statement) {
    let lines = client.lines(&statement.name, 2).await;
    assert_eq!(i64::try_from(lines.len()).unwrap(), statement.line_count);
    let (mut balance, mut sides) = (amount(statement.opening.as_ref()), (0, 0));
    let mut places = Vec::new();
    for (n, line) in (1..).zip(&lines) {
        let entry = line.entry.as_ref().unwrap();
        match entry.direction() {
            Direction::Debit => sides.0 += amount(entry.amount.as_ref()),
            _ => sides.1 += amount(entry.amount.as_ref()),
        }
        let change = amount(entry.amount.as_ref());
        balance += if entry.direction() == Direction::Credit { change } else { -change };
        assert_eq!((line.line, amount(line.balance.as_ref())), (n, balance));
        places.push((entry.booking_date.clone(), entry.entry_seq));
    }
    assert!(places.is_sorted());
    assert_eq!(sides, (amount(statement.debits.as_ref()), amount(statement.credits.as_ref())));
    assert_eq!(balance, amount(statement.closing.as_ref()));
    let on = client.balance_on(account, &statement.end_date).await;
    assert_eq!(on.posted, statement.closing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_adds_up() {
    let clock = noon();
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, shop) = (client.account(Some(unbounded())).await, client.account(None).await);
    let days = ["2026-09-30", "2026-10-31", "2026-10-01", "2026-11-01", "2026-10-15", "2026-10-01"];
    for (n, day) in (1..).zip(days) {
        client.pay_on(&house, &shop, &format!("{n}"), day).await;
    }
    client.pay_on(&shop, &house, "2.50", "2026-10-15").await;
    client.pay(&shop, &house, "1").await.unwrap();
    clock.advance(std::time::Duration::from_secs(86_400));
    client.pay(&shop, &house, "1").await.unwrap();
    // Both sides of one account in one transaction.
    let entries =
        vec![entry(&shop, Direction::Debit, eur("1")), entry(&shop, Direction::Credit, eur("1"))];
    let both = wire::Transaction { r#type: "PAY".to_owned(), entries, ..Default::default() };
    let both = wire::CreateTransactionRequest {
        transaction: Some(both),
        request_id: request_id(),
        ..Default::default()
    };
    client.transactions.create_transaction(both).await.unwrap();

    let october = of_days(&shop, "2026-10-01", "2026-10-31");
    let preview = wire::CreateStatementRequest { validate_only: true, ..october.clone() };
    let preview = client.state(&preview).await.unwrap();
    let found = client.state(&october).await.unwrap();
    assert_eq!(
        (found.opening.clone(), found.closing.clone()),
        (Some(eur("1.00")), Some(eur("14.50")))
    );
    assert_eq!((found.line_count, found.version, found.r#final), (5, 1, false));
    assert_eq!((preview.line_count, &preview.closing), (5, &found.closing));
    assert_eq!(client.list_statements(&shop, 0).await.unwrap(), std::slice::from_ref(&found));
    let expected =
        wire::Statement { name: found.name.clone(), hash: found.hash.clone(), ..preview };
    assert_eq!((expected, found.hash.len()), (found, 32));
    for (start, end) in [
        ("2026-10-01", "2026-10-31"),
        ("2026-09-30", "2026-09-30"),
        ("2026-10-02", "2026-10-14"),
        ("2026-10-15", "2026-11-22"),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-23", "2026-11-23"),
        ("2025-11-22", "2026-11-23"),
    ] {
        for account in [&shop, &house] {
            let statement = client.state(&of_days(account, start, end)).await.unwrap();
            assert_adds_up(&mut client, account, &statement).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_makes_a_new_version() {
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    let (house, shop) = (client.account(Some(unbounded())).await, client.account(None).await);
    client.pay_on(&house, &shop, "10", "2026-10-31").await;
    let request = wire::CreateStatementRequest {
        request_id: request_id(),
        ..of_days(&shop, "2026-10-01", "2026-10-31")
    };
    let open = client.state(&request).await.unwrap();
    client.close_period("2026-10").await.unwrap();
    let again = client.statements.create_statement(request.clone()).await.unwrap();
    assert!(again.metadata().contains_key("strongroom-replayed"));
    assert_eq!(again.into_inner(), open);
    let other = wire::CreateStatementRequest { start_date: "2026-10-02".to_owned(), ..request };
    assert_eq!(why(client.state(&other).await).0, Reason::RequestIdReused);

    let october = of_days(&shop, "2026-10-01", "2026-10-31");
    let closed = client.state(&october).await.unwrap();
    assert_eq!((closed.version, closed.r#final, &closed.supersedes), (2, true, &open.name));
    assert_ne!(closed.hash, open.hash);
    client.reopen("2026-10").await.unwrap();
    client.pay_on(&house, &shop, "5", "2026-10-01").await;
    client.close_period("2026-10").await.unwrap();
    let late = client.state(&october).await.unwrap();
    assert_eq!((late.version, late.line_count, &late.supersedes), (3, 2, &closed.name));
    assert_eq!(late.closing, Some(eur("15.00")));
    // The earlier ones are as they were.
    assert_eq!(client.statement(&closed.name).await.unwrap(), closed);
    assert_eq!(client.lines(&closed.name, 0).await.len(), 1);
    let first = client.state(&of_days(&shop, "2026-10-01", "2026-10-01")).await.unwrap();
    assert_eq!((first.version, first.r#final), (1, true));
    let all = client.list_statements(&shop, 1).await.unwrap();
    let names: BTreeSet<_> = all.iter().map(|one| one.name.as_str()).collect();
    assert_eq!((all.len(), names.len()), (4, 4));

    for table in ["statements", "statement_lines"] {
        let refused = format!("permission denied for table {table}");
        for sql in ["DELETE FROM", "TRUNCATE"] {
            assert_eq!(attack(&ledger, &format!("{sql} {table}")), refused);
        }
        assert_eq!(attack(&ledger, &format!("UPDATE {table} SET entry_seq = 0")), refused);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_version_is_of_one_moment_while_others_post() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, shop) = client.funded("1").await;
    let today = client.pay(&house, &shop, "1").await.unwrap().booking_date;
    let ended = tokio_util::sync::CancellationToken::new();
    let poster = tokio::spawn({
        let (mut client, ended) = (client.clone(), ended.clone());
        let (house, shop) = (house.clone(), shop.clone());
        async move {
            while !ended.is_cancelled() {
                client.pay(&house, &shop, "1").await.unwrap();
            }
        }
    });
    let makers: Vec<_> = (0..4)
        .map(|_| {
            let (mut client, request) = (client.clone(), of_days(&shop, &today, &today));
            tokio::spawn(async move {
                let mut made = Vec::new();
                for _ in 0..5 {
                    made.push(client.state(&request).await.unwrap());
                }
                made
            })
        })
        .collect();
    let mut made = Vec::new();
    for maker in makers {
        made.extend(maker.await.unwrap());
    }
    ended.cancel();
    poster.await.unwrap();
    made.sort_by_key(|one| one.version);
    assert_eq!(
        made.iter().map(|one| one.version).collect::<Vec<_>>(),
        (1..=20).collect::<Vec<_>>()
    );
    assert!(made.is_sorted_by_key(|one| one.entry_seq));
    for one in made {
        assert_eq!(
            (one.line_count, amount(one.closing.as_ref())),
            (one.entry_seq, one.entry_seq * 100)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stated_is_refused() {
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    let (_, shop) = client.funded("1").await;
    let statement = client.state(&of_days(&shop, "2026-11-22", "2026-11-22")).await.unwrap();
    for (start, end, name) in [
        ("", "2026-10-31", "start_date"),
        ("2026-10-01", "2026-10-32", "end_date"),
        ("2026-11-01", "2026-11-23", "end_date"),
        ("2026-10-02", "2026-10-01", "end_date"),
        ("2025-10-01", "2026-10-03", "end_date"),
    ] {
        let refused = client.state(&of_days(&shop, start, end)).await;
        assert_eq!(field(refused), (Reason::FieldInvalid, name.to_owned()), "{start} {end}");
    }
    let malformed = client.statement("accounts/1/statements/2").await;
    assert_eq!(field(malformed), (Reason::FieldInvalid, "name".to_owned()));
    // The account is part of the name.
    let (_, other) = client.funded("1").await;
    let moved = statement.name.replace(&shop, &other);
    assert_eq!(why(client.statement(&moved).await).0, Reason::ResourceNotFound);

    let foreign = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(foreign, &["*"]);
    let days = of_days(&shop, "2026-11-01", "2026-11-01");
    let (account, name) = (shop.clone(), statement.name.clone());
    let page = wire::ListStatementLinesRequest { name, ..Default::default() };
    for refused in [
        stranger.state(&days).await.map(drop),
        stranger.statement(&statement.name).await.map(drop),
        stranger.list_statements(&account, 0).await.map(drop),
        stranger.statements.list_statement_lines(page).await.map(drop),
    ] {
        assert_eq!(why(refused).0, Reason::ResourceNotFound);
    }
}

/// An account with as many entries as a statement takes and one more, all on one day.
const FILL: &str = "
    SET strongroom.tenant = '{tenant}';
    CREATE FUNCTION pg_temp.id(n bigint) RETURNS uuid LANGUAGE sql AS
        $$ SELECT ('b' || lpad(n::text, 31, '0'))::uuid $$;
    INSERT INTO transactions (tenant_id, id, kind, entry_count, effective_time, record_time,
                              booking_date)
        SELECT '{tenant}', pg_temp.id(n), 'PAY', 2, '2026-11-21Z', '2026-11-21Z', '2026-11-21'
        FROM generate_series(1, 100001) n;
    INSERT INTO entries (tenant_id, transaction_id, entry_index, account_id, entry_seq, direction,
                         amount, currency, posted_after, version_after)
        SELECT '{tenant}', pg_temp.id(n), side,
               CASE side WHEN 0 THEN '{from}' ELSE '{to}' END::uuid, n, side + 1, 1, 'EUR', n, n
        FROM generate_series(1, 100001) n, generate_series(0, 1) side;
    UPDATE ledger_accounts SET entry_seq = 100001, day = '2026-11-21',
        posted_debits = CASE id WHEN '{from}' THEN 100001 ELSE 0 END,
        day_debits = CASE id WHEN '{from}' THEN 100001 ELSE 0 END,
        posted_credits = CASE id WHEN '{to}' THEN 100001 ELSE 0 END,
        day_credits = CASE id WHEN '{to}' THEN 100001 ELSE 0 END;";

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_has_a_limit_and_damaged_books_have_none() {
    let ledger = Ledger::start_in(&noon()).await;
    let mut client = ledger.client();
    let (from, to) = (client.account(Some(unbounded())).await, client.account(None).await);
    let id = |name: &str| name.strip_prefix("accounts/").unwrap().to_owned();
    let fill = FILL.replace("{tenant}", &ledger.tenant.uuid().to_string());
    let fill = fill.replace("{from}", &id(&from)).replace("{to}", &id(&to));
    let run = |sql: &str| {
        tokio::task::block_in_place(|| ledger.database.owner().batch_execute(sql).unwrap());
    };
    run(&fill);
    let request = of_days(&to, "2026-11-01", "2026-11-22");
    for validate_only in [true, false] {
        let request = wire::CreateStatementRequest { validate_only, ..request.clone() };
        assert_eq!(
            field(client.state(&request).await),
            (Reason::TooManyEntries, "end_date".to_owned())
        );
    }
    let set = format!("SET strongroom.tenant = '{}'", ledger.tenant.uuid());
    run(&format!("{set}; UPDATE ledger_accounts SET entry_seq = 100000"));
    // The last entry is none of the account's now, but the total of the day has it.
    assert_eq!(why(client.state(&request).await).0, Reason::BooksMismatch);
    run(&format!("{set}; UPDATE ledger_accounts SET day_credits = 100000 WHERE day_credits > 0"));
    let most = client.state(&request).await.unwrap();
    assert_eq!((most.line_count, most.closing), (100_000, Some(eur("1000.00"))));
}
