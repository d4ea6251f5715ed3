//! A Postgres of its own, which a test may kill.

use std::path::Path;
use std::time::Duration;

use diesel::{Connection as _, PgConnection};
use rustix::process::{Pid, Signal, kill_process};
use shared::postgres::{Cluster, Durability, Options};

use crate::world::downloads;

/// Times that a restart is tried: another process may have got the port meanwhile.
const STARTS: usize = 100;

pub(crate) struct Place {
    options: Options,
    /// None while it is dead.
    cluster: Option<Cluster>,
    url: String,
}

impl Place {
    /// Starts a Postgres that writes to disk before it answers. Blocks.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut options = Options::new(folder.join("cluster"), downloads(), Durability::Durable);
        let cluster = Cluster::start(&options, &|_| ()).unwrap();
        let url = cluster.url().to_owned();
        // So that the services find it again.
        options.port = Some(port(&url));
        Self { options, cluster: Some(cluster), url }
    }

    /// How an administrator connects.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn admin(&self) -> PgConnection {
        PgConnection::establish(&self.url).unwrap()
    }

    /// Kills the first of its processes, upon which the others end as they see it.
    pub(crate) fn kill(&self) {
        let folder = self.cluster.as_ref().unwrap().folder().join("data/postmaster.pid");
        let text = std::fs::read_to_string(folder).unwrap();
        let pid = text.lines().next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }

    /// Starts it again, and waits until it has recovered. Blocks.
    pub(crate) fn restart(&mut self) {
        drop(self.cluster.take());
        for _ in 0..STARTS {
            match Cluster::start(&self.options, &|_| ()) {
                Ok(cluster) => {
                    self.cluster = Some(cluster);
                    return;
                }
                Err(error) if error.to_string().contains("Address already in use") => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the port does not become free");
    }
}

/// The port in a URL like `postgres://user:password@host:port/database`.
fn port(url: &str) -> u16 {
    let (_, place) = url.split_once('@').unwrap();
    let (address, _) = place.split_once('/').unwrap();
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}
