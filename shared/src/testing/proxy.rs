//! A TCP proxy that cuts, delays and resets, between a service and its peer or its database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Passes everything on.
    None,
    /// Closes connections, old and new.
    Cut,
    /// Keeps connections open and passes nothing on.
    Stall,
    /// Passes everything on, this much later.
    Delay(Duration),
}

/// A proxy in front of an address.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    fault: Arc<watch::Sender<Fault>>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    /// A proxy that passes everything on to `target`, until it is told otherwise.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = super::listener().await;
        let address = listener.local_addr().expect("the listener has an address");
        let fault = Arc::new(watch::Sender::new(Fault::None));
        let task = tokio::spawn(accept(listener, target, fault.subscribe()));
        Self { address, fault, _task: AbortOnDropHandle::new(task) }
    }

    /// Changes what the network does, for open connections too.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, fault: watch::Receiver<Fault>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        if *fault.borrow() != Fault::Cut {
            connections.spawn(connect(near, target, fault.clone()));
        }
    }
}

async fn connect(near: TcpStream, target: SocketAddr, mut fault: watch::Receiver<Fault>) {
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let (out, back) = (fault.clone(), fault.clone());
    tokio::select! {
        _ = fault.wait_for(|fault| *fault == Fault::Cut) => {}
        () = pump(near_read, far_write, out) => {}
        () = pump(far_read, near_write, back) => {}
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut fault: watch::Receiver<Fault>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        let now = *fault.borrow();
        match now {
            Fault::Delay(delay) => tokio::time::sleep(delay).await,
            Fault::Stall if fault.wait_for(|fault| *fault != Fault::Stall).await.is_err() => {
                return;
            }
            _ => {}
        }
        // What was held back does not come through a line that was cut meanwhile.
        let is_cut = *fault.borrow() == Fault::Cut;
        if is_cut || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
