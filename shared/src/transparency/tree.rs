//! The tree in tiles of 256 hashes (C2SP tlog-tiles): tile `index` of `level` has the hashes at the
//! height 8 * level. An append rewrites the right-most tile of each level and no other; a proof
//! reads one or two tiles of each level, all in one statement.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, SmallInt, Uuid};
use tlog_tiles::tlog::{self, HashReader};
use tlog_tiles::{Error, Tile};

use super::Hash;
use crate::db::{DbError, statement};
use crate::ids::TenantId;

/// Levels of the tree in one tile.
const HEIGHT: u8 = 8;
/// Hashes in a full tile.
const WIDTH: u64 = 1 << HEIGHT;
const HASH_BYTES: usize = 32;

/// The level of a tile and its index within.
type Place = (u8, u64);

/// Tiles by their places: the hashes, one after the other.
pub(crate) type Tiles = BTreeMap<Place, Vec<u8>>;

/// Appends leaves to a log of this size, and gives the tiles that this changes. `tiles` are those
/// at its right edge.
pub(crate) fn append(mut tiles: Tiles, size: u64, leaves: &[Hash]) -> Tiles {
    let mut changed = BTreeSet::new();
    for (index, leaf) in (size..).zip(leaves) {
        let (mut level, mut index, mut hash) = (0, index, *leaf);
        loop {
            let place = (level, index / WIDTH);
            let tile = tiles.entry(place).or_default();
            tile.extend_from_slice(&hash);
            changed.insert(place);
            if !(index + 1).is_multiple_of(WIDTH) {
                break;
            }
            // The root over a full tile is a hash of the next level.
            hash = Tile::subtree_hash(tile).0;
            (level, index) = (level + 1, index / WIDTH);
        }
    }
    tiles.retain(|place, _| changed.contains(place));
    tiles
}

/// The places of the tiles at the right edge of a log of this size: those that are not full.
pub(crate) fn edge(size: u64) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    let (mut level, mut count) = (0, size);
    while count > 0 {
        if !count.is_multiple_of(WIDTH) {
            places.insert((level, count / WIDTH));
        }
        (level, count) = (level + 1, count / WIDTH);
    }
    places
}

/// Reads tiles. What is not there is not among them.
pub(crate) fn load(
    conn: &mut PgConnection,
    tenant: TenantId,
    places: &BTreeSet<Place>,
) -> Result<Tiles, DbError> {
    const SELECT: &str = "\
        SELECT t.level, t.index, t.hashes FROM unnest($2, $3) AS w (level, index), \
        LATERAL (SELECT * FROM log_tiles WHERE tenant_id = $1 AND level = w.level \
            AND index = w.index LIMIT 1) t";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SmallInt)]
        level: i16,
        #[diesel(sql_type = BigInt)]
        index: i64,
        #[diesel(sql_type = Binary)]
        hashes: Vec<u8>,
    }
    if places.is_empty() {
        return Ok(Tiles::new());
    }
    let (levels, indexes): (Vec<i16>, Vec<i64>) =
        places.iter().map(|(level, index)| (i16::from(*level), index.cast_signed())).unzip();
    let binds = (
        tenant.into_sql::<Uuid>(),
        levels.into_sql::<Array<SmallInt>>(),
        indexes.into_sql::<Array<BigInt>>(),
    );
    let rows: Vec<Row> = statement(SELECT, binds).load(conn)?;
    let tile = |row: Row| {
        let level = u8::try_from(row.level).unwrap_or(u8::MAX);
        ((level, row.index.cast_unsigned()), row.hashes)
    };
    Ok(rows.into_iter().map(tile).collect())
}

/// The root of the log when it had this size.
pub(crate) fn root(conn: &mut PgConnection, tenant: TenantId, size: u64) -> Result<Hash, DbError> {
    run(conn, tenant, |reader| tlog::tree_hash(size, reader)).map(|hash| hash.0)
}

/// The path from a leaf to the root of the log of a size (RFC 6962 2.1.1).
pub(crate) fn prove_inclusion(
    conn: &mut PgConnection,
    tenant: TenantId,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, DbError> {
    let proof = run(conn, tenant, |reader| tlog::prove_record(size, index, reader))?;
    Ok(proof.into_iter().map(|hash| hash.0).collect())
}

/// What leads from the root of one size to that of a larger one (RFC 6962 2.1.2).
pub(crate) fn prove_consistency(
    conn: &mut PgConnection,
    tenant: TenantId,
    from: u64,
    to: u64,
) -> Result<Vec<Hash>, DbError> {
    let proof = run(conn, tenant, |reader| tlog::prove_tree(to, from, reader))?;
    Ok(proof.into_iter().map(|hash| hash.0).collect())
}

/// The paths from several leaves, as [`prove_inclusion`] gives each: what they have in common is
/// read once.
pub(crate) fn prove_inclusions(
    conn: &mut PgConnection,
    tenant: TenantId,
    indexes: &[u64],
    size: u64,
) -> Result<Vec<Vec<Hash>>, DbError> {
    let proofs = run(conn, tenant, |reader| {
        // Each is asked before the first answer counts, so that all is known that they want.
        let prove = |index: &u64| tlog::prove_record(size, *index, reader);
        let proofs: Vec<Result<_, Error>> = indexes.iter().map(prove).collect();
        proofs.into_iter().collect::<Result<Vec<_>, Error>>()
    })?;
    let hashes = |proof: Vec<tlog::Hash>| proof.into_iter().map(|hash| hash.0).collect();
    Ok(proofs.into_iter().map(hashes).collect())
}

/// The hashes of leaves as they are in the tree.
pub(crate) fn leaves(
    conn: &mut PgConnection,
    tenant: TenantId,
    range: std::ops::Range<u64>,
) -> Result<Vec<Hash>, DbError> {
    leaves_at(conn, tenant, &range.collect::<Vec<_>>())
}

/// The same of leaves that may be far apart.
pub(crate) fn leaves_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    indexes: &[u64],
) -> Result<Vec<Hash>, DbError> {
    let tiles = load(conn, tenant, &indexes.iter().map(|index| (0, index / WIDTH)).collect())?;
    let hash = |index: &u64| {
        let tile = tiles.get(&(0, index / WIDTH)).ok_or_else(|| damaged(&Error::InvalidTile))?;
        let start = usize::try_from(index % WIDTH).unwrap_or_default() * HASH_BYTES;
        let bytes = tile.get(start..start + HASH_BYTES);
        let hash = bytes.and_then(|bytes| Hash::try_from(bytes).ok());
        hash.ok_or_else(|| damaged(&Error::InvalidTile))
    };
    indexes.iter().map(hash).collect()
}

