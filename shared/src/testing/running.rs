//! Servers on free ports.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::boot::BootError;

/// A listener on a free port.
pub async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("there is a free port")
}

/// A channel that connects when it is first used.
pub fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).expect("the address is one").connect_lazy()
}

/// A server that runs until the test ends.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    shutdown: CancellationToken,
    task: Option<JoinHandle<Result<(), BootError>>>,
}

impl Running {
    /// Starts a server and waits until it is ready.
    pub async fn start<F, Fut>(serve: F) -> Self
    where
        F: FnOnce(TcpListener, CancellationToken) -> Fut,
        Fut: Future<Output = Result<(), BootError>> + Send + 'static,
    {
        Self::start_on(listener().await, serve).await
    }

    /// Starts a server on a listener and waits until it is ready.
    pub async fn start_on<F, Fut>(listener: TcpListener, serve: F) -> Self
    where
        F: FnOnce(TcpListener, CancellationToken) -> Fut,
        Fut: Future<Output = Result<(), BootError>> + Send + 'static,
    {
        let address = listener.local_addr().expect("the listener has an address");
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listener, shutdown.clone()));
        let running = Self { address, shutdown, task: Some(task) };
        running.ready().await;
        running
    }

    /// A channel to it.
    pub fn channel(&self) -> Channel {
        channel(self.address)
    }

    /// Waits until it says SERVING.
    pub async fn ready(&self) {
        let mut health = tonic_health::pb::health_client::HealthClient::new(self.channel());
        for _ in 0..600 {
            assert!(!self.task.as_ref().is_some_and(JoinHandle::is_finished), "the server ended");
            let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
            if let Ok(answer) = health.check(request).await
                && answer.get_ref().status() == tonic_health::ServingStatus::Serving.into()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server did not become ready");
    }

    /// Tells it to end.
    pub fn cancel(&self) {
        self.shutdown.cancel();
    }

    /// Ends it and gives what it ended with.
    pub async fn stop(mut self) -> Result<(), BootError> {
        self.shutdown.cancel();
        let task = self.task.take().expect("it is stopped once");
        task.await.expect("the server does not panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
