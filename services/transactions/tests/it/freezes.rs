//! A freeze that races a stream of postings, holds and captures at two replicas: once it is
//! acknowledged none passes. `STRONGROOM_TEST_SCALE=10` makes ten times as many races.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::JoinSet;
use tonic::Status;
use wire::block::Effect;

use crate::books::assert_books;
use crate::model::scale;
use crate::requests::{capture, hold};
use crate::setup::{Client, block, transfer};
use crate::two::Two;

const RACES: usize = 5;
/// What has passed before the freeze.
const BEFORE: usize = 60;

/// What a stream is made of.
#[derive(Debug, Clone, Copy)]
enum Act {
    Pay,
    Hold,
    Capture,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_a_freeze_that_was_acknowledged() {
    let two = Two::start().await;
    let clients = two.clients();
    for race in 0..RACES * scale() {
        let mut client = clients[race % 2].clone();
        let (house, account) = client.funded("1000000").await;
        let passed = Arc::new(AtomicUsize::new(0));
        let mut streams = JoinSet::new();
        for index in 0..12 {
            let act = [Act::Pay, Act::Hold, Act::Capture][index % 3];
            let stream = Stream {
                client: clients[index % 2].clone(),
                house: house.clone(),
                account: account.clone(),
                passed: Arc::clone(&passed),
            };
            streams.spawn(stream.run(act));
        }
        while passed.load(Ordering::Relaxed) < BEFORE {
            tokio::task::yield_now().await;
        }
        let frozen = client.control(&account, block(1, Effect::Debit)).await.unwrap();
        let version = frozen.balance.unwrap().version;
        // Every later change would show in the version.
        for client in &clients {
            for act in [Act::Pay, Act::Hold] {
                let stream = Stream {
                    client: client.clone(),
                    house: house.clone(),
                    account: account.clone(),
                    passed: Arc::clone(&passed),
                };
                streams.spawn(stream.run(act));
            }
        }
        streams.join_all().await;
        assert_eq!(client.balance(&account).await.version, version);
    }
    assert_books(&two.ledger);
}

struct Stream {
    client: Client,
    house: String,
    account: String,
    passed: Arc<AtomicUsize>,
}

impl Stream {
    /// Goes on until it is refused.
    async fn run(mut self, act: Act) {
        loop {
            let done = self.step(act).await;
            if let Err(status) = done {
                assert_eq!(refusal(&status).0, Reason::AccountBlocked, "{act:?} {status:?}");
                return;
            }
            self.passed.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn step(&mut self, act: Act) -> Result<(), Status> {
        let (account, house) = (&self.account, &self.house);
        match act {
            Act::Pay => {
                self.client.transfer(&transfer(account, house, "0.01")).await?;
            }
            Act::Hold => {
                self.client.hold(&hold(account, house, "0.01")).await?;
            }
            Act::Capture => {
                let held = self.client.hold(&hold(account, house, "0.02")).await?;
                for _ in 0..2 {
                    let half = wire::CaptureHoldRequest {
                        amount: Some(crate::setup::eur("0.01")),
                        keep_open: true,
                        ..capture(&held.name)
                    };
                    self.client.capture(&half).await?;
                }
            }
        }
        Ok(())
    }
}
