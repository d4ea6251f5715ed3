//! Events about what changed: ids, codes and the names of what changed, never what anybody wrote.

use diesel::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};
use shared::changes;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::{account_holders, accounts, customers, freezes, relationships};
use crate::domain::{
    Account, AccountId, Customer, CustomerId, RelationshipId, parse_freeze_name, parse_holder_name,
};

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
    /// Something that happened to a resource: "customer.activated".
    pub(crate) fn new(
        tenant: TenantId,
        kind: &'static str,
        resource: String,
        at: Timestamp,
    ) -> Self {
        let (tenant, time) = (tenant.name(), at.to_string());
        Self { v: VERSION, kind, tenant, resource, time, fields: Map::new(), at }
    }

    /// Something that happened to a customer, as of its last change.
    pub(crate) fn of_customer(tenant: TenantId, kind: &'static str, customer: &Customer) -> Self {
        Self::new(tenant, kind, customer.id.name(), customer.update_time)
            .with("state", customer.state.name())
            .with("version", customer.version)
    }

    /// Something that happened to an account, as of its last change.
    pub(crate) fn of_account(tenant: TenantId, kind: &'static str, account: &Account) -> Self {
        Self::new(tenant, kind, account.id.name(), account.update_time)
            .with("state", account.state.name())
            .with("version", account.version)
    }

    /// With a field. It has to be an id, a code, a number, a time, or the name of a field.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// The leaf that it is: fields come in the order of their names.
    fn leaf(&self) -> String {
        // Plain data with string keys always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Records an event in the transaction that makes it happen.
pub(crate) fn record(conn: &mut PgConnection, tenant: TenantId, event: &Event) -> QueryResult<()> {
    changes::record(conn, tenant, event.kind, &event.resource, &event.leaf(), event.at)
}

/// When a resource was made, near which its first event is found.
pub(crate) fn locate(
    conn: &mut PgConnection,
    tenant: TenantId,
    resource: &str,
) -> Result<Option<Timestamp>, DbError> {
    let child = resource.rsplit_once("/relationships/").map(|(_, id)| id);
    let found = if let Ok(id) = CustomerId::parse_name(resource) {
        customers::table.find((tenant, id)).select(customers::create_time).first(conn)
    } else if let Ok(id) = AccountId::parse_name(resource) {
        accounts::table.find((tenant, id)).select(accounts::create_time).first(conn)
    } else if let Some(Ok(Some(id))) = child.map(RelationshipId::parse_chosen) {
        relationships::table.find((tenant, id)).select(relationships::create_time).first(conn)
    } else if let Ok((account, customer)) = parse_holder_name(resource) {
        let holder = account_holders::table.find((tenant, account, customer));
        holder.select(account_holders::create_time).first(conn)
    } else if let Ok((_, id)) = parse_freeze_name(resource) {
        freezes::table.find((tenant, id)).select(freezes::create_time).first(conn)
    } else {
        return Ok(None);
    };
    Ok(found.optional()?)
}
