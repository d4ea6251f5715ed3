//! The redactions of one page.

use diesel::PgConnection;
use shared::ids::TenantId;
use shared::time::Timestamp;

use crate::domain::{HOLD_REDACTED, HoldId, Redaction, TRANSACTION_REDACTED, TransactionId};
use crate::store::redactions;

/// Why texts are gone.
const REASON: &str = "ERASURE";

/// Redacts as `RedactTransaction` and `RedactHold` do. What is redacted already is left alone.
pub(super) struct Writer<'a> {
    pub(super) tenant: TenantId,
    pub(super) principal: &'a str,
    pub(super) now: Timestamp,
}

impl Writer<'_> {
    pub(super) fn transaction(
        &self,
        conn: &mut PgConnection,
        id: TransactionId,
        hold: Option<HoldId>,
        record_time: Timestamp,
    ) -> diesel::QueryResult<()> {
        let mut had_texts = redactions::redact_transaction(conn, self.tenant, id)?;
        if let Some(hold) = hold {
            had_texts |= redactions::redact_hold(conn, self.tenant, hold)?;
        }
        match had_texts {
            true => self.record(conn, TRANSACTION_REDACTED, id.name(), record_time),
            false => Ok(()),
        }
    }

    pub(super) fn hold(
        &self,
        conn: &mut PgConnection,
        id: HoldId,
        record_time: Timestamp,
    ) -> diesel::QueryResult<()> {
        match redactions::redact_hold(conn, self.tenant, id)? {
            true => self.record(conn, HOLD_REDACTED, id.name(), record_time),
            false => Ok(()),
        }
    }

    fn record(
        &self,
        conn: &mut PgConnection,
        kind: &'static str,
        subject: String,
        record_time: Timestamp,
    ) -> diesel::QueryResult<()> {
        let time = self.now.max(record_time.next());
        let (reason_code, principal) = (REASON, self.principal);
        let redaction = Redaction { kind, subject, reason_code, principal, time };
        redactions::record(conn, self.tenant, &redaction)
    }
}
