//! Resource names and ids: `accounts/{uuid}` on the wire, a typed UUID inside.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::field::{Decoded, invalid};
use crate::problem::Problem;

/// A kind of resource. Each service declares its own kinds.
pub trait Resource: 'static {
    /// The collection in the name: "accounts".
    const COLLECTION: &'static str;
    /// The word for one of them: "account".
    const TYPE: &'static str;
}

/// The id of a resource: a UUID (RFC 9562) that cannot be taken for the id of another kind.
#[derive(AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Uuid)]
pub struct Id<R: Resource>(Uuid, PhantomData<fn() -> R>);

impl<R: Resource> Id<R> {
    /// A new time-ordered id (UUIDv7).
    pub fn generate() -> Self {
        Self::from_uuid(Uuid::now_v7())
    }

    /// The id with this UUID.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The resource name, `accounts/{uuid}`.
    pub fn name(self) -> String {
        format!("{}/{}", R::COLLECTION, self.0)
    }

    /// Reads a resource name.
    pub fn parse_name(name: &str) -> Decoded<Self> {
        name.strip_prefix(R::COLLECTION)
            .and_then(|rest| rest.strip_prefix('/'))
            .and_then(canonical)
            .map(Self::from_uuid)
            .ok_or_else(|| invalid(format!("must be {}/{{uuid}}", R::COLLECTION)))
    }

    /// Reads the id that a caller gave on create; `None` where it is empty.
    pub fn parse_chosen(id: &str) -> Decoded<Option<Self>> {
        if id.is_empty() {
            return Ok(None);
        }
        let uuid = canonical(id).ok_or_else(|| invalid("must be a UUID in lower case"))?;
        Ok(Some(Self::from_uuid(uuid)))
    }

    /// `RESOURCE_NOT_FOUND` for this id.
    pub fn not_found(self) -> Problem {
        Problem::not_found(R::TYPE, self.name())
    }
}

/// One spelling for each id, or one resource would have several names.
fn canonical(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    let spelled = uuid.hyphenated().to_string() == text;
    spelled.then_some(uuid)
}

// Derived impls would ask `R` for the same traits.
impl<R: Resource> Clone for Id<R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R: Resource> Copy for Id<R> {}
impl<R: Resource> PartialEq for Id<R> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<R: Resource> Eq for Id<R> {}
impl<R: Resource> PartialOrd for Id<R> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<R: Resource> Ord for Id<R> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<R: Resource> Hash for Id<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<R: Resource> fmt::Debug for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", R::COLLECTION, self.0)
    }
}
impl<R: Resource> fmt::Display for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", R::COLLECTION, self.0)
    }
}
impl<R: Resource> Serialize for Id<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
impl<'de, R: Resource> Deserialize<'de> for Id<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self::from_uuid)
    }
}
impl<R: Resource> ToSql<sql_types::Uuid, Pg> for Id<R> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Uuid, Pg>::to_sql(&self.0, out)
    }
}
impl<R: Resource> FromSql<sql_types::Uuid, Pg> for Id<R> {
    fn from_sql(bytes: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::from_uuid(FromSql::<sql_types::Uuid, Pg>::from_sql(bytes)?))
    }
}

/// A tenant: one legal entity's books and data.
#[derive(Debug)]
pub enum Tenant {}

impl Resource for Tenant {
    const COLLECTION: &'static str = "tenants";
    const TYPE: &'static str = "tenant";
}

/// The id of a tenant. It stands first in every key.
pub type TenantId = Id<Tenant>;
