//! A page and a look-up read what they need, however much there is: with plans that were made while
//! the tables were empty, on tables that were never analysed, and on analysed ones.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use records::{Config, serve};
use shared::clock::Clock;
use shared::testing::{Running, config};
use strongroom_proto::records::v1 as wire;
use tonic::Status;
use wire::field_index::Normalisation as By;

use crate::callers::records::{field, index, json_type};
use crate::world::{Caller, World, id_of};

const RECORDS: i64 = 20_000;
const PAGE: i32 = 20;
/// Postgres plans a statement for its values five times, and then may have one plan for all.
const TIMES: i64 = 7;
/// Rows of tables and indexes that a call may read: thirty for each resource on a page.
const FEW: i64 = 600;
/// The same where a call examines what is then left out: 2,000 records of a list, 100 of a look-up.
const MANY: i64 = 24_000;

/// Every record has a subject of a hundred and two labels, one of all records and one of few; each
/// is in an index under a token of its own, and in another under one for all. One has a thousand
/// versions.
///
/// Autovacuum keeps away: half of the tables with statistics would be another test.
const FILL: &str = "
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT relname FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' LOOP
            EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = false)', name);
        END LOOP;
    END $$;
    CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql AS
        $$ SELECT (kind || lpad(n::text, 31, '0'))::uuid $$;
    INSERT INTO subjects (tenant_id, id, state, revision, create_time)
        SELECT '{tenant}', pg_temp.id('b', n), 2, 1, now() FROM generate_series(0, 99) n;
    INSERT INTO records (tenant_id, id, subject_id, kind, version, revision, create_time,
                         update_time, state)
        SELECT '{tenant}', pg_temp.id('a', n), pg_temp.id('b', n % 100),
               CASE n % 100 WHEN 7 THEN 'rare' ELSE 'kyc-file' END,
               CASE n WHEN 1 THEN 1000 ELSE 1 END, 1, now(), now(),
               CASE n % 5000 WHEN 1003 THEN 2 ELSE 1 END
        FROM generate_series(1, {count}) n;
    INSERT INTO record_versions (tenant_id, record_id, version, content_type, size_bytes, body,
                                 data_key_id, subject_key_generation, commitment, create_time)
        SELECT '{tenant}', pg_temp.id('a', n), v, 'text/plain', 1, 'x', pg_temp.id('c', n), 1,
               sha256('x'), now()
        FROM generate_series(1, {count}) n,
             generate_series(1, CASE n WHEN 1 THEN 1000 ELSE 1 END) v;
    INSERT INTO record_labels (tenant_id, record_id, key, value)
        SELECT '{tenant}', pg_temp.id('a', n), key,
               CASE key WHEN 'app' THEN 'kyc' ELSE 'run-' || n % 1000 END
        FROM generate_series(1, {count}) n, unnest(ARRAY['app', 'run']) key;
    INSERT INTO record_index (tenant_id, record_id, kind, name, key_version, rules, token)
        SELECT '{tenant}', pg_temp.id('a', n), 'kyc-file', 'email', 1, 0,
               substr(sha256(n::text::bytea), 1, 16)
        FROM generate_series(1, {count}) n;
    INSERT INTO record_index (tenant_id, record_id, kind, name, key_version, rules, token)
        SELECT '{tenant}', pg_temp.id('a', n), 'kyc-file', 'city', 1, 0, i.token
        FROM generate_series(1, {count}) n, record_index i
        WHERE i.name = 'city' AND i.record_id = '{known}';";

const SUBJECT: &str = "subjects/b0000000-0000-0000-0000-000000000007";
const OLDEST: &str = "records/a0000000-0000-0000-0000-000000000001";

