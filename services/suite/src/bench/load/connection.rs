//! One HTTP/2 connection to the service.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{BoxFuture, http};

/// Bytes that may be on their way unread, for a stream and for the connection.
const WINDOW: u32 = 1 << 20;

/// A connection that callers share. A tonic channel would put a queue and a task before it, whose
/// processor time the measured service would lack on a small machine.
#[derive(Debug, Clone)]
pub(super) struct Connection(SendRequest<Body>);

impl Connection {
    /// Connects. The connection lives as long as one of its clones.
    pub(super) async fn open(address: SocketAddr) -> Result<Self, tonic::codegen::StdError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            // The calls that it breaks tell of it.
            let _ = connection.await;
        });
        Ok(Self(sender))
    }
}

impl GrpcService<Body> for Connection {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = BoxFuture<http::Response<Incoming>, hyper::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Pin::from(Box::new(self.0.send_request(request)))
    }
}
