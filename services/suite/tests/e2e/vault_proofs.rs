//! Who saw what of a person, and that a person was erased, by the binary: written with a vault, and
//! verified without one.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use shared::token::Claims;
use strongroom_proto::records::v1 as wire;
use suite::Api;
use tokio::task::block_in_place;
use wire::erasure::{LegalBasis, State};
use wire::record_service_client::RecordServiceClient;
use wire::subject_service_client::SubjectServiceClient;

use crate::child::strongroom;
use crate::world::{claims, folder, run, world};

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// Runs the binary in a folder, and gives how it ended and what it said.
fn command(folder: &Path, token: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = strongroom(&folder.join("state"));
    command.args(arguments).env("STRONGROOM_TOKEN", token).current_dir(folder);
    let Output { status, stdout, stderr } = block_in_place(|| command.output().unwrap());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn what_a_person_is_told_is_proven_without_the_vault() {
    run(Box::pin(async {
        let (world, folder) = (world().await, folder());
        let (folder, tenant) = (folder.path(), world.tenant().await);
        let (token, at) = (world.token(&claims(tenant, &["*"])), world.at.records.to_string());
        let api = world.caller(tenant).api(world.at.records).unwrap();
        let mut subjects = SubjectServiceClient::new(api.clone());
        let mut records = RecordServiceClient::new(api);
        let subject = subjects.create_subject(wire::CreateSubjectRequest::default()).await;
        let subject = subject.unwrap().into_inner().name;
        let record = wire::Record {
            subject: subject.clone(),
            r#type: "kyc-file".to_owned(),
            content_type: "text/plain".to_owned(),
            content: b"passport".to_vec().into(),
            ..wire::Record::default()
        };
        let request = wire::CreateRecordRequest { record: Some(record), ..Default::default() };
        let name = records.create_record(request).await.unwrap().into_inner().name;
        for _ in 0..120 {
            let (name, purpose) = (name.clone(), "KYC".to_owned());
            let view = wire::RecordView::Full.into();
            let request = wire::GetRecordRequest { name, view, purpose, version: 0 };
            records.get_record(request).await.unwrap();
        }
        std::fs::write(folder.join("log.vkey"), &world.log_key).unwrap();

        // More than a page of it, to a file by the shell's redirection, and the whole log.
        let (code, report, error) =
            command(folder, &token, &["accesses", &subject, "--records", &at]);
        assert_eq!((code, report.lines().count()), (Some(0), 122), "{error}");
        std::fs::write(folder.join("report.ndjson"), &report).unwrap();
        let export = ["export", "--service", "records", "--records", &at, "--out", "log.ndjson"];
        let (code, _, error) = command(folder, &token, &export);
        assert_eq!(code, Some(0), "{error}");

        let approver = Claims { sub: "approver".to_owned(), ..claims(tenant, &["*"]) };
        let approver = world.caller_with(&world.token(&approver)).api(world.at.records).unwrap();
        let erasure = erased(&mut subjects, SubjectServiceClient::new(approver), &subject).await;
        let arguments = ["erasure", &erasure, "--records", &at, "--out", "erasure.json"];
        let (code, _, error) = command(folder, &token, &arguments);
        assert_eq!(code, Some(0), "{error}");

        let verify = |files: &[&str]| {
            let arguments = [&["verify", "--key", "log.vkey"], files].concat();
            command(folder, "", &arguments)
        };
        let (code, out, error) = verify(&["report.ndjson", "log.ndjson", "erasure.json"]);
        assert_eq!(code, Some(0), "{out}{error}");
        let told = format!("122 accesses, 0 of them refused, about {subject}");
        assert!(out.contains(&told) && out.contains("horizon none while epochs 1 live"), "{out}");
        // Somebody else did it: the line is named.
        let changed = report.replacen("\"principal\":\"test\"", "\"principal\":\"tess\"", 1);
        assert_ne!(changed, report);
        std::fs::write(folder.join("report.ndjson"), changed).unwrap();
        let (code, out, _) = verify(&["report.ndjson"]);
        assert_eq!(code, Some(1), "{out}");
        assert!(out.contains("line 1: the principal"), "{out}");
    }));
}

/// Erases a person, whom another principal agrees to, and gives the name of the erasure.
async fn erased(
    subjects: &mut SubjectServiceClient<Api>,
    mut approver: SubjectServiceClient<Api>,
    subject: &str,
) -> String {
    let request = wire::EraseSubjectRequest {
        name: subject.to_owned(),
        legal_basis: LegalBasis::SubjectRequest.into(),
        ..Default::default()
    };
    let name = subjects.erase_subject(request).await.unwrap().into_inner().name;
    // Where there is no delay it may be done by now.
    let approve = wire::ApproveErasureRequest { name: name.clone(), ..Default::default() };
    let _ = approver.approve_erasure(approve).await;
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let asked = wire::GetErasureRequest { name: name.clone() };
        let erasure = subjects.get_erasure(asked).await.unwrap().into_inner();
        if erasure.state() == State::Done {
            return name;
        }
        assert!(tokio::time::Instant::now() < end, "{erasure:?}");
        tokio::time::sleep(PAUSE).await;
    }
}
