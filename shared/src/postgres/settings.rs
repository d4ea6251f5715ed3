//! The settings of private servers.

use std::path::Path;

use super::{Durability, Options};

/// Settings of every private server.
const SETTINGS: [(&str, &str); 9] = [
    // Nobody but this machine.
    ("listen_addresses", "127.0.0.1"),
    // The pools of all services in one process, and room for tools.
    ("max_connections", "200"),
    // Development data fits; more would only make the start slower.
    ("shared_buffers", "128MB"),
    // Many short statements: compiling them costs more than it gains.
    ("jit", "off"),
    // Details and statements hold data of customers, which does not belong in a log.
    ("log_error_verbosity", "terse"),
    ("log_min_error_statement", "panic"),
    // Says who it is in `ps`.
    ("cluster_name", "strongroom"),
    // Without it an idle development server writes a line every five minutes.
    ("log_checkpoints", "off"),
    // The log does not depend on the machine's place.
    ("log_timezone", "UTC"),
];

/// Settings that trade all safety of the data for speed.
const THROWAWAY: [(&str, &str); 5] = [
    // Nothing waits for the disk.
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    // Less is written: no protection of torn pages, no log for replicas.
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
];

/// All settings of one server as `name=value`. Where a name comes twice, the later one counts.
pub(super) fn all(options: &Options, port: u16, socket: Option<&Path>) -> Vec<String> {
    let throwaway = match options.durability {
        Durability::Durable => &[][..],
        Durability::Throwaway => &THROWAWAY[..],
    };
    let own = SETTINGS.iter().chain(throwaway).map(|(name, value)| format!("{name}={value}"));
    let given = options.settings.iter().map(|(name, value)| format!("{name}={value}"));
    // As a quoted name, because the setting is a list. Empty means no Unix socket.
    let folder = socket.map_or_else(String::new, |folder| {
        format!("\"{}\"", folder.to_string_lossy().replace('"', "\"\""))
    });
    let place = [format!("port={port}"), format!("unix_socket_directories={folder}")];
    own.chain(given).chain(place).collect()
}
