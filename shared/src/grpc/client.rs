//! Calls to other services: the deadline shrinks on the way, the caller is named in a signed token,
//! the trace goes along, and what the network lost is repeated within a budget.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::call::Call;
use super::status;
use crate::config::seconds;
use crate::problem::{Problem, Reason};
use crate::telemetry;
use crate::token::WorkloadSigner;

/// Kept back from what is left of the deadline, so that there is time to answer.
const HOP_MARGIN: Duration = Duration::from_millis(10);
/// With less than this left there is no point in asking.
const HOP_MIN: Duration = Duration::from_millis(20);
/// Repeats of one call at most.
const RETRIES_MAX: u32 = 3;
/// A repeat costs ten calls' worth of budget: no more than a tenth of all calls are repeats.
const BUDGET_MAX: i64 = 1_000;
const BUDGET_PER_CALL: i64 = 10;
const BUDGET_PER_RETRY: i64 = 100;

/// The limits of calls to a peer.
#[derive(Debug, Clone, clap::Args)]
// Several structs of this name are flattened into one command line.
#[group(skip)]
#[command(next_help_heading = "Peers")]
pub struct Config {
    /// Seconds that connecting to a peer may take
    #[arg(long, env = "STRONGROOM_PEER_CONNECT", default_value = "2", value_parser = seconds)]
    pub peer_connect: Duration,
    /// Seconds between look-ups of a peer's name, so that new replicas get their share
    #[arg(long, env = "STRONGROOM_PEER_RESOLVE", default_value = "5", value_parser = seconds)]
    pub peer_resolve: Duration,
    /// Seconds between HTTP/2 pings to a peer
    #[arg(long, env = "STRONGROOM_PEER_KEEPALIVE", default_value = "20", value_parser = seconds)]
    pub peer_keepalive: Duration,
}

/// Another service.
#[derive(Debug, Clone)]
pub struct Peer {
    name: &'static str,
    channel: Channel,
    signer: Option<Arc<WorkloadSigner>>,
    budget: Arc<AtomicI64>,
}

impl Peer {
    /// The service `name` at `host:port`, found again and again until `shutdown`. Nothing is
    /// connected yet, so services start in any order.
    pub fn new(
        name: &'static str,
        address: &str,
        config: &Config,
        signer: Option<Arc<WorkloadSigner>>,
        shutdown: CancellationToken,
    ) -> Self {
        let (channel, changes) = Channel::balance_channel(64);
        tokio::spawn(resolve(address.to_owned(), config.clone(), changes, shutdown));
        Self { name, channel, signer, budget: Arc::new(AtomicI64::new(BUDGET_MAX)) }
    }

    /// The channel for a generated client.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Asks the peer on behalf of a caller. Writes carry a request id, so a repeat is harmless.
    pub async fn call<M, R, F, Fut>(&self, call: &Call, message: M, rpc: F) -> Result<R, Problem>
    where
        M: Clone,
        F: Fn(Request<M>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        self.earn();
        for attempt in 0_u32.. {
            let request = self.request(call, message.clone())?;
            // The timeout is the peer's to keep; this one is for a peer that does not.
            let answer = tokio::time::timeout_at(call.deadline.instant(), rpc(request)).await;
            let status = match answer {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                // Tonic's own timer says CANCELLED.
                Ok(Err(status)) if !has_timed_out(&status) => status,
                _ => Status::deadline_exceeded(""),
            };
            if !(is_lost(&status) && attempt < RETRIES_MAX && self.spend()) {
                return Err(status::from_peer(&status, self.name));
            }
            let full = 20_u64 << attempt;
            let delay = Duration::from_millis(rand::random_range(full / 2..=full));
            if delay + HOP_MIN >= call.deadline.remaining() {
                return Err(status::from_peer(&status, self.name));
            }
            tokio::time::sleep(delay).await;
        }
        Err(status::unavailable(self.name))
    }

    fn request<M>(&self, call: &Call, message: M) -> Result<Request<M>, Problem> {
        let remaining = call.deadline.remaining();
        if remaining < HOP_MIN {
            let message = format!("Too little time is left to ask {}.", self.name);
            return Err(Problem::new(Reason::Deadline, message));
        }
        let mut request = Request::new(message);
        request.set_timeout(remaining.saturating_sub(HOP_MARGIN));
        telemetry::inject(request.metadata_mut());
        if let Some(signer) = &self.signer {
            let tenant = call.tenant.as_ref().map(|tenant| tenant.id);
            let token = signer.speak_for(&call.principal, tenant).map_err(|error| {
                tracing::error!(%error, "cannot sign a token for a peer");
                Problem::internal()
            })?;
            if let Ok(value) = format!("Bearer {token}").parse() {
                request.metadata_mut().insert("authorization", value);
            }
        }
        Ok(request)
    }

    fn earn(&self) {
        let add = |budget: i64| Some((budget + BUDGET_PER_CALL).min(BUDGET_MAX));
        let _ = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn spend(&self) -> bool {
        let take = |budget: i64| (budget >= BUDGET_PER_RETRY).then(|| budget - BUDGET_PER_RETRY);
        self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// Whether the network or a restart lost the call, rather than the peer refused it.
fn is_lost(status: &Status) -> bool {
    status.code() == Code::Unavailable
        || (status.code() == Code::Unknown && std::error::Error::source(status).is_some())
}

fn has_timed_out(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Keeps the channel's endpoints equal to what the name resolves to: tonic looks a name up once.
async fn resolve(
    address: String,
    config: Config,
    changes: tokio::sync::mpsc::Sender<Change<SocketAddr, Endpoint>>,
    shutdown: CancellationToken,
) {
    let mut known: HashSet<SocketAddr> = HashSet::new();
    loop {
        match tokio::net::lookup_host(&address).await {
            Ok(found) => {
                let found: HashSet<SocketAddr> = found.collect();
                for address in found.difference(&known) {
                    let change = Change::Insert(*address, endpoint(*address, &config));
                    if changes.send(change).await.is_err() {
                        return;
                    }
                }
                for address in known.difference(&found) {
                    if changes.send(Change::Remove(*address)).await.is_err() {
                        return;
                    }
                }
                known = found;
            }
            // What was found before may well still answer.
            Err(error) => tracing::warn!(%address, %error, "cannot resolve a peer"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(config.peer_resolve) => {}
        }
    }
}

fn endpoint(address: SocketAddr, config: &Config) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}"))
        .unwrap_or_else(|_| Endpoint::from_static("http://127.0.0.1:0"))
        .connect_timeout(config.peer_connect)
        .tcp_nodelay(true)
        // Without pings a half-open connection hangs until the deadline.
        .http2_keep_alive_interval(config.peer_keepalive)
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
}
