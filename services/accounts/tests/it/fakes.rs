//! The peers as small servers: they keep what they are asked for, are idempotent as the real ones
//! are, and fail on demand.

mod ledger;
mod records;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use shared::problem::{Problem, Reason};
use shared::testing::{Proxy, listener};
use strongroom_proto::transactions::v1::ledger_service_server::LedgerServiceServer;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// When a peer fails: the method, and whether it does the work first, as one that crashes before it
/// answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) method: &'static str,
    pub(crate) after_the_work: bool,
}

#[derive(Default)]
struct State {
    failure: Option<Failure>,
    calls: Vec<&'static str>,
    records: records::State,
    ledger: ledger::State,
}

/// Records and transactions, as far as accounts asks them.
#[derive(Clone, Default)]
pub(crate) struct Peers(Arc<Mutex<State>>);

impl Peers {
    /// Serves one of them behind a proxy that can cut it off.
    async fn serve(routes: Routes) -> Proxy {
        let socket = listener().await;
        let address: SocketAddr = socket.local_addr().unwrap();
        let server = tonic::transport::Server::builder().add_routes(routes);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(socket)));
        Proxy::to(address).await
    }

    pub(crate) async fn serve_records(&self) -> Proxy {
        Self::serve(records::routes(self)).await
    }

    pub(crate) async fn serve_transactions(&self) -> Proxy {
        Self::serve(Routes::new(LedgerServiceServer::new(self.clone()))).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Makes a method fail until it is told otherwise.
    pub(crate) fn fail(&self, failure: Option<Failure>) {
        self.state().failure = failure;
    }

    /// How often a method was called.
    pub(crate) fn calls(&self, method: &str) -> usize {
        self.state().calls.iter().filter(|called| **called == method).count()
    }

    /// Does the work of a method, or fails as it was told to.
    fn work<T, R>(
        &self,
        method: &'static str,
        request: &Request<T>,
        work: impl FnOnce(&mut State) -> Result<R, Problem>,
    ) -> Result<Response<R>, Status> {
        assert!(request.metadata().get("authorization").is_some(), "the service says who it is");
        assert!(request.metadata().get("grpc-timeout").is_some(), "the deadline goes along");
        let mut state = self.state();
        state.calls.push(method);
        let failure = state.failure.filter(|failure| failure.method == method);
        let gone = || Status::unavailable("the peer is restarting");
        match failure {
            Some(failure) if !failure.after_the_work => return Err(gone()),
            _ => {}
        }
        let done = work(&mut state)?;
        if failure.is_some() { Err(gone()) } else { Ok(Response::new(done)) }
    }
}

fn taken(name: String) -> Problem {
    Problem::new(Reason::IdTaken, "It is in use.").figure("name", name)
}
