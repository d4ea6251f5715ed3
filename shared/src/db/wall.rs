//! The wall between the tenants of one transaction.

use diesel::PgConnection;
use diesel::connection::SimpleConnection as _;
use diesel::result::QueryResult;

use crate::ids::TenantId;

/// Whose rows the policies show, in a transaction that may be about several tenants: those of one
/// after the other, or of all of them, in the few tables whose policies know of that.
#[derive(Debug)]
pub struct Wall {
    tenants: Vec<TenantId>,
    shown: Option<Shown>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    One(TenantId),
    All,
}

impl Wall {
    /// A transaction about these tenants. One alone stands in its `Scope`, and nothing is sent.
    pub fn around(tenants: impl IntoIterator<Item = TenantId>) -> Self {
        Self { tenants: tenants.into_iter().collect(), shown: None }
    }

    /// From here on the rows of this tenant are there, and no others.
    pub fn one(&mut self, conn: &mut PgConnection, tenant: TenantId) -> QueryResult<()> {
        self.show(conn, Shown::One(tenant))
    }

    /// From here on the rows of all these tenants are there, in the tables whose policies say so.
    /// Whoever asks another table is refused: what is not shown must not pass for what is not
    /// there.
    pub fn all(&mut self, conn: &mut PgConnection) -> QueryResult<()> {
        self.show(conn, Shown::All)
    }

    fn show(&mut self, conn: &mut PgConnection, shown: Shown) -> QueryResult<()> {
        if self.tenants.len() < 2 || self.shown == Some(shown) {
            return Ok(());
        }
        // A UUID needs no quoting; what is none makes the policy of one tenant fail.
        let (one, all) = match shown {
            Shown::One(tenant) => (tenant.uuid().to_string(), String::new()),
            Shown::All => {
                let all = self.tenants.iter().map(|tenant| tenant.uuid().to_string());
                ("several".to_owned(), all.collect::<Vec<_>>().join(","))
            }
        };
        conn.batch_execute(&format!(
            "SET LOCAL strongroom.tenant = '{one}'; SET LOCAL strongroom.tenants = '{all}'"
        ))?;
        self.shown = Some(shown);
        Ok(())
    }
}
