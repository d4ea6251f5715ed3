//! What has to be so after a crash.

use std::collections::HashMap;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, SmallInt, Text};
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::outcomes::v1::outcome::State;
use strongroom_proto::transactions::v1::AccountClass;
use suite::Clients;
use tokio::task::block_in_place;

use super::load::Asked;
use super::place::Place;
use super::request::Api;
use crate::wire::{cents, open, source};

const ACCOUNTS: usize = 4;
/// `outcomes.state` of what has succeeded.
const SUCCEEDED: i16 = 3;

/// What must find nothing.
const RULES: [(&str, &str); 4] = [
    (
        "an account has what its entries say, without a gap",
        "SELECT a.id FROM transactions.ledger_accounts a \
         LEFT JOIN transactions.entries e ON e.tenant_id = a.tenant_id AND e.account_id = a.id \
         GROUP BY a.tenant_id, a.id \
         HAVING coalesce(sum(e.amount) FILTER (WHERE e.direction = 1), 0) <> a.posted_debits \
             OR coalesce(sum(e.amount) FILTER (WHERE e.direction = 2), 0) <> a.posted_credits \
             OR count(e.entry_seq) <> a.entry_seq \
             OR coalesce(max(e.entry_seq), 0) <> a.entry_seq",
    ),
    (
        "each transaction is complete and sums to zero",
        "SELECT t.id FROM transactions.transactions t \
         LEFT JOIN transactions.entries e \
             ON e.tenant_id = t.tenant_id AND e.transaction_id = t.id \
         GROUP BY t.tenant_id, t.id HAVING count(e.entry_index) <> t.entry_count \
             OR sum(CASE e.direction WHEN 1 THEN e.amount ELSE -e.amount END) <> 0",
    ),
    (
        "what is held is what open holds keep",
        "SELECT a.id FROM transactions.ledger_accounts a \
         LEFT JOIN transactions.holds h \
             ON h.tenant_id = a.tenant_id AND h.account_id = a.id AND h.state = 1 \
         GROUP BY a.tenant_id, a.id HAVING coalesce(sum(h.remaining), 0) <> a.held",
    ),
    (
        "a hold is what its events say, without a gap",
        "SELECT h.id FROM transactions.holds h \
         LEFT JOIN transactions.hold_events e ON e.tenant_id = h.tenant_id AND e.hold_id = h.id \
         GROUP BY h.tenant_id, h.id \
         HAVING sum(e.amount) FILTER (WHERE e.type = 1) <> h.amount \
             OR coalesce(sum(e.amount) FILTER (WHERE e.type = 2), 0) <> h.captured \
             OR coalesce(sum(e.amount) FILTER (WHERE e.type = 3), 0) <> h.released \
             OR count(*) <> h.event_seq OR max(e.seq) <> h.event_seq",
    ),
];

#[derive(QueryableByName)]
struct Outcome {
    #[diesel(sql_type = Text)]
    request_id: String,
    #[diesel(sql_type = Text)]
    operation: String,
    #[diesel(sql_type = SmallInt)]
    state: i16,
    #[diesel(sql_type = Text)]
    resource: String,
}

#[derive(QueryableByName)]
struct Broken {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The accounts, and what has to be on them.
pub(super) struct Proof {
    /// The first is the house, from which all comes.
    pub(super) accounts: Vec<String>,
    cents: Vec<i64>,
}

impl Proof {
    pub(super) async fn of(clients: &Clients) -> Self {
        let mut accounts = vec![source(clients).await];
        for _ in 0..ACCOUNTS {
            accounts.push(open(clients, AccountClass::Liability).await);
        }
        Self { cents: vec![0; accounts.len()], accounts }
    }

    /// Settles what was asked for before a crash, and proves that the books are right after it.
    pub(super) async fn settle(&mut self, api: &Api, place: &Place, asked: Vec<Asked>) {
        for one in asked.iter().filter(|one| one.answer.is_err()) {
            if settle_unknown(api, one).await {
                self.count(one);
            }
        }
        let acknowledged = asked.iter().filter(|one| one.answer.is_ok());
        let acknowledged: Vec<&Asked> = acknowledged.collect();
        block_in_place(|| assert_there(place, &acknowledged));
        for one in &acknowledged {
            self.count(one);
        }
        // What was done is not done again.
        for one in acknowledged.iter().rev().take(ACCOUNTS) {
            let (name, is_replay) = one.request.send(api).await.unwrap();
            assert!(is_replay);
            assert_eq!(name.as_ref(), one.answer.as_ref().unwrap().as_ref());
        }
        for (account, expected) in self.accounts.iter().zip(&self.cents) {
            assert_eq!(cents(&api.clients, account).await, *expected, "{account}");
        }
        block_in_place(|| assert_books(place));
    }

    fn count(&mut self, asked: &Asked) {
        self.cents[asked.account] += asked.cents;
        self.cents[0] -= asked.cents;
    }
}

/// Settles what nobody has answered, and gives whether it has happened. If it has not it never
/// will.
async fn settle_unknown(api: &Api, asked: &Asked) -> bool {
    let mut patience = 600;
    let outcome = loop {
        match asked.request.settled(api).await {
            Ok(outcome) => break outcome,
            // The database has only just come back.
            Err(status) if patience > 0 => {
                let (reason, ..) = refusal(&status);
                let is_away = matches!(reason, Reason::DatabaseUnavailable | Reason::Deadline);
                assert!(is_away, "{reason:?}: {status:?}");
                patience -= 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(status) => panic!("{status:?}"),
        }
    };
    let repeat = asked.request.send(api).await;
    match outcome.state() {
        State::Succeeded => {
            let (name, is_replay) = repeat.unwrap();
            assert!(is_replay);
            assert!(name.is_none_or(|name| name == outcome.resource));
            true
        }
        State::Unknown => {
            assert_eq!(refusal(&repeat.unwrap_err()).0, Reason::RequestIdReused);
            false
        }
        state => panic!("{asked:?} is {state:?}"),
    }
}

/// What was acknowledged is there, as what the answer said. Blocks.
fn assert_there(place: &Place, acknowledged: &[&Asked]) {
    const OUTCOMES: &str = "SELECT operation, request_id, state, coalesce(resource, '') AS \
                            resource FROM transactions.outcomes WHERE request_id = ANY ($1)";
    let ids: Vec<&str> = acknowledged.iter().map(|one| one.request.request_id()).collect();
    let found: Vec<Outcome> =
        diesel::sql_query(OUTCOMES).bind::<Array<Text>, _>(ids).load(&mut place.admin()).unwrap();
    let found: HashMap<(&str, &str), &Outcome> = found
        .iter()
        .map(|outcome| ((outcome.operation.as_str(), outcome.request_id.as_str()), outcome))
        .collect();
    for one in acknowledged {
        let outcome = found[&(one.request.operation(), one.request.request_id())];
        assert_eq!(outcome.state, SUCCEEDED);
        if let Some(name) = one.answer.as_ref().unwrap() {
            assert_eq!(*name, outcome.resource);
        }
    }
}

/// The rules that the books keep. Blocks.
fn assert_books(place: &Place) {
    let mut admin = place.admin();
    for (rule, sql) in RULES {
        let query = diesel::sql_query(format!("SELECT count(*) AS count FROM ({sql}) broken"));
        let broken: Broken = query.get_result(&mut admin).unwrap();
        assert_eq!(broken.count, 0, "{rule}");
    }
}
