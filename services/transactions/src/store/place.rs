//! Where a row stands in its table.

use std::io::Write as _;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::SqlType;

/// `tid`.
#[derive(Debug, Clone, Copy, SqlType, QueryId)]
#[diesel(postgres_type(oid = 27, array_oid = 1010))]
pub(crate) struct Tid;

/// The place of a row, its `ctid`: a row that is locked stays there until the one who locked it
/// changes it. The default is no row's.
#[derive(Debug, Clone, Copy, Default, AsExpression, FromSqlRow)]
#[diesel(sql_type = Tid)]
pub(crate) struct Place([u8; 6]);

impl FromSql<Tid, Pg> for Place {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(value.as_bytes().try_into()?))
    }
}

impl ToSql<Tid, Pg> for Place {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&self.0)?;
        Ok(IsNull::No)
    }
}
