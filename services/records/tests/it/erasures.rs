//! Erasures: asked for, delayed, approved, taken back, carried out, cut off and gone on with.

use diesel::prelude::*;
use diesel::sql_types::Text;
use shared::problem::Reason;
use shared::transparency::{TlogProof, leaf_hash, open_text};
use strongroom_proto::records::v1 as wire;
use tokio::task::JoinSet;
use wire::erasure::{LegalBasis, State};

use crate::realm::{Realm, days};
use crate::world::{create, get, id_of, is_replayed, reason};

const MARKER: &str = "Xanthippe-4711-Marker";

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_is_gone_and_certified() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let mut request = create(&subject, "text/plain", MARKER.as_bytes());
    request.record.as_mut().unwrap().labels.insert("case".to_owned(), MARKER.to_owned());
    let record = ann.records.create_record(request).await.unwrap().into_inner().name;
    ann.record(&subject, b"more").await;

    let dry_run = wire::EraseSubjectRequest {
        name: subject.clone(),
        legal_basis: LegalBasis::SubjectRequest.into(),
        dry_run: true,
        ..Default::default()
    };
    let told = ann.subjects.erase_subject(dry_run).await.unwrap().into_inner();
    let would = told.destroyed.unwrap();
    assert_eq!((would.keys, would.records, would.versions), (1, 2, 2));
    assert!(told.state() == State::Requested && told.stays.len() >= 3);
    assert_eq!(realm.world.count("erasures"), 0);
    assert_eq!(ann.state(&subject).await, wire::subject::State::Active);

    let asked = ann.erase(&subject).await.unwrap().into_inner();
    assert_eq!(asked.destroyed, told.destroyed);
    let done = ann.until_it(&asked.name, |erasure| !erasure.proof.is_empty()).await;
    assert_eq!((done.state(), done.destroyed), (State::Done, Some(would)));
    assert_eq!((done.horizon_time, &done.live_epochs[..]), (None, &[1][..]));
    assert_eq!(ann.state(&subject).await, wire::subject::State::Erased);
    let read = ann.records.get_record(get(&record, wire::RecordView::Full, "LEGAL")).await;
    assert_eq!(reason(read), Reason::SubjectErased);
    assert_eq!(reason(ann.erase(&subject).await), Reason::SubjectErased);

    let text = open_text(&done.certificate, &realm.verifier_key).unwrap();
    assert!(text.contains(&format!("\nerasure {}\n", done.name)), "{text}");
    assert!(text.contains("keys=1 records=2 versions=2"), "{text}");
    assert!(text.ends_with("\nhorizon none while epochs 1 live\n"), "{text}");
    assert_eq!(ann.erasure(&done.name).await.certificate, done.certificate);
    for at in 0..done.certificate.len() {
        let mut forged = done.certificate.clone().into_bytes();
        forged[at] ^= 1;
        let Ok(forged) = String::from_utf8(forged) else { continue };
        assert!(open_text(&forged, &realm.verifier_key).is_err(), "{at}");
    }
    let proof = TlogProof::parse(&done.proof).unwrap();
    let leaf = String::from_utf8(proof.extra.clone().unwrap()).unwrap();
    assert!(leaf.contains("\"erasure.done\"") && leaf.contains("\"records\":2"), "{leaf}");
    proof.verify(leaf_hash(&leaf), &realm.verifier_key).unwrap();
    nothing_is_left(&realm);
}

/// Nothing opens any more, and what people wrote is not there.
fn nothing_is_left(realm: &Realm) {
    for from in [
        "subject_keys",
        "record_labels",
        "record_index",
        "uploads",
        "record_versions WHERE num_nonnulls(body, data_key, commitment_salt, segments) > 0",
    ] {
        assert_eq!(realm.world.count(from), 0, "{from}");
    }
    let digits = shared::hex::hex(MARKER.as_bytes());
    let dump = dump(realm);
    assert!(dump.len() > 10);
    assert!(!dump.iter().any(|row| row.contains(MARKER) || row.contains(&digits)));
}