/// A call for a page or for what is found.
#[derive(Debug)]
enum Call {
    Records(&'static str),
    Versions,
    Types,
    LookUp(&'static str, &'static str),
}

impl Call {
    /// Gives how many there are, and the token of the next page.
    async fn page(&self, caller: &Caller, token: &str) -> Result<(usize, String), Status> {
        let (page_size, page_token) = (PAGE, token.to_owned());
        Ok(match self {
            Self::Records(filter) => {
                let filter = (*filter).to_owned();
                let request = wire::ListRecordsRequest { page_size, page_token, filter };
                let page = caller.list_records(request).await?.into_inner();
                (page.records.len(), page.next_page_token)
            }
            Self::Versions => {
                let parent = OLDEST.to_owned();
                let request = wire::ListRecordVersionsRequest { parent, page_size, page_token };
                let page = caller.list_record_versions(request).await?.into_inner();
                (page.versions.len(), page.next_page_token)
            }
            Self::Types => {
                let request = wire::ListRecordTypesRequest { page_size, page_token };
                let page = caller.list_record_types(request).await?.into_inner();
                (page.record_types.len(), page.next_page_token)
            }
            Self::LookUp(index, value) => {
                let request = wire::LookupRecordsRequest {
                    r#type: "kyc-file".to_owned(),
                    index: (*index).to_owned(),
                    value: (*value).to_owned(),
                    purpose: "KYC".to_owned(),
                };
                let found = caller.lookup_records(request).await?.into_inner();
                (found.records.len(), String::new())
            }
        })
    }
}

/// Every way to ask, with how many there are on the first page, and how many rows it may read.
fn calls() -> Vec<(Call, usize, i64)> {
    use Call::{LookUp, Records, Types, Versions};
    let of_subject: &str = Box::leak(format!("subject = \"{SUBJECT}\"").into_boxed_str());
    let both: &str = Box::leak(format!("{of_subject} AND labels.app = kyc").into_boxed_str());
    vec![
        (Records(""), 20, FEW),
        (Records(of_subject), 20, FEW),
        (Records(both), 20, FEW),
        (Records("type = rare"), 20, FEW),
        (Records("type = \"kyc-file\""), 20, FEW),
        (Records("labels.app = kyc"), 20, FEW),
        (Records("labels.run = run-7"), 20, FEW),
        (Records("labels.run = run-8 AND labels.app = kyc AND type = \"kyc-file\""), 2, MANY),
        (Records("labels.app = kyc AND type = rare"), 20, MANY),
        (Records("state = DELETED"), 1, MANY),
        (Records("state = PURGED"), 0, MANY),
        (Versions, 20, FEW),
        (Types, 1, FEW),
        (LookUp("email", "jane@example.com"), 1, FEW),
        (LookUp("email", "john@example.com"), 0, FEW),
        (LookUp("city", "Paris"), 1, MANY),
    ]
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The rows that sessions have read, from tables and from indexes.
fn reads(world: &World) -> i64 {
    const READS: &str = "
        SELECT sum(pg_stat_get_tuples_returned(oid) + pg_stat_get_tuples_fetched(oid))::bigint
            AS count
        FROM pg_class WHERE relnamespace = current_schema()::regnamespace
            AND relkind IN ('r', 'i')";
    tokio::task::block_in_place(|| {
        let found: Count =
            diesel::sql_query(READS).get_result(&mut world.database.owner()).unwrap();
        found.count
    })
}

/// Ends the sessions of the service, which tell their counts at the latest then.
async fn end_sessions(world: &World) {
    const END: &str = "
        SELECT count(pg_terminate_backend(pid)) AS count FROM pg_stat_activity
        WHERE application_name = $1 AND usename = 'strongroom_records'";
    let name = format!("strongroom-{}", world.database.name);
    loop {
        let ended: Count = tokio::task::block_in_place(|| {
            let query = diesel::sql_query(END).bind::<Text, _>(&name);
            query.get_result(&mut world.database.admin()).unwrap()
        });
        if ended.count == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks for every page and the one behind it, time and again.
async fn ask_each(world: &World, caller: &Caller, which: &str) {
    for (call, count, most) in calls() {
        end_sessions(world).await;
        let before = reads(world);
        let times = if most == MANY { 2 } else { TIMES };
        for _ in 0..times {
            let (found, token) = call.page(caller, "").await.unwrap();
            assert_eq!(found, count, "{call:?}");
            call.page(caller, &token).await.unwrap();
        }
        end_sessions(world).await;
        let rows = (reads(world) - before) / (2 * times);
        assert!(rows <= most, "{call:?} read {rows} rows of {which}");
    }
}

async fn restart_quiet(world: &mut World) {
    world.running.cancel();
    let kek = world.folder.path().join("kek.json");
    let objects = format!("file://{}", world.folder.path().join("objects").display());
    let mut arguments = world.database.arguments();
    arguments.extend(world.issuer.arguments());
    arguments.extend(["--kek-file", kek.to_str().unwrap(), "--object-store", &objects]);
    arguments.extend(["--pool-size", "1", "--lanes", "1"]);
    arguments.extend(["--sequence-interval", "3600", "--sweep-interval", "3600"]);
    let config: Config = config(&arguments);
    let serve = |listener, shutdown| serve(listener, config, Clock::system(), shutdown);
    world.running = Running::start(serve).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_what_it_needs_and_no_more() {
    let mut world = World::new().await;
    // One session, so that every statement is asked for often enough, and nobody else who reads.
    restart_quiet(&mut world).await;
    let caller = world.caller();
    let fields = vec![
        field("/email", index("email", 0, By::Email)),
        field("/city", index("city", 8, By::Exact)),
    ];
    caller.declare("kyc-file", json_type("", fields)).await;
    let subject = caller.subject().await;
    let content = br#"{"email": "jane@example.com", "city": "Paris"}"#;
    let known = caller.record(&subject, "application/json", content).await.name;
    for (call, ..) in calls() {
        for _ in 0..TIMES {
            // Nothing is there yet.
            let _ = call.page(&caller, "").await;
        }
    }
    let fill = FILL
        .replace("{tenant}", &world.tenant.uuid().to_string())
        .replace("{known}", id_of(&known))
        .replace("{count}", &RECORDS.to_string());
    tokio::task::block_in_place(|| world.owner_sql(&fill));
    ask_each(&world, &caller, "tables that were never analysed").await;
    tokio::task::block_in_place(|| world.database.owner().batch_execute("ANALYZE").unwrap());
    ask_each(&world, &caller, "analysed tables").await;
}
