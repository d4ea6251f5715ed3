//! The configuration of the service.

use std::path::PathBuf;
use std::time::Duration;

use shared::config::{Common, seconds};

use crate::seal::KeyringLimits;

/// What the service needs to serve.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// What every service needs.
    #[command(flatten)]
    pub common: Common,
    /// Where keys come from.
    #[command(flatten)]
    pub keys: Keys,
}

impl AsRef<Common> for Config {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

/// Where keys come from, and how long they stay.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Keys")]
pub struct Keys {
    /// The file with the key-encryption keys: `records keygen` makes one
    #[arg(long, env = "STRONGROOM_KEK_FILE")]
    pub kek_file: PathBuf,
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
    pub(crate) fn limits(&self) -> KeyringLimits {
        KeyringLimits {
            capacity: self.key_cache_max,
            ttl: self.key_cache_ttl,
            timeout: self.key_timeout,
            retry_after: self.key_retry,
        }
    }
}
