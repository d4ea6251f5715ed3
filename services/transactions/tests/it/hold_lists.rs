//! Lists of holds.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::{MockClock, refusal};
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;

use crate::requests::{capture, hold, release};
use crate::setup::{Client, Ledger, unbounded};

/// 2027-03-27T12:00:00Z.
const START: Timestamp = Timestamp::from_micros(1_806_148_800_000_000);

impl Client {
    async fn list_holds(
        &mut self,
        page_size: i32,
        page_token: &str,
        filter: &str,
    ) -> Result<wire::ListHoldsResponse, Status> {
        let (page_token, filter) = (page_token.to_owned(), filter.to_owned());
        let request = wire::ListHoldsRequest { page_size, page_token, filter };
        self.holds.list_holds(request).await.map(tonic::Response::into_inner)
    }

    /// The holds of every page, one after the other.
    async fn all_holds(&mut self, size: i32, filter: &str) -> Vec<wire::Hold> {
        let (mut holds, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.list_holds(size, &token, filter).await.unwrap();
            holds.extend(page.holds);
            token = page.next_page_token;
            if token.is_empty() {
                return holds;
            }
        }
    }
}

fn names(holds: &[wire::Hold]) -> Vec<&str> {
    holds.iter().map(|one| one.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_list_is_refused() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("2").await;
    for _ in 0..2 {
        client.hold(&hold(&account, &house, "1")).await.unwrap();
    }
    let fields = "must compare account, type, state, external_ids.{KIND} or create_time";
    for (filter, position, sentence) in [
        ("state = OPEN AND record_time < x", 18, fields),
        ("labels.a = b", 1, fields),
        ("state = SHUT", 1, "must have a usable state"),
        ("state = STATE_UNSPECIFIED", 1, "must have a usable state"),
        ("state >= OPEN", 1, "must compare with ="),
        ("account = holds/1", 1, "must compare account with accounts/{uuid}"),
        ("create_time < 7", 1, "must compare create_time with a time such as"),
        ("state =", 8, "must be a filter as in AIP-160"),
    ] {
        let refused = client.list_holds(0, "", filter).await.unwrap_err();
        let (reason, field, figures) = refusal(&refused);
        assert_eq!((reason, &*field), (Reason::FilterInvalid, "filter"), "{filter}");
        assert_eq!(figures["position"], position.to_string(), "{filter}: {}", refused.message());
        assert!(refused.message().contains(sentence), "{filter}: {}", refused.message());
    }
    let token = client.list_holds(1, "", "").await.unwrap().next_page_token;
    let foreign = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut stranger = ledger.client_of(foreign, &["*"]);
    assert!(stranger.all_holds(0, &format!("account = {account}")).await.is_empty());
    for (answer, reason, field) in [
        (client.list_holds(-1, "", "").await, Reason::FieldInvalid, "page_size"),
        (
            client.list_holds(1, &token, "state = OPEN").await,
            Reason::PageTokenInvalid,
            "page_token",
        ),
        (client.list_holds(1, &token[1..], "").await, Reason::PageTokenInvalid, "page_token"),
        (stranger.list_holds(1, &token, "").await, Reason::PageTokenInvalid, "page_token"),
    ] {
        let (found, path, _) = refusal(&answer.unwrap_err());
        assert_eq!((found, path.as_str()), (reason, field));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_are_listed_as_the_clock_has_them() {
    let clock = MockClock::at(START);
    let ledger = Ledger::start_in(&clock).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let mut made = Vec::new();
    for hours in [0, 1, 2, 3] {
        let mut request = hold(&account, &house, "10");
        let micros = START.micros() + hours * 3_600_000_000;
        let expire_time = Timestamp::from_micros(micros).encode();
        request.hold.as_mut().unwrap().expire_time = Some(expire_time).filter(|_| hours > 0);
        made.push(client.hold(&request).await.unwrap().name);
        clock.advance(Duration::from_secs(1));
    }
    let [lasting, first, second, third] = &made[..] else { panic!("there are four") };
    client.capture(&capture(third)).await.unwrap();
    let of_account = format!("account = {account} AND ");
    for (seconds, open, expired) in [
        (0, vec![second, first, lasting], vec![]),
        (3_596 - 1, vec![second, first, lasting], vec![]),
        // Its end is the first moment in which it is over.
        (1, vec![second, lasting], vec![first]),
        (3_600, vec![lasting], vec![second, first]),
    ] {
        clock.advance(Duration::from_secs(seconds));
        for prefix in ["", of_account.as_str()] {
            let found = client.all_holds(1, &format!("{prefix}state = OPEN")).await;
            assert_eq!(names(&found), open);
            let found = client.all_holds(1, &format!("{prefix}state = STATE_EXPIRED")).await;
            assert_eq!(names(&found), expired);
            assert!(found.iter().all(|one| one.state() == wire::hold::State::Expired));
            assert!(found.iter().all(|one| one.remaining.as_ref().unwrap().amount == "0.00"));
            let found = client.all_holds(1, &format!("{prefix}state = CAPTURED")).await;
            assert_eq!(names(&found), [third]);
            assert!(client.all_holds(1, &format!("{prefix}state = RELEASED")).await.is_empty());
        }
    }
    // Whoever records the expiries changes nothing of that.
    client.release(&release(lasting)).await.unwrap();
    assert_eq!(names(&client.all_holds(1, "state = EXPIRED").await), [second, first]);
    assert_eq!(names(&client.all_holds(1, "state = RELEASED").await), [lasting]);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_through_what_they_say() {
    use wire::batch_item::Operation;
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("100").await;
    let mut items = Vec::new();
    for n in 0..12 {
        let own = client.account(Some(unbounded())).await;
        let mut request = hold(if n % 2 == 0 { &account } else { &own }, &house, "1");
        request.request_id = String::new();
        let wire = request.hold.as_mut().unwrap();
        wire.r#type = if n % 3 == 0 { "RENT" } else { "CARD" }.to_owned();
        wire.description = format!("hold {n}");
        wire.external_ids.insert("ARN".to_owned(), format!("arn-{n}"));
        items.push(wire::BatchItem { operation: Some(Operation::Hold(request)) });
    }
    // Those of different accounts have one time.
    let batch = wire::ExecuteBatchRequest {
        items,
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: "holds".to_owned(),
        ..Default::default()
    };
    client.transactions.execute_batch(batch).await.unwrap();
    let all = client.all_holds(0, "").await;
    assert_eq!(all.len(), 12);
    let time = |one: &wire::Hold| Timestamp::decode(one.create_time.unwrap()).unwrap();
    assert!(all.is_sorted_by(|a, b| (time(a), &a.name) > (time(b), &b.name)));
    assert!(all.windows(2).any(|two| time(&two[0]) == time(&two[1])));
    let read = client.read_hold(&all[5].name).await;
    assert_eq!(wire::Hold { events: Vec::new(), ..read }, all[5]);
    for size in [1, 5, 12, 1_000] {
        assert_eq!(client.all_holds(size, "").await, all, "pages of {size}");
    }
    let arn = |one: &wire::Hold| one.external_ids["ARN"].clone();
    for one in &all {
        let (own, next) = (time(one), time(one).next());
        for prefix in [String::new(), format!("account = {} AND ", one.account)] {
            let filter = format!("{prefix}create_time >= \"{own}\" AND create_time < \"{next}\"");
            let inside = |other: &&wire::Hold| {
                time(other) == own && (prefix.is_empty() || other.account == one.account)
            };
            let expected: Vec<_> = all.iter().filter(inside).cloned().collect();
            assert_eq!(client.all_holds(1, &filter).await, expected, "{filter}");
        }
        let filter = format!("external_ids.ARN = {} AND account = {}", arn(one), one.account);
        assert_eq!(client.all_holds(1, &filter).await.first(), Some(one));
        assert!(client.all_holds(1, &format!("{filter} AND type = NO")).await.is_empty());
        assert!(client.all_holds(1, &format!("{filter} AND state = EXPIRED")).await.is_empty());
        let late = format!("{filter} AND create_time < \"{own}\"");
        assert!(client.all_holds(1, &late).await.is_empty());
    }
    for (filter, count) in [
        (format!("account = {account}"), 6),
        (format!("account = {account} AND type = RENT"), 2),
        ("type = CARD AND state = OPEN".to_owned(), 8),
        ("external_ids.ARN = none".to_owned(), 0),
    ] {
        assert_eq!(client.all_holds(2, &filter).await.len(), count, "{filter}");
    }
}