fn dump(realm: &Realm) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    let mut admin = realm.world.database.admin();
    let mut load = |sql: &str| -> Vec<String> {
        let rows: Vec<Row> = diesel::sql_query(sql).load(&mut admin).unwrap();
        rows.into_iter().map(|row| row.text).collect()
    };
    let tables = load(
        "SELECT quote_ident(tablename) AS text FROM pg_tables WHERE schemaname = current_schema()",
    );
    let rows = |table: &String| load(&format!("SELECT t::text AS text FROM {table} AS t"));
    tables.iter().flat_map(rows).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_insider_waits_and_is_stopped() {
    let realm = Realm::new().await;
    let (mut ann, mut bob) = (realm.member(), realm.member());
    ann.policy(wire::Policy { erasure_delay: days(7), ..Default::default() }).await.unwrap();
    let subject = ann.subject().await;
    let record = ann.record(&subject, b"secret").await.name;
    let asked = ann.erase(&subject).await.unwrap().into_inner();
    assert_eq!(asked.state(), State::Requested);
    let seconds = |time: Option<prost_types::Timestamp>| time.unwrap().seconds;
    assert_eq!(seconds(asked.due_time) - seconds(asked.create_time), 7 * 86_400);
    assert_eq!(reason(ann.erase(&subject).await), Reason::InvalidTransition);
    realm.pass(6);
    let approve = || wire::ApproveErasureRequest { name: asked.name.clone(), ..Default::default() };
    assert_eq!(reason(ann.subjects.approve_erasure(approve()).await), Reason::ApprovalRequired);
    let cancel = || wire::CancelErasureRequest { name: asked.name.clone(), ..Default::default() };
    let cancelled = bob.subjects.cancel_erasure(cancel()).await.unwrap().into_inner();
    assert_eq!(cancelled.state(), State::Cancelled);
    assert_eq!(ann.state(&subject).await, wire::subject::State::Active);
    let refused = bob.subjects.approve_erasure(approve()).await;
    assert_eq!(reason(refused), Reason::InvalidTransition);
    realm.pass(2);
    let read = ann.records.get_record(get(&record, wire::RecordView::Full, "KYC")).await.unwrap();
    assert_eq!(&read.get_ref().content[..], b"secret");
    assert_eq!(realm.events("erasure.cancelled"), 1);

    let again = ann.erase(&subject).await.unwrap().into_inner();
    let approve = wire::ApproveErasureRequest { name: again.name.clone(), ..Default::default() };
    bob.subjects.approve_erasure(approve).await.unwrap();
    let done = ann.until(&again.name, State::Done).await;
    assert!(!done.approver.is_empty() && done.approver != done.requester);
    let request = wire::ListErasuresRequest { parent: subject.clone(), ..Default::default() };
    let listed = ann.subjects.list_erasures(request).await.unwrap().into_inner().erasures;
    let names: Vec<_> = listed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, [&*again.name, &*asked.name]);
    assert!(listed.iter().all(|one| one.certificate.is_empty()));
    let parent = "subjects/-".to_owned();
    let request = wire::ListErasuresRequest { parent, ..Default::default() };
    assert_eq!(ann.subjects.list_erasures(request).await.unwrap().into_inner().erasures.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_that_has_passed_is_enough() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    ann.policy(wire::Policy { erasure_delay: days(7), ..Default::default() }).await.unwrap();
    let subject = ann.subject().await;
    let mut request = wire::EraseSubjectRequest {
        name: subject.clone(),
        legal_basis: LegalBasis::LegalObligation.into(),
        request_id: "once".to_owned(),
        ..Default::default()
    };
    let asked = ann.subjects.erase_subject(request.clone()).await.unwrap().into_inner();
    let again = ann.subjects.erase_subject(request.clone()).await.unwrap();
    assert!(is_replayed(&again) && again.get_ref().name == asked.name);
    request.legal_basis = LegalBasis::PurposeEnded.into();
    assert_eq!(reason(ann.subjects.erase_subject(request).await), Reason::RequestIdReused);
    realm.pass(7);
    let done = ann.until(&asked.name, State::Done).await;
    assert!(done.approver.is_empty());
    let cancel = wire::CancelErasureRequest { name: asked.name, ..Default::default() };
    assert_eq!(reason(ann.subjects.cancel_erasure(cancel).await), Reason::InvalidTransition);
}

