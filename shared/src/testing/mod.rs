//! What tests share: a Postgres of their own, a schema for each test, servers on free ports,
//! tokens, clocks, and a network that can be cut.
//!
//! Faults in here end the test, so they panic.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on ends"
)]

mod database;
mod explain;
mod issuer;
mod proxy;
mod running;
mod schema;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use clap::Parser;

pub use database::{TestDatabase, urls};
pub use explain::plan;
pub use issuer::{Bearer, Issuer};
pub use proxy::{Fault, Proxy};
pub use running::{Running, channel, listener};
pub use schema::print_schema;

use crate::clock::Clock;
use crate::problem::{Reason, reason_from_name};
use crate::time::Timestamp;

/// The configuration that these arguments give, with the defaults for everything else.
pub fn config<C: clap::Args>(arguments: &[&str]) -> C {
    #[derive(Parser)]
    struct Line<C: clap::Args> {
        #[command(flatten)]
        config: C,
    }
    let line = std::iter::once("test").chain(arguments.iter().copied());
    Line::<C>::try_parse_from(line).expect("the arguments parse").config
}

/// The reason of a refusal, with its field and figures.
pub fn refusal(
    status: &tonic::Status,
) -> (Reason, String, std::collections::HashMap<String, String>) {
    use tonic_types::StatusExt as _;
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "strongroom");
    let reason = reason_from_name(&info.reason).expect("the reason is in the contract");
    assert_eq!(crate::grpc::status::code(reason), status.code(), "{status:?}");
    let field = details.bad_request().and_then(|bad| bad.field_violations.first());
    (reason, field.map(|field| field.field.clone()).unwrap_or_default(), info.metadata.clone())
}

/// A clock that tests move.
#[derive(Debug, Clone)]
pub struct MockClock(Arc<AtomicI64>);

impl MockClock {
    /// A clock that stands at a time.
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(time.micros())))
    }

    /// Moves it.
    pub fn advance(&self, duration: std::time::Duration) {
        let micros = i64::try_from(duration.as_micros()).expect("a test is not that long");
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// The clock for those who ask.
    pub fn clock(&self) -> Clock {
        let micros = Arc::clone(&self.0);
        Clock::from_fn(move || Timestamp::from_micros(micros.load(Ordering::SeqCst)))
    }
}
