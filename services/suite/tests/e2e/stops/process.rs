//! Each service as a process of its own, which a test may kill: this binary once more, told to be
//! that service.

use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use shared::clock::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;

use super::desk::until;
use crate::trio::{Ground, parse};
use crate::world::run;

/// The variable with a service, its address and its arguments.
const TOLD: &str = "STRONGROOM_TEST_SERVICE";
/// How soon a taken port is tried again: another process may have got it meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Accounts,
    Records,
    Transactions,
}

impl Service {
    pub(super) const ALL: [Self; 3] = [Self::Accounts, Self::Records, Self::Transactions];
}

/// The services, and what is between them.
pub(super) struct Processes {
    pub(super) ground: Ground,
    more: Vec<String>,
    running: [Option<Child>; 3],
}

impl Processes {
    /// Starts all services, accounts with these arguments too.
    pub(super) async fn start(more: &[&str]) -> Self {
        let (ground, doors) = Ground::new().await;
        drop(doors);
        let more = more.iter().copied().map(str::to_owned).collect();
        let mut processes = Self { ground, more, running: [const { None }; 3] };
        for service in Service::ALL {
            processes.revive(service).await;
        }
        processes
    }

    /// Kills a service wherever it is.
    pub(super) fn kill(&mut self, service: Service) {
        let mut process = self.running[service as usize].take().unwrap();
        block_in_place(|| process.kill().and_then(|()| process.wait())).unwrap();
    }

    /// Starts a service that was killed, and waits until it takes calls.
    pub(super) async fn revive(&mut self, service: Service) {
        let at = self.ground.at;
        let address = [at.accounts, at.records, at.transactions][service as usize];
        let mut arguments = self.ground.arguments()[service as usize].clone();
        if service == Service::Accounts {
            arguments.extend_from_slice(&self.more);
        }
        let told = serde_json::to_string(&(service as usize, address, arguments)).unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stops::process::this_is_the_service_that_it_is_told_to_be"])
            .arg("--nocapture")
            .env(TOLD, told)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.running[service as usize] = Some(process);
        until("the service", async || TcpStream::connect(address).await.is_ok()).await;
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for mut process in self.running.iter_mut().filter_map(Option::take) {
            let _ = process.kill().and_then(|()| process.wait());
        }
    }
}

#[test]
fn this_is_the_service_that_it_is_told_to_be() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let told: (usize, SocketAddr, Vec<String>) = serde_json::from_str(&told).unwrap();
    let (service, address, arguments) = told;
    std::thread::spawn(|| {
        // Whoever started it holds the other end, and does not write.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    run(async move {
        let door = loop {
            match TcpListener::bind(address).await {
                Ok(door) => break door,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        let (clock, stop) = (Clock::system(), CancellationToken::new());
        let ended = match Service::ALL[service] {
            Service::Accounts => accounts::serve(door, parse(&arguments), clock, stop).await,
            Service::Records => records::serve(door, parse(&arguments), clock, stop).await,
            Service::Transactions => {
                transactions::serve(door, parse(&arguments), clock, stop).await
            }
        };
        ended.unwrap();
    });
}
