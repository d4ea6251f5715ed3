//! A real Envoy with the configuration that is shipped, on free ports.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use suite::Addresses;
use tempfile::TempDir;

use crate::http;

const CONFIG: &str = include_str!("../../../../deploy/envoy/envoy.yaml");
/// Envoy answers within a second; a machine with other work to do may take longer.
const START: Duration = Duration::from_secs(60);

/// A running Envoy.
pub(crate) struct Envoy {
    /// Where it listens for HTTP.
    pub(crate) address: String,
    child: Child,
    folder: TempDir,
}

impl Envoy {
    /// Where Envoy is: `STRONGROOM_ENVOY`, what `.ci/run` has installed, or on the `PATH`. A
    /// machine that has none skips the test, but not in CI.
    pub(crate) fn find() -> Option<PathBuf> {
        let given = std::env::var_os("STRONGROOM_ENVOY").map(PathBuf::from);
        let installed =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.ci/.tools/venv/bin/envoy");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&path).map(|folder| folder.join("envoy"));
        let found = given.into_iter().chain([installed]).chain(on_path).find(|file| file.is_file());
        if found.is_none() {
            let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!in_ci, "there is no Envoy: .ci/run installs one");
            // Past the harness, which swallows what a passing test prints.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: there is no Envoy on this machine (`.ci/run` installs one)"
            );
        }
        found
    }

    /// Starts Envoy in front of the services, and waits until it has found them healthy.
    pub(crate) async fn start(binary: &Path, services: Addresses) -> Self {
        let folder = tempfile::tempdir().expect("a folder is made");
        let file = |name: &str| folder.path().join(name);
        fs::write(file("strongroom.binpb"), strongroom_proto::FILE_DESCRIPTOR_SET)
            .expect("the descriptor set is written");
        fs::write(file("envoy.yaml"), render(services, &file("strongroom.binpb")))
            .expect("the configuration is written");
        let log = File::create(file("log")).expect("a log is made");
        let child = Command::new(binary)
            .arg("--config-path")
            .arg(file("envoy.yaml"))
            .arg("--admin-address-path")
            .arg(file("admin"))
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            .stdout(log.try_clone().expect("the log is shared"))
            .stderr(log)
            // A Ctrl-C is the test's, which then ends its Envoy.
            .process_group(0)
            .spawn()
            .expect("Envoy starts");
        let mut envoy = Self { address: String::new(), child, folder };
        let started = tokio::time::timeout(START, envoy.listening()).await;
        envoy.address = started.expect("Envoy listens in time");
        envoy
    }

    async fn listening(&mut self) -> String {
        loop {
            let ended = self.child.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "Envoy ended with {ended:?}");
            if let Ok(admin) = fs::read_to_string(self.folder.path().join("admin"))
                && let Ok((200, listeners)) =
                    http::get(&format!("http://{admin}/listeners?format=json")).await
                && let Some(status) = listeners["listener_statuses"].get(0)
            {
                let port = &status["local_address"]["socket_address"]["port_value"];
                return format!("127.0.0.1:{port}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "Envoy's log:\n{log}");
        }
    }
}

/// The shipped file with other ports, and nothing else.
fn render(services: Addresses, descriptors: &Path) -> String {
    let port = |address: SocketAddr| address.port();
    let ports = [
        (7001, port(services.accounts)),
        (7002, port(services.records)),
        (7003, port(services.transactions)),
        // Free ones, which the admin interface tells.
        (8080, 0),
        (9004, 0),
    ];
    let mut config = CONFIG.to_owned();
    for (shipped, free) in ports {
        let shipped = format!("port_value: {shipped} }}");
        assert_eq!(config.matches(&shipped).count(), 1, "{shipped}");
        config = config.replace(&shipped, &format!("port_value: {free} }}"));
    }
    config.replace(
        "proto_descriptor: strongroom.binpb",
        &format!("proto_descriptor: {}", descriptors.display()),
    )
}