/// Runs a computation twice: once to learn which hashes it wants, and with them.
fn run<T>(
    conn: &mut PgConnection,
    tenant: TenantId,
    compute: impl Fn(&Reader) -> Result<T, Error>,
) -> Result<T, DbError> {
    let mut reader = Reader { tiles: None, wanted: RefCell::default() };
    match compute(&reader) {
        Err(Error::IndexesNotInTree) => {}
        // It needs no hash, or cannot be done.
        other => return other.map_err(|error| damaged(&error)),
    }
    let wanted = reader.wanted.take();
    let place = |index: &u64| {
        let tile = Tile::from_index(HEIGHT, *index);
        (tile.level(), tile.level_index())
    };
    reader.tiles = Some(load(conn, tenant, &wanted.iter().map(place).collect())?);
    compute(&reader).map_err(|error| damaged(&error))
}

fn damaged(error: &Error) -> DbError {
    DbError::Fault(format!("the tree of the log is damaged: {error}"))
}

/// Gives hashes out of tiles; without any it notes which are wanted.
struct Reader {
    tiles: Option<Tiles>,
    wanted: RefCell<Vec<u64>>,
}

impl HashReader for Reader {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, Error> {
        let Some(tiles) = &self.tiles else {
            self.wanted.borrow_mut().extend_from_slice(indexes);
            return Err(Error::IndexesNotInTree);
        };
        let hash = |index: &u64| {
            let tile = Tile::from_index(HEIGHT, *index);
            let hashes = tiles.get(&(tile.level(), tile.level_index()));
            tile.hash_at_index(hashes.ok_or(Error::InvalidTile)?, *index)
        };
        indexes.iter().map(hash).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transparency::{Root, check_consistency, check_inclusion, leaf_hash};

    fn leaf(index: u64) -> Hash {
        leaf_hash(&index.to_string())
    }

    /// A tree that grew by these steps.
    fn grown(steps: &[u64]) -> (Tiles, u64) {
        let (mut tiles, mut size) = (Tiles::new(), 0);
        for step in steps {
            let edge = edge(size);
            let right = tiles.clone().into_iter().filter(|(place, _)| edge.contains(place));
            let leaves: Vec<Hash> = (size..size + step).map(leaf).collect();
            tiles.extend(append(right.collect(), size, &leaves));
            size += step;
        }
        (tiles, size)
    }

    fn root(size: u64) -> Hash {
        let mut root = Root::default();
        (0..size).for_each(|index| root.push(leaf(index)));
        root.finish()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_proof_holds_however_the_tree_grew(
            steps in proptest::collection::vec(1_u64..900, 1..6),
            (a, b, c) in (any::<u64>(), any::<u64>(), any::<u64>()),
        ) {
            let (tiles, size) = grown(&steps);
            let reader = Reader { tiles: Some(tiles), wanted: RefCell::default() };
            let to = a % size + 1;
            let (from, index) = (b % to + 1, c % to);
            prop_assert_eq!(tlog::tree_hash(to, &reader).unwrap().0, root(to));
            let bytes = |proof: Vec<tlog::Hash>| proof.iter().map(|h| h.0).collect::<Vec<_>>();
            let proof = bytes(tlog::prove_record(to, index, &reader).unwrap());
            prop_assert!(check_inclusion(leaf(index), index, to, root(to), &proof));
            prop_assert!(!check_inclusion(leaf(index + 1), index, to, root(to), &proof));
            let proof = bytes(tlog::prove_tree(to, from, &reader).unwrap());
            prop_assert!(check_consistency((from, root(from)), (to, root(to)), &proof));
            prop_assert!(!check_consistency((from, leaf(size)), (to, root(to)), &proof));
        }
    }

    #[test]
    fn a_tree_of_three_levels_is_one_too() {
        let (tiles, size) = grown(&[65_535, 1, 257]);
        assert!(tiles.contains_key(&(2, 0)));
        let reader = Reader { tiles: Some(tiles), wanted: RefCell::default() };
        assert_eq!(tlog::tree_hash(size, &reader).unwrap().0, root(size));
    }
}
