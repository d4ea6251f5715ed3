//! The tenants of a service: their table, and a short-lived view of it that every call consults.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use aws_lc_rs::{hkdf, hmac};
use diesel::prelude::*;
use jiff::tz::TimeZone;

use crate::db::{Db, DbError, Scope};
use crate::deadline::Deadline;
use crate::ids::TenantId;
use crate::problem::{Problem, Reason};
use crate::time::Timestamp;

mod table {
    diesel::table! {
        tenants (id) {
            id -> Uuid,
            display_name -> Text,
            time_zone -> Text,
            state -> SmallInt,
            key -> Binary,
            version -> BigInt,
            create_time -> Timestamptz,
        }
    }
}
use table::tenants;

/// How long a change of a tenant may take to be seen.
const TTL: Duration = Duration::from_secs(2);
/// More tenants than this at once are read again and again, rather than kept.
const CACHED_MAX: usize = 100_000;

/// What a tenant may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantState {
    /// Everything.
    Active,
    /// Reads only.
    ReadOnly,
    /// Nothing.
    Suspended,
}

impl TenantState {
    /// The state as the table has it.
    pub(crate) fn from_column(column: i16) -> Self {
        match column {
            1 => Self::Active,
            2 => Self::ReadOnly,
            _ => Self::Suspended,
        }
    }

    /// The state as the table has it.
    pub(crate) fn column(self) -> i16 {
        match self {
            Self::Active => 1,
            Self::ReadOnly => 2,
            Self::Suspended => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::ReadOnly => "READ_ONLY",
            Self::Suspended => "SUSPENDED",
        }
    }
}

/// The secret of one tenant, from which the keys of its hashes and page tokens are derived.
pub struct TenantKey {
    secret: hkdf::Prk,
    request_hash: hmac::Key,
}

impl TenantKey {
    /// The key with these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"strongroom").extract(&bytes);
        let request_hash = derive(&secret, "request-hash/1");
        Self { secret, request_hash }
    }

    /// A key for one use (HKDF, RFC 5869).
    pub fn derive(&self, label: &str) -> hmac::Key {
        derive(&self.secret, label)
    }

    /// The key of request hashes: derived once, because every write needs it.
    pub(crate) fn request_hash(&self) -> &hmac::Key {
        &self.request_hash
    }
}

#[expect(clippy::expect_used, reason = "see the message")]
fn derive(secret: &hkdf::Prk, label: &str) -> hmac::Key {
    let info = [label.as_bytes()];
    let key = secret.expand(&info, hmac::HMAC_SHA256);
    hmac::Key::from(key.expect("the length of a SHA-256 key is a length that HKDF can give"))
}

impl std::fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TenantKey")
    }
}

/// What a call needs to know of its tenant.
#[derive(Debug)]
pub struct TenantInfo {
    /// Its id.
    pub id: TenantId,
    /// Its time zone, which decides on which day something is booked.
    pub zone: TimeZone,
    /// What it may do.
    pub state: TenantState,
    /// Its secret.
    pub key: TenantKey,
}

impl TenantInfo {
    /// `TENANT_STATE` where the tenant may not do this.
    pub fn allow(&self, read_only: bool) -> Result<(), Problem> {
        match self.state {
            TenantState::Active => Ok(()),
            TenantState::ReadOnly if read_only => Ok(()),
            state => {
                let message = format!("The tenant is {}.", state.name());
                Err(Problem::new(Reason::TenantState, message).figure("state", state.name()))
            }
        }
    }
}

/// A row of the table of tenants.
#[derive(Debug, Clone, Queryable, Insertable, Selectable)]
#[diesel(table_name = tenants)]
pub(crate) struct TenantRow {
    pub id: TenantId,
    pub display_name: String,
    pub time_zone: String,
    pub state: i16,
    pub key: Vec<u8>,
    pub version: i64,
    pub create_time: Timestamp,
}

/// Reads a tenant.
pub(crate) fn select(conn: &mut PgConnection, id: TenantId) -> QueryResult<Option<TenantRow>> {
    tenants::table.find(id).select(TenantRow::as_select()).first(conn).optional()
}

/// Inserts a tenant; false where the id is taken.
pub(crate) fn insert(conn: &mut PgConnection, row: &TenantRow) -> QueryResult<bool> {
    let inserted = diesel::insert_into(tenants::table).values(row).on_conflict_do_nothing();
    Ok(inserted.execute(conn)? == 1)
}

/// Every tenant's id.
pub fn all(conn: &mut PgConnection) -> QueryResult<Vec<TenantId>> {
    tenants::table.select(tenants::id).order(tenants::id).load(conn)
}

/// A tenant, and when it was read.
type Seen = (Instant, Arc<TenantInfo>);

/// The tenants, as they were at most two seconds ago.
#[derive(Debug, Clone)]
pub struct Tenants {
    db: Db,
    seen: Arc<RwLock<HashMap<TenantId, Seen>>>,
}

impl Tenants {
    /// The tenants in a database.
    pub fn new(db: Db) -> Self {
        Self { db, seen: Arc::default() }
    }

    /// A tenant, or `RESOURCE_NOT_FOUND`.
    pub async fn get(&self, id: TenantId, deadline: Deadline) -> Result<Arc<TenantInfo>, Problem> {
        if let Some(info) = self.seen(id) {
            return Ok(info);
        }
        let read = move |conn: &mut PgConnection| Ok::<_, DbError>(select(conn, id)?);
        let row = self.db.read("get_tenant", Scope::tenantless(deadline), read).await?;
        let info = Arc::new(info(&row.ok_or_else(|| id.not_found())?)?);
        let mut seen = self.seen.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.len() >= CACHED_MAX {
            seen.clear();
        }
        seen.insert(id, (Instant::now(), Arc::clone(&info)));
        Ok(info)
    }

    /// Every tenant's id, for workers that serve all of them.
    pub async fn all(&self, deadline: Deadline) -> Result<Vec<TenantId>, DbError> {
        let read = |conn: &mut PgConnection| Ok::<_, DbError>(all(conn)?);
        self.db.read("list_tenants", Scope::tenantless(deadline), read).await
    }

    fn seen(&self, id: TenantId) -> Option<Arc<TenantInfo>> {
        let seen = self.seen.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (since, info) = seen.get(&id)?;
        (since.elapsed() < TTL).then(|| Arc::clone(info))
    }
}

fn info(row: &TenantRow) -> Result<TenantInfo, Problem> {
    let fault = |what: &str| {
        tracing::error!(tenant = %row.id, "the tenant has no usable {what}");
        Problem::internal()
    };
    Ok(TenantInfo {
        id: row.id,
        zone: TimeZone::get(&row.time_zone).map_err(|_| fault("time zone"))?,
        state: TenantState::from_column(row.state),
        key: TenantKey::new(row.key.as_slice().try_into().map_err(|_| fault("key"))?),
    })
}
