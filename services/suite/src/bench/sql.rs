//! What is asked of Postgres itself, as its superuser. Everything here blocks.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel::{QueryableByName, sql_query};
use uuid::Uuid;

use super::error::BenchError;

/// Files of the floors.
const BARE_SCHEMA: &str = include_str!("floors/bare.schema.sql");
const SAME_ROWS_SCHEMA: &str = include_str!("floors/same_rows.schema.sql");
/// From this version on checkpoints are counted in a view of their own.
const OWN_CHECKPOINT_VIEW: i32 = 17_0000;
/// Pages at the end of a table that are looked at, where a sample will do.
const SAMPLE_PAGES: i64 = 2_000;

/// A superuser's connection.
pub(super) struct Admin(pub(super) PgConnection);

/// Where Postgres is at some moment.
#[derive(Debug, Clone, Copy, QueryableByName)]
pub(super) struct Mark {
    /// Microseconds since the Unix epoch.
    #[diesel(sql_type = BigInt)]
    pub(super) time: i64,
    /// Bytes of write-ahead log that were ever written.
    #[diesel(sql_type = BigInt)]
    pub(super) wal: i64,
    /// Bytes of the tables and indexes of the ledger.
    #[diesel(sql_type = BigInt)]
    pub(super) size: i64,
    /// Checkpoints that were ever begun.
    #[diesel(sql_type = BigInt)]
    pub(super) checkpoints: i64,
}

/// A text.
#[derive(QueryableByName)]
pub(super) struct TextValue {
    #[diesel(sql_type = Text)]
    pub(super) value: String,
}

#[derive(QueryableByName)]
struct IntegerValue {
    #[diesel(sql_type = Integer)]
    value: i32,
}

#[derive(QueryableByName)]
struct DoubleValue {
    #[diesel(sql_type = Nullable<Double>)]
    value: Option<f64>,
}

impl Admin {
    /// Connects.
    pub(super) fn connect(url: &str) -> Result<Self, BenchError> {
        Ok(Self(PgConnection::establish(url)?))
    }

    /// What an expression is, as a text.
    pub(super) fn text(&mut self, expression: &str) -> Result<String, BenchError> {
        let value: TextValue =
            sql_query(format!("SELECT ({expression})::text AS value")).get_result(&mut self.0)?;
        Ok(value.value)
    }

    /// A setting of the server.
    pub(super) fn setting(&mut self, name: &str) -> Result<String, BenchError> {
        self.text(&format!("current_setting('{name}')"))
    }

