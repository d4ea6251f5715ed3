//! Whoever can write to the database still cannot change or move what is sealed.

use diesel::connection::SimpleConnection as _;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1::RecordView as View;
use strongroom_proto::records::v1::field_index::Normalisation;

use crate::callers::records::{field, index, json_type};
use crate::world::{Caller, World, id_of};

async fn is_broken(caller: &Caller, name: &str) {
    for view in [View::Masked, View::Full] {
        let status = caller.read(name, view).await.unwrap_err();
        let (reason, field, figures) = refusal(&status);
        assert_eq!(reason, Reason::SealBroken);
        assert_eq!(status.message(), "What is stored does not open.");
        assert!(field.is_empty() && figures.keys().all(|key| key == "trace_id"), "{figures:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_breaks_the_seal() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let content = format!("{:>40000}", "\"secret\"");
    let record = caller.record(&subject, "application/json", content.as_bytes()).await;
    let flip = |table: &str, column: &str, at: &str| {
        world.owner_sql(&format!(
            "UPDATE {table} SET {column} = set_byte({column}, {at}, get_byte({column}, {at}) # 1)"
        ));
    };
    for (table, column) in [
        ("record_versions", "body"),
        ("record_versions", "data_key"),
        ("record_versions", "commitment_salt"),
        ("record_versions", "commitment"),
        ("subject_keys", "wrapped"),
        ("tenant_keys", "wrapped"),
    ] {
        for at in ["0", &format!("length({column}) / 2"), &format!("length({column}) - 1")] {
            flip(table, column, at);
            is_broken(&caller, &record.name).await;
            flip(table, column, at);
            assert!(caller.content(&record.name).await.is_ok(), "{table}.{column} {at}");
        }
    }
    let log = world.accesses();
    let broken = log.iter().filter(|entry| entry.reason.as_deref() == Some("SEAL_BROKEN"));
    assert_eq!(broken.count(), 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_body_breaks_the_seal() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let content = format!("{:>40000}", "\"secret\"");
    for length in ["0", "55", "56", "56 + 16400", "56 + 2 * 16400", "length(body) - 1"] {
        let record = caller.record(&subject, "application/json", content.as_bytes()).await;
        let id = id_of(&record.name);
        world.owner_sql(&format!(
            "UPDATE record_versions SET body = substr(body, 1, {length}) WHERE record_id = '{id}'"
        ));
        is_broken(&caller, &record.name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_moved_to_another_record_does_not_open() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    for columns in [
        "body",
        "body, data_key",
        "body, data_key, data_key_id, size_bytes",
        "body, data_key, data_key_id, size_bytes, commitment, commitment_salt",
    ] {
        let one = caller.record(&subject, "application/json", b"\"one\"").await.name;
        let other = caller.record(&subject, "application/json", b"\"other\"").await.name;
        let (a, b) = (id_of(&one), id_of(&other));
        let from: Vec<_> = columns.split(", ").map(|column| format!("b.{column}")).collect();
        world.owner_sql(&format!(
            "UPDATE record_versions AS a SET ({columns}) = ROW({}) FROM record_versions AS b \
             WHERE a.record_id IN ('{a}', '{b}') AND b.record_id IN ('{a}', '{b}') \
             AND a.record_id <> b.record_id",
            from.join(", ")
        ));
        is_broken(&caller, &one).await;
        is_broken(&caller, &other).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_to_another_owner_does_not_open() {
    let world = World::new().await;
    let caller = world.caller();
    let (subject, other) = (caller.subject().await, caller.subject().await);
    let record = caller.record(&subject, "application/json", b"\"secret\"").await;
    let (mine, theirs) = (id_of(&subject), id_of(&other));
    let set = |sql: &str| world.owner_sql(sql);

    set(&format!("UPDATE records SET subject_id = '{theirs}'"));
    is_broken(&caller, &record.name).await;
    set(&format!("UPDATE records SET subject_id = '{mine}'"));

    set("UPDATE record_versions SET content_type = 'text/json'");
    is_broken(&caller, &record.name).await;
    set("UPDATE record_versions SET content_type = 'application/json', size_bytes = 7");
    is_broken(&caller, &record.name).await;
    set("UPDATE record_versions SET size_bytes = 8");
    assert!(caller.content(&record.name).await.is_ok());

    set(&format!(
        "UPDATE subject_keys SET wrapped = (SELECT wrapped FROM subject_keys \
         WHERE subject_id = '{theirs}') WHERE subject_id = '{mine}'"
    ));
    is_broken(&caller, &record.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_an_index_row_breaks_the_seal() {
    let world = World::new().await;
    let caller = world.caller();
    let fields = vec![
        field("/email", index("email", 64, Normalisation::Email)),
        field("/tax", index("tax", 8, Normalisation::Alphanumeric)),
    ];
    caller.declare("kyc-file", json_type("", fields)).await;
    let subject = caller.subject().await;
    let content = br#"{"email": "jane@example.com", "tax": "DE 12"}"#;
    let record = caller.record(&subject, "application/json", content).await;
    assert_eq!(world.count("record_index"), 2);
    assert_eq!(caller.content(&record.name).await.unwrap(), content);
    for (column, changed) in [
        ("token", "set_byte(token, 0, get_byte(token, 0) # 1)"),
        ("token", "set_byte(token, length(token) - 1, get_byte(token, length(token) - 1) # 1)"),
        ("name", "chr(ascii(name) # 1) || substr(name, 2)"),
        ("kind", "chr(ascii(kind) # 1) || substr(kind, 2)"),
        ("key_version", "key_version # 2"),
    ] {
        for name in ["email", "tax"] {
            let mut owner = world.database.admin();
            let rows = "CREATE TABLE IF NOT EXISTS kept AS SELECT * FROM record_index";
            let flip =
                format!("UPDATE record_index SET {column} = {changed} WHERE name = '{name}'");
            // The reference to the keys would hold up the flip of a version.
            let sql = format!("SET session_replication_role = replica; {rows}; {flip}");
            owner.batch_execute(&sql).unwrap();
            is_broken(&caller, &record.name).await;
            let back = "SET session_replication_role = replica; DELETE FROM record_index; \
                        INSERT INTO record_index SELECT * FROM kept";
            owner.batch_execute(back).unwrap();
            assert!(caller.content(&record.name).await.is_ok(), "{column} of {name}");
        }
    }
}
