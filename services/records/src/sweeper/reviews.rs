//! Tells that a break-glass lease was not reviewed in time: once, by an event and in the log of the
//! service.

use std::sync::Arc;

use diesel::PgConnection;
use shared::problem::Problem;
use shared::tenants::TenantInfo;

use super::scope;
use crate::error::Error;
use crate::rpc::Rpc;
use crate::store::break_glass_leases;
use crate::store::events::{self, Event};

/// Leases of one look.
const BATCH: i64 = 100;

/// Tells of some late reviews. True where there may be more.
pub(super) async fn step(rpc: &Rpc, tenant: &Arc<TenantInfo>) -> Result<bool, Problem> {
    let (id, now) = (tenant.id, rpc.clock.now());
    let tell = move |conn: &mut PgConnection| {
        let late = break_glass_leases::tell_late(conn, id, now, BATCH)?;
        for lease in &late {
            let event = Event::new(id, "breakGlass.overdue", lease.id.name(), now)
                .with("subject", lease.subject_id.name())
                .with("reviewDueTime", lease.review_due_time.to_string());
            events::record(conn, id, &event)?;
        }
        Ok::<_, Error>(late)
    };
    let late = rpc.db.write("tell_late_reviews", scope(id), tell).await?;
    for lease in &late {
        tracing::error!(tenant = %id, lease = %lease.id, "a lease was not reviewed in time");
    }
    if !late.is_empty() {
        rpc.nudge.tenant(id);
    }
    Ok(i64::try_from(late.len()) == Ok(BATCH))
}