    /// The folder of the programs of this Postgres.
    pub(super) fn programs(&mut self) -> Result<String, BenchError> {
        self.text("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
    }

    /// The folder of the Unix socket where this connection goes through it, else an address.
    pub(super) fn host(&mut self) -> Result<String, BenchError> {
        self.text(
            "CASE WHEN inet_server_addr() IS NULL THEN current_setting('data_directory') \
             ELSE host(inet_server_addr()) END",
        )
    }

    /// The process of the server.
    pub(super) fn server_pid(&mut self) -> Result<u32, BenchError> {
        let line = self.text("split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")?;
        line.trim().parse().map_err(|_| BenchError::Service("Postgres has no process".to_owned()))
    }

    /// Where Postgres is now.
    pub(super) fn mark(&mut self) -> Result<Mark, BenchError> {
        let version: IntegerValue =
            sql_query("SELECT current_setting('server_version_num')::int AS value")
                .get_result(&mut self.0)?;
        let checkpoints = match version.value >= OWN_CHECKPOINT_VIEW {
            true => "SELECT num_timed + num_requested FROM pg_stat_checkpointer",
            false => "SELECT checkpoints_timed + checkpoints_req FROM pg_stat_bgwriter",
        };
        let mark = sql_query(format!(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS time, \
             pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS wal, \
             (SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class \
              WHERE relnamespace = 'transactions'::regnamespace AND relkind = 'r') AS size, \
             ({checkpoints})::bigint AS checkpoints"
        ));
        Ok(mark.get_result(&mut self.0)?)
    }

    /// Transfers of the service in one commit, on average since a moment, by a sample.
    pub(super) fn transfers_per_commit(
        &mut self,
        since: Mark,
        floor: Uuid,
    ) -> Result<Option<f64>, BenchError> {
        let mean = sql_query(
            "SELECT count(*)::float8 / nullif(count(DISTINCT xmin::text), 0) AS value \
             FROM transactions.transactions \
             WHERE tenant_id <> $1 AND record_time >= to_timestamp($2::float8 / 1000000) \
                 AND ctid >= format('(%s,0)', greatest(0, \
                     pg_relation_size('transactions.transactions') / 8192 - $3))::tid",
        );
        let mean: DoubleValue = mean
            .bind::<SqlUuid, _>(floor)
            .bind::<BigInt, _>(since.time)
            .bind::<BigInt, _>(SAMPLE_PAGES)
            .get_result(&mut self.0)?;
        Ok(mean.value)
    }

    /// Makes the floors, the bare one with its accounts.
    pub(super) fn make_floors(&mut self, accounts: u64) -> Result<(), BenchError> {
        self.0.batch_execute(
            "CREATE SCHEMA floors; GRANT USAGE ON SCHEMA floors TO strongroom_transactions",
        )?;
        self.0.batch_execute(BARE_SCHEMA)?;
        self.0.batch_execute(SAME_ROWS_SCHEMA)?;
        self.0.batch_execute(&format!(
            "INSERT INTO floors.bare_accounts \
             SELECT n, 0, 100000000000 FROM generate_series(1, {accounts}) AS n"
        ))?;
        Ok(self.0.batch_execute("VACUUM (ANALYZE) floors.bare_accounts")?)
    }

    /// Copies a tenant under these ids.
    pub(super) fn copy_tenant(&mut self, template: Uuid, ids: &[Uuid]) -> Result<(), BenchError> {
        // Whatever columns there are: all but the id stay as the service has written them.
        sql_query(
            "INSERT INTO transactions.tenants SELECT copy.* \
             FROM transactions.tenants AS t, unnest($2) AS new, \
                 jsonb_populate_record(t, jsonb_build_object('id', new)) AS copy \
             WHERE t.id = $1",
        )
        .bind::<SqlUuid, _>(template)
        .bind::<Array<SqlUuid>, _>(ids)
        .execute(&mut self.0)?;
        Ok(())
    }

    /// Copies the one account of a tenant, so that each of these tenants has so many. Their ids end
    /// in their numbers.
    pub(super) fn copy_account(
        &mut self,
        template: Uuid,
        tenants: &[Uuid],
        accounts: u64,
    ) -> Result<(), BenchError> {
        sql_query(
            "INSERT INTO transactions.ledger_accounts SELECT copy.* \
             FROM transactions.ledger_accounts AS a, unnest($2) AS tenant, \
                 generate_series(1, $3) AS number, \
                 jsonb_populate_record(a, jsonb_build_object('tenant_id', tenant, \
                     'id', '00000000-0000-7000-8000-' || 100000000000 + number)) AS copy \
             WHERE a.tenant_id = $1 ON CONFLICT DO NOTHING",
        )
        .bind::<SqlUuid, _>(template)
        .bind::<Array<SqlUuid>, _>(tenants)
        .bind::<BigInt, _>(i64::try_from(accounts).unwrap_or(i64::MAX))
        .execute(&mut self.0)?;
        Ok(())
    }

    /// Tidies up after the copies, as autovacuum would a minute later.
    pub(super) fn vacuum_accounts(&mut self) -> Result<(), BenchError> {
        Ok(self.0.batch_execute("VACUUM (ANALYZE) transactions.ledger_accounts")?)
    }

    /// How many leaves the log of a tenant has, and how many changes are not in it.
    pub(super) fn log(&mut self, tenant: Uuid) -> Result<(i64, i64), BenchError> {
        #[derive(QueryableByName)]
        struct Log {
            #[diesel(sql_type = BigInt)]
            size: i64,
            #[diesel(sql_type = BigInt)]
            rest: i64,
        }
        let log: Log = sql_query(
            "SELECT coalesce( \
                 (SELECT size FROM transactions.logs WHERE tenant_id = $1), 0) AS size, \
             (SELECT count(*) FROM transactions.changes \
              WHERE tenant_id = $1 AND position IS NULL) AS rest",
        )
        .bind::<SqlUuid, _>(tenant)
        .get_result(&mut self.0)?;
        Ok((log.size, log.rest))
    }

    /// Tidies up everything, and leaves nothing that must still be written to disk.
    pub(super) fn settle(&mut self) -> Result<(), BenchError> {
        self.0.batch_execute("VACUUM (ANALYZE)")?;
        Ok(self.0.batch_execute("CHECKPOINT")?)
    }
}
