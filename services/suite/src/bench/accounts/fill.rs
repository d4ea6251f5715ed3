//! Customers and accounts that are there before anything is measured, through the API like all.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tonic::Status;

use super::Arguments;
use super::load::Api;
use crate::bench::error::BenchError;
use crate::progress::Progress;

/// Accounts of each customer.
const EACH: usize = 2;
/// How often is told how far it is.
const TOLD: usize = 500;

/// What is there, and how long it took.
pub(super) struct Filled {
    pub(super) customers: Vec<String>,
    pub(super) customers_took: Duration,
    pub(super) accounts: Vec<String>,
    pub(super) accounts_took: Duration,
}

/// Creates customers, and then their accounts.
pub(super) async fn fill(
    address: SocketAddr,
    token: &str,
    arguments: &Arguments,
    progress: &Progress,
) -> Result<Filled, BenchError> {
    let apis = Api::several(address, token, arguments.callers).map_err(BenchError::Load)?;
    let api = |index: usize| apis[index % apis.len()].clone();
    let began = Instant::now();
    let make = |index: usize| {
        let mut api = api(index);
        async move { api.create_customer().await }
    };
    let customers = all("customers", arguments.customers, arguments, progress, make).await?;
    let customers_took = began.elapsed();
    let began = Instant::now();
    let make = |index: usize| {
        let (mut api, customer) = (api(index), customers[index / EACH].clone());
        async move { api.create_account(customer).await }
    };
    let accounts = all("accounts", customers.len() * EACH, arguments, progress, make).await?;
    let accounts_took = began.elapsed();
    Ok(Filled { customers, customers_took, accounts, accounts_took })
}

/// Makes so many of something, and gives their names.
async fn all<F: Future<Output = Result<String, Status>>>(
    what: &str,
    count: usize,
    arguments: &Arguments,
    progress: &Progress,
    make: impl Fn(usize) -> F,
) -> Result<Vec<String>, BenchError> {
    let tell = |index: usize| {
        if index.is_multiple_of(TOLD) {
            progress.say(&format!("creating {what}: {index} of {count}"));
        }
    };
    let creating = stream::iter(0..count).inspect(|index| tell(*index)).map(make);
    let names = creating.buffered(arguments.callers).try_collect().await;
    names.map_err(|status: Status| BenchError::Load(status.message().to_owned()))
}
