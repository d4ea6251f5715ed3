//! The configuration of the service.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use shared::boot::BootError;
use shared::config::{Common, at_least_one, seconds};
use shared::lane;

use crate::seal::{FileProvider, KeyProvider, KeyringLimits, MountedProvider};

/// What the service needs to serve.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// What every service needs.
    #[command(flatten)]
    pub common: Common,
    /// The limits of what creates and reads for many callers at once.
    #[command(flatten)]
    pub lane: lane::Config,
    /// Where keys come from.
    #[command(flatten)]
    pub keys: Keys,
    /// Where bodies above 1 MiB and tombstones are kept, apart from the database: file:///folder
    #[arg(long, env = "STRONGROOM_OBJECT_STORE")]
    pub object_store: String,
    /// Content that streams.
    #[command(flatten)]
    pub streams: Streams,
    /// Seconds between rounds of the background work: erasures, retention, reviews, uploads and
    /// rotations of keys
    #[arg(long, env = "STRONGROOM_SWEEP_INTERVAL", default_value = "5", value_parser = seconds)]
    pub sweep_interval: Duration,
    /// Seconds that it may take, before anything is served, to erase again whom a restore of the
    /// database has brought back
    #[arg(long, env = "STRONGROOM_REPLAY_TIMEOUT", default_value = "300", value_parser = seconds)]
    pub replay_timeout: Duration,
}

impl AsRef<Common> for Config {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

/// The limits of content that streams.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Streams")]
pub struct Streams {
    /// Bytes of a body at most
    #[arg(long, env = "STRONGROOM_BODY_MAX", default_value_t = 1024 * 1024 * 1024)]
    pub body_max: u64,
    /// Uploads and downloads at once; each takes up to 16 MiB of memory
    #[arg(
        long = "streams-max",
        env = "STRONGROOM_STREAMS_MAX",
        default_value = "16",
        value_parser = at_least_one
    )]
    pub at_once_max: usize,
    /// Seconds that a caller may take for the next frame
    #[arg(long, env = "STRONGROOM_STREAM_IDLE", default_value = "30", value_parser = seconds)]
    pub stream_idle: Duration,
    /// Seconds after which an upload is removed with which nobody goes on
    #[arg(long, env = "STRONGROOM_UPLOAD_AGE", default_value = "86400", value_parser = seconds)]
    pub upload_age: Duration,
    /// Seconds after which another stream may go on with an upload whose replica says nothing
    #[arg(long, env = "STRONGROOM_UPLOAD_LEASE", default_value = "15", value_parser = seconds)]
    pub upload_lease: Duration,
    /// Seconds that the object store may take for one attempt
    #[arg(long, env = "STRONGROOM_OBJECT_TIMEOUT", default_value = "10", value_parser = seconds)]
    pub object_timeout: Duration,
}

/// Where keys come from, and how long they stay.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Keys")]
pub struct Keys {
    /// The file with the key-encryption keys: `records keygen` makes one
    #[arg(
        long,
        env = "STRONGROOM_KEK_FILE",
        required_unless_present = "kek_folder",
        conflicts_with = "kek_folder"
    )]
    pub kek_file: Option<PathBuf>,
    /// The folder with the key-encryption keys, each in a file of its own, as Kubernetes mounts a
    /// secret
    #[arg(long, env = "STRONGROOM_KEK_FOLDER")]
    pub kek_folder: Option<PathBuf>,
    /// A key-encryption key that is removed from there is destroyed, wherever it was copied,
    /// backups included: the operator vouches for it. Only then epochs of keys can be destroyed
    #[arg(long, env = "STRONGROOM_KEK_DESTROYABLE")]
    pub kek_destroyable: bool,
    /// Tenant keys that are kept open at most
    #[arg(long, env = "STRONGROOM_KEY_CACHE_MAX", default_value_t = 1024)]
    pub key_cache_max: usize,
    /// Seconds that a tenant key is kept open
    #[arg(long, env = "STRONGROOM_KEY_CACHE_TTL", default_value = "300", value_parser = seconds)]
    pub key_cache_ttl: Duration,
    /// Seconds that the key provider may take
    #[arg(long, env = "STRONGROOM_KEY_TIMEOUT", default_value = "5", value_parser = seconds)]
    pub key_timeout: Duration,
    /// Seconds that a key provider which was away is not asked again for the same key
    #[arg(long, env = "STRONGROOM_KEY_RETRY", default_value = "1", value_parser = seconds)]
    pub key_retry: Duration,
}

impl Keys {
    /// Opens the key provider.
    pub(crate) fn provider(&self) -> Result<Arc<dyn KeyProvider>, BootError> {
        let vouched = self.kek_destroyable;
        let provider: Result<Arc<dyn KeyProvider>, _> = match (&self.kek_file, &self.kek_folder) {
            (Some(file), None) => {
                FileProvider::open(file).map(|keys| Arc::new(keys.vouched(vouched)) as _)
            }
            (None, Some(folder)) => {
                MountedProvider::open(folder).map(|keys| Arc::new(keys.vouched(vouched)) as _)
            }
            _ => return Err(BootError::Service("one of a key file and a key folder".to_owned())),
        };
        provider.map_err(|error| BootError::Service(error.to_string()))
    }

    pub(crate) fn limits(&self) -> KeyringLimits {
        KeyringLimits {
            capacity: self.key_cache_max,
            ttl: self.key_cache_ttl,
            timeout: self.key_timeout,
            retry_after: self.key_retry,
        }
    }
}