/// Whatever the erasure of a subject meets: what is created is erased with it, or refused.
#[tokio::test(flavor = "multi_thread")]
async fn writers_at_the_same_time_leave_nothing() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let mut writers = JoinSet::new();
    for _ in 0..8 {
        let (mut writer, subject) = (ann.clone(), subject.clone());
        writers.spawn(async move {
            let mut created = 0;
            let request = || create(&subject, "text/plain", MARKER.as_bytes());
            while writer.records.create_record(request()).await.is_ok() {
                created += 1;
            }
            created
        });
    }
    let asked = ann.erase(&subject).await.unwrap().into_inner();
    let done = ann.until(&asked.name, State::Done).await;
    let created: i64 = writers.join_all().await.into_iter().sum();
    assert_eq!(done.destroyed.unwrap().records, created);
    nothing_is_left(&realm);
}

/// Each of these fails a statement of another step: what is done stays done, and the rest follows.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_cut_off_goes_on() {
    for (fault, repair, state) in [
        (
            "REVOKE DELETE ON subject_keys FROM strongroom_records",
            "GRANT DELETE ON subject_keys TO strongroom_records",
            State::Requested,
        ),
        (
            "REVOKE DELETE ON record_labels FROM strongroom_records",
            "GRANT DELETE ON record_labels TO strongroom_records",
            State::Running,
        ),
        (
            "REVOKE DELETE ON uploads FROM strongroom_records; \
             REVOKE UPDATE ON uploads FROM strongroom_records",
            "GRANT UPDATE, DELETE ON uploads TO strongroom_records",
            State::Running,
        ),
    ] {
        let mut realm = Realm::new().await;
        let mut ann = realm.member();
        let subject = ann.subject().await;
        ann.record(&subject, MARKER.as_bytes()).await;
        realm.world.owner_sql(fault);
        let asked = ann.erase(&subject).await.unwrap().into_inner();
        let postponed =
            "erasures WHERE next_time > create_time AND (state = 1 OR shred_time < next_time)";
        for _ in 0..3_000 {
            if realm.world.count(postponed) > 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(ann.erasure(&asked.name).await.state(), state);
        realm.restart().await;
        let mut ann = realm.member();
        assert_eq!(ann.erasure(&asked.name).await.state(), state);
        realm.world.owner_sql(repair);
        realm.clock.advance(std::time::Duration::from_secs(5));
        let done = ann.until(&asked.name, State::Done).await;
        let destroyed = done.destroyed.unwrap();
        assert_eq!((destroyed.keys, destroyed.records, destroyed.versions), (1, 1, 1));
        assert_eq!((realm.events("subject.erased"), realm.events("erasure.done")), (1, 1));
        nothing_is_left(&realm);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_and_logged() {
    let realm = Realm::new().await;
    let mut ann = realm.member();
    let subject = ann.subject().await;
    let request = wire::EraseSubjectRequest { name: subject.clone(), ..Default::default() };
    assert_eq!(reason(ann.subjects.erase_subject(request).await), Reason::FieldInvalid);
    let unknown = subject.replace(&id_of(&subject)[..4], "ffff");
    realm.pass(1);
    assert_eq!(reason(ann.erase(&unknown).await), Reason::ResourceNotFound);
    let entry = realm.world.accesses().pop().unwrap();
    assert_eq!((entry.decision, entry.reason.as_deref()), (2, Some("RESOURCE_NOT_FOUND")));
    for name in ["", "subjects/1/erasures/2", &format!("{subject}/erasures/1")] {
        let request = wire::GetErasureRequest { name: name.to_owned() };
        assert_eq!(reason(ann.subjects.get_erasure(request).await), Reason::FieldInvalid);
    }
    let mut stranger = realm.member_of(realm.world.database.tenant());
    let erasure = ann.erase(&subject).await.unwrap().into_inner();
    let request = wire::GetErasureRequest { name: erasure.name };
    let answer = stranger.subjects.get_erasure(request).await;
    assert_eq!(reason(answer), Reason::ResourceNotFound);
}
