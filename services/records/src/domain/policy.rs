//! What a tenant has decided about its data.

use std::time::Duration;

use shared::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest that an erasure may wait for an approval.
pub(crate) const ERASURE_DELAY_MAX: Duration = DAY.saturating_mul(90);
/// How long backups are kept unless set, and at most.
pub(crate) const BACKUP_RETENTION: Duration = DAY.saturating_mul(30);
pub(crate) const BACKUP_RETENTION_MAX: Duration = DAY.saturating_mul(3_650);

/// What a tenant has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// How long an erasure waits unless a second principal approves it.
    pub(crate) erasure_delay: Duration,
    /// For how long backups of the tenant's database are kept.
    pub(crate) backup_retention: Duration,
    /// Whether an unreviewed lease stands in the way of the next one.
    pub(crate) break_glass_blocks: bool,
    /// Counts its changes; 0 where there was none.
    pub(crate) revision: i64,
    /// When it was changed last.
    pub(crate) update_time: Option<Timestamp>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            erasure_delay: Duration::ZERO,
            backup_retention: BACKUP_RETENTION,
            break_glass_blocks: false,
            revision: 0,
            update_time: None,
        }
    }
}
