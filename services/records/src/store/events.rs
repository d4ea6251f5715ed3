//! Events about what changed: ids and the names of what changed, never content.

use diesel::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};
use shared::changes;
use shared::ids::TenantId;
use shared::time::Timestamp;

use crate::domain::record::Record;

/// The version of the format.
const VERSION: u8 = 1;

/// Something that happened, as the log says it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    v: u8,
    kind: &'static str,
    tenant: String,
    /// What it happened to.
    resource: String,
    time: String,
    /// The rest, by name.
    #[serde(flatten)]
    fields: Map<String, Value>,
    #[serde(skip)]
    at: Timestamp,
}

impl Event {
    /// Something that happened to a resource: "record.created".
    pub(crate) fn new(
        tenant: TenantId,
        kind: &'static str,
        resource: String,
        at: Timestamp,
    ) -> Self {
        let (tenant, time) = (tenant.name(), at.to_string());
        Self { v: VERSION, kind, tenant, resource, time, fields: Map::new(), at }
    }

    /// That a record was created.
    pub(crate) fn record_created(tenant: TenantId, record: &Record) -> Self {
        Self::new(tenant, "record.created", record.id.name(), record.create_time)
            .with("subject", record.subject.name())
            .with("type", record.kind.as_str())
            .with("version", record.version)
    }

    /// With a field. It has to be an id, a code, a number, a time, or the name of a field.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// The leaf that it is: fields come in the order of their names.
    pub(crate) fn leaf(&self) -> String {
        // Plain data with string keys always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Records an event in the transaction that makes it happen.
pub(crate) fn record(conn: &mut PgConnection, tenant: TenantId, event: &Event) -> QueryResult<()> {
    changes::record(conn, tenant, event.kind, &event.resource, &event.leaf(), event.at)
}

/// Records events of one kind, in their order, in the transaction that makes them happen.
pub(crate) fn record_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    events: &[Event],
) -> QueryResult<()> {
    let Some(kind) = events.first().map(|event| event.kind) else {
        return Ok(());
    };
    debug_assert!(events.iter().all(|event| event.kind == kind));
    let time = events.iter().map(|event| event.at).max().unwrap_or(events[0].at);
    let subjects = events.iter().map(|event| event.resource.clone()).collect();
    let leaves = events.iter().map(Event::leaf).collect();
    changes::record_all(conn, tenant, kind, subjects, leaves, time)
}
