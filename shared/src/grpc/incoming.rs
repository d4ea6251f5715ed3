//! A listener that keeps no more than so many connections open, while the rest wait in the kernel,
//! and that can cut them all off: tonic lets its connections outlive the server.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How long a connection may say nothing at all.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The connections of a listener, at most `limit` at once. All of them break with `cut_off`.
pub(super) fn bounded(
    listener: TcpListener,
    limit: usize,
    cut_off: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> {
    let state = (listener, Arc::new(Semaphore::new(limit)), cut_off);
    futures_util::stream::unfold(state, |(listener, slots, cut_off)| async {
        let connection = accept(&listener, &slots, &cut_off).await;
        Some((connection, (listener, slots, cut_off)))
    })
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    cut_off: &CancellationToken,
) -> io::Result<Connection> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                stream.set_nodelay(true)?;
                let cut_off = Box::pin(cut_off.clone().cancelled_owned());
                let silence = Some(Box::pin(tokio::time::sleep(SILENCE_MAX)));
                return Ok(Connection { stream, cut_off, silence, _slot: slot });
            }
            // Out of file descriptors, or the caller is gone already: the next one may do better.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// A connection that gives its place back when it closes.
pub(super) struct Connection {
    stream: TcpStream,
    cut_off: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until the first byte: one that says nothing must not keep its place.
    silence: Option<Pin<Box<Sleep>>>,
    _slot: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A connection is always being read from, so this is where it learns of its end.
        if self.cut_off.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        match &mut self.silence {
            Some(silence) if polled.is_pending() => {
                if silence.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
            silence => *silence = None,
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
