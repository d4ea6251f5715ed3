//! The access log. It is only ever appended to.

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::problem::reason_name;
use shared::time::Timestamp;
use uuid::Uuid;

use super::schema::accesses;
use crate::domain::access::{Access, Action};
use crate::domain::purpose::Purpose;
use crate::domain::record::{RecordId, View};
use crate::domain::subject::SubjectId;

#[derive(Insertable)]
#[diesel(table_name = accesses)]
struct Row<'a> {
    tenant_id: TenantId,
    time: Timestamp,
    id: Uuid,
    principal: &'a str,
    workload: Option<&'a str>,
    action: &'static str,
    subject_id: Option<SubjectId>,
    record_id: Option<RecordId>,
    version: Option<i64>,
    view: Option<i16>,
    purpose: Option<&'static str>,
    decision: i16,
    reason: Option<&'static str>,
    trace_id: &'a str,
}

const PERMIT: i16 = 1;
const DENY: i16 = 2;

fn action(action: Action) -> &'static str {
    match action {
        Action::CreateSubject => "records.subjects.create",
        Action::CreateRecord => "records.records.create",
        Action::GetRecord => "records.records.get",
    }
}

fn view(view: View) -> i16 {
    match view {
        View::Basic => 1,
        View::Masked => 2,
        View::Full => 3,
    }
}

/// Appends an entry.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    access: &Access,
) -> QueryResult<()> {
    let row = Row {
        tenant_id: tenant,
        time: access.time,
        id: access.id,
        principal: &access.principal,
        workload: access.workload.as_deref(),
        action: action(access.action),
        subject_id: access.subject,
        record_id: access.record,
        version: access.version,
        view: access.view.map(view),
        purpose: access.purpose.map(Purpose::code),
        decision: if access.refusal.is_none() { PERMIT } else { DENY },
        reason: access.refusal.map(reason_name),
        trace_id: &access.trace_id,
    };
    diesel::insert_into(accesses::table).values(row).execute(conn)?;
    Ok(())
}
