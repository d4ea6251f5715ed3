//! What the log has of many things at once, each by its id: the hash that was entered, where it is,
//! and the way from there to what was signed last.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Uuid};

use super::note::{Checkpoint, read_note};
use super::store::{Signed, signed};
use super::tlog_proof::TlogProof;
use super::{Hash, tree};
use crate::changes::first_id;
use crate::db::{DbError, Statement, statement};
use crate::ids::TenantId;
use crate::time::Timestamp;

/// How much later than a thing its change is at most: a change has the time of the latest thing in
/// it, and no call waits this long for others that are written with it.
const WINDOW_MICROS: i64 = 120_000_000;
/// Changes that are gone through for one thing.
const EXAMINED_MAX: i64 = 2_000;

/// What the log has of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// The hash of its leaf, as it was when it was written.
    pub hash: Hash,
    /// The position of the leaf; none before the sequencer has come by.
    pub index: Option<u64>,
}

/// Proofs under one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proofs {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// One for each leaf; none where the checkpoint does not cover it.
    pub proofs: Vec<Option<TlogProof>>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    position: Option<i64>,
    #[diesel(sql_type = Nullable<Binary>)]
    hash: Option<Vec<u8>>,
}

/// Finds things by their ids, near the times at which they were written; `None` for what the log
/// has not got there.
pub fn entered(
    conn: &mut PgConnection,
    tenant: TenantId,
    things: &[(uuid::Uuid, Timestamp)],
) -> Result<Vec<Option<Entered>>, DbError> {
    let mut found = vec![None; things.len()];
    if things.is_empty() {
        return Ok(found);
    }
    let rows: Vec<Row> = entered_query(tenant, things).load(conn)?;
    let index = |row: &Row| row.position.map(i64::cast_unsigned);
    let indexes: Vec<u64> = rows.iter().filter_map(index).collect();
    let mut hashes = tree::leaves_at(conn, tenant, &indexes)?.into_iter();
    for row in rows {
        let index = index(&row);
        let own = row.hash.and_then(|hash| Hash::try_from(hash.as_slice()).ok());
        let hash = if index.is_some() { hashes.next() } else { own };
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        if let (Some(slot), Some(hash)) = (found.get_mut(place), hash) {
            *slot = Some(Entered { hash, index });
        }
    }
    Ok(found)
}

fn entered_query(
    tenant: TenantId,
    things: &[(uuid::Uuid, Timestamp)],
) -> Statement<impl QueryFragment<Pg> + use<>> {
    fn column<T>(
        things: &[(uuid::Uuid, Timestamp)],
        value: impl Fn(&(uuid::Uuid, Timestamp)) -> T,
    ) -> Vec<T> {
        things.iter().map(value).collect()
    }
    // Hashes stand in the change until it has its position, and in the tree from then on.
    const SELECT: &str = "\
        SELECT w.place, c.position + c.at - 1 AS position, \
            CASE WHEN c.position IS NULL THEN substring(c.leaves FROM c.at * 32 - 31 FOR 32) END \
                AS hash \
        FROM unnest($2, $3, $4) WITH ORDINALITY AS w (id, first, last, place), \
        LATERAL (SELECT position, leaves, array_position(ids, w.id) AS at \
            FROM (SELECT * FROM changes WHERE tenant_id = $1 AND id >= w.first AND id < w.last \
                ORDER BY id LIMIT $5) near \
            WHERE ids @> ARRAY[w.id] LIMIT 1) c ORDER BY w.place";
    let end = |time: Timestamp| time.micros().saturating_add(WINDOW_MICROS);
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(things, |one| one.0).into_sql::<Array<Uuid>>(),
        column(things, |one| first_id(one.1)).into_sql::<Array<Uuid>>(),
        column(things, |one| first_id(Timestamp::from_micros(end(one.1))))
            .into_sql::<Array<Uuid>>(),
        EXAMINED_MAX.into_sql::<BigInt>(),
    );
    statement(SELECT, binds)
}

/// Proves that leaves are in the log under its latest checkpoint; `None` where nothing was signed
/// yet.
pub fn prove(
    conn: &mut PgConnection,
    tenant: TenantId,
    indexes: &[u64],
) -> Result<Option<Proofs>, DbError> {
    let Some(Signed { size, note, .. }) = signed(conn, tenant, None)? else { return Ok(None) };
    let checkpoint = read_note(&note);
    let checkpoint =
        checkpoint.ok_or_else(|| DbError::Fault("a checkpoint is no note".to_owned()))?;
    let covered: Vec<u64> = indexes.iter().copied().filter(|index| *index < size).collect();
    let mut paths = tree::prove_inclusions(conn, tenant, &covered, size)?.into_iter();
    let prove = |index: &u64| {
        let hashes = if *index < size { paths.next()? } else { return None };
        Some(TlogProof { extra: None, index: *index, hashes, checkpoint: note.clone() })
    };
    Ok(Some(Proofs { checkpoint, proofs: indexes.iter().map(prove).collect() }))
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection as _;
    use diesel_migrations::{EmbeddedMigrations, embed_migrations};

    use super::*;
    use crate::changes;
    use crate::db::Schema;
    use crate::testing::{TestDatabase, plan};
    use crate::transparency::leaf_hash;

    const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/migrations");
    const SCHEMA: Schema = Schema { name: "transactions", migrations: &MIGRATIONS, binary: 1 };

    #[test]
    fn what_is_not_in_the_tree_yet_is_found_where_it_waits() {
        let database = TestDatabase::new(SCHEMA);
        let (tenant, other) = (database.tenant(), database.tenant());
        let conn = &mut database.runtime();
        let scope = format!("SET strongroom.tenant = '{}'", tenant.uuid());
        conn.batch_execute(&scope).unwrap();
        let at = |micros: i64| Timestamp::from_micros(1_795_338_000_000_000 + micros);
        let things: Vec<_> = (0..5).map(|n| (changes::id(at(n)), at(n))).collect();
        let hashes: Vec<Hash> = (0..5).map(|n: u8| leaf_hash(&n.to_string())).collect();
        let ids = |from: usize, to: usize| things[from..to].iter().map(|one| one.0).collect();
        let mut insert = |from, to, time| {
            let (ids, hashes) = (ids(from, to), &hashes[from..to]);
            changes::insert_hashed(conn, tenant, "made", ids, hashes, time).unwrap();
        };
        insert(0, 1, at(0));
        insert(1, 4, at(3));
        // Nobody waits as long as this.
        insert(4, 5, at(WINDOW_MICROS + 10));
        let asked = [things[3], things[0], (uuid::Uuid::nil(), at(0)), things[1], things[4]];
        let found = entered(conn, tenant, &asked).unwrap();
        let hash = |place: usize| Some(Entered { hash: hashes[place], index: None });
        assert_eq!(found, [hash(3), hash(0), None, hash(1), None]);
        assert_eq!(entered(conn, other, &asked).unwrap(), [None; 5]);
        assert_eq!(prove(conn, tenant, &[0]).unwrap(), None);
    }

    #[test]
    fn each_thing_has_its_own_look_at_the_index() {
        let database = TestDatabase::new(SCHEMA);
        let tenant = database.tenant();
        let things = [(uuid::Uuid::nil(), Timestamp::from_micros(1))];
        let shown = plan(&database, tenant, entered_query(tenant, &things));
        assert!(shown.contains("using changes_pkey "), "{shown}");
        assert!(shown.contains("id >= w.first"), "{shown}");
        assert!(!shown.contains("Seq Scan"), "{shown}");
    }
}
