//! Everything that belongs to a person, in lines of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use shared::problem::Reason;
use shared::testing::refusal;
use shared::transparency::leaf_hash;
use strongroom_proto::records::v1 as wire;
use tonic::Status;

use crate::realm::{Member, Realm};
use crate::streams::{MIB, SEGMENT, Streamer, content, header};
use crate::world::{create, id_of, reason};

/// The lines of an export, each with what it is of, and how it ended.
async fn export(
    member: &mut Member,
    subject: &str,
    purpose: &str,
) -> (Vec<(String, Value)>, Result<(), Status>) {
    let (name, purpose) = (subject.to_owned(), purpose.to_owned());
    let request = wire::ExportSubjectRequest { name, purpose };
    let mut answers = match member.subjects.export_subject(request).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return (Vec::new(), Err(status)),
    };
    let (mut bytes, mut end) = (Vec::new(), Ok(()));
    loop {
        match answers.message().await {
            Ok(Some(part)) => {
                assert!((1..=256 * 1024).contains(&part.ndjson.len()));
                bytes.extend_from_slice(&part.ndjson);
            }
            Ok(None) => break,
            Err(status) => {
                end = Err(status);
                break;
            }
        }
    }
    let line = |line: &[u8]| {
        let Value::Object(line) = serde_json::from_slice(line).unwrap() else { panic!("{line:?}") };
        let mut fields = line.into_iter();
        let field = fields.next().unwrap();
        assert!(fields.next().is_none());
        field
    };
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|l| l.ends_with(b"\n"));
    (lines.map(line).collect(), end)
}

fn of<'a>(lines: &'a [(String, Value)], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|(found, _)| found == kind).map(|(_, value)| value).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_all_that_is_kept() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let (subject, other) = (ann.subject().await, ann.subject().await);
    ann.record(&other, b"somebody else").await;
    let text = ann.record(&subject, b"plain").await.name;
    let json = b"{\"name\": \"J. \\\"D\\\"\",\n \"n\": 1.50}";
    let mut request = create(&subject, "application/json", json);
    request.record.as_mut().unwrap().labels.insert("case".to_owned(), "4711".to_owned());
    let profile = ann.records.create_record(request).await.unwrap().into_inner().name;
    let delete = wire::DeleteRecordRequest { name: text.clone(), ..Default::default() };
    ann.records.delete_record(delete).await.unwrap();
    let large = content(SEGMENT + MIB + 7, 1);
    let scan =
        Streamer::new(&realm.world).upload(header(&subject, "image/png"), &large).await.unwrap();
    let hold = ann.hold(&text).await.name;
    ann.interest(&subject, None).await.unwrap();

    let (lines, end) = export(&mut ann, &subject, "SUBJECT_REQUEST").await;
    end.unwrap();
    assert_eq!(lines[0].0, "subject");
    assert_eq!(lines[0].1["name"], *subject);
    assert_eq!(of(&lines, "legalHold")[0]["name"], *hold);
    assert_eq!(of(&lines, "retentionInterest").len(), 1);
    let records = of(&lines, "record");
    assert_eq!(records.len(), 3);
    let labelled = records.iter().find(|one| one["name"] == *profile).unwrap();
    assert_eq!(labelled["labels"]["case"], "4711");
    let versions = of(&lines, "version");
    let version = |name: &str| *versions.iter().find(|one| one["record"] == name).unwrap();
    assert_eq!(version(&profile)["json"]["name"], "J. \"D\"");
    let decoded = |name: &str| STANDARD.decode(version(name)["base64"].as_str().unwrap()).unwrap();
    assert_eq!(decoded(&text), b"plain");
    assert!(decoded(&scan.get_ref().name) == large);
    let accesses = of(&lines, "access");
    let exported = |one: &&&Value| one["action"] == "records.subjects.export";
    assert_eq!(accesses.iter().filter(exported).count(), 4);
    for entry in &accesses {
        let leaf = entry["leaf"].as_str().unwrap();
        assert!(leaf.contains(id_of(&subject)) && leaf_hash(leaf) != [0; 32]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_unlogged_or_unasked() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    ann.record(&subject, b"secret").await;
    let unknown = subject.replace(&id_of(&subject)[..4], "ffff");
    for (name, purpose, expected) in [
        (&subject, "", Reason::PurposeRequired),
        (&subject, "WHIM", Reason::PurposeUnknown),
        (&unknown, "LEGAL", Reason::ResourceNotFound),
        (&"subjects/1".to_owned(), "LEGAL", Reason::FieldInvalid),
    ] {
        let (lines, end) = export(&mut ann, name, purpose).await;
        assert!(lines.is_empty());
        assert_eq!(refusal(&end.unwrap_err()).0, expected);
    }
    let refused = realm.world.accesses().into_iter().filter(|entry| entry.decision == 2);
    assert_eq!(refused.count(), 3);
    realm.world.owner_sql("REVOKE INSERT ON accesses FROM strongroom_records");
    let (lines, end) = export(&mut ann, &subject, "SUBJECT_REQUEST").await;
    assert!(lines.is_empty());
    assert_eq!(refusal(&end.unwrap_err()).0, Reason::Internal);
    realm.world.owner_sql("GRANT INSERT ON accesses TO strongroom_records");

    let flip = "UPDATE record_versions SET body = set_byte(body, 70, get_byte(body, 70) # 1)";
    realm.world.owner_sql(flip);
    let (lines, end) = export(&mut ann, &subject, "SUBJECT_REQUEST").await;
    assert!(of(&lines, "version").is_empty());
    assert_eq!(refusal(&end.unwrap_err()).0, Reason::SealBroken);

    let erasure = ann.erase(&subject).await.unwrap().into_inner();
    ann.until(&erasure.name, wire::erasure::State::Done).await;
    let request = wire::ExportSubjectRequest { name: subject, purpose: "LEGAL".to_owned() };
    assert_eq!(reason(ann.subjects.export_subject(request).await), Reason::SubjectErased);
}
