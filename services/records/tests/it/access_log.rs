//! The access log as it is given out: compared with the Merkle log, and proven.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::refusal;
use shared::transparency::{TlogProof, generate, leaf_hash};
use strongroom_proto::records::v1 as wire;
use tonic::{Code, Streaming};
use wire::AccessEntry;
use wire::RecordView as View;
use wire::access_log_service_client::AccessLogServiceClient;
use wire::subject_service_client::SubjectServiceClient;
use wire::watch_access_entries_response::Message;

use crate::world::{Answer, Caller, World, id_of, reason};

/// How long the sequencer may take on a slow day.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// Who asks for the log.
struct Auditor {
    caller: Caller,
    log: AccessLogServiceClient<tonic::transport::Channel>,
    subjects: SubjectServiceClient<tonic::transport::Channel>,
}

impl Auditor {
    fn new(caller: Caller) -> Self {
        let channel = caller.channel.clone();
        let log = AccessLogServiceClient::new(channel.clone());
        Self { caller, log, subjects: SubjectServiceClient::new(channel) }
    }

    async fn accesses(
        &self,
        request: wire::ListAccessesRequest,
    ) -> Answer<wire::ListAccessesResponse> {
        self.subjects.clone().list_accesses(self.caller.signed(request)).await
    }

    async fn entries(
        &self,
        request: wire::ListAccessEntriesRequest,
    ) -> Answer<wire::ListAccessEntriesResponse> {
        self.log.clone().list_access_entries(self.caller.signed(request)).await
    }

    /// All that a filter lets through, page by page.
    async fn filtered(&self, filter: &str) -> Vec<AccessEntry> {
        let mut request = wire::ListAccessEntriesRequest {
            filter: filter.to_owned(),
            page_size: 3,
            ..wire::ListAccessEntriesRequest::default()
        };
        let mut entries = Vec::new();
        loop {
            let page = self.entries(request.clone()).await.unwrap().into_inner();
            entries.extend(page.access_entries);
            if page.next_page_token.is_empty() {
                return entries;
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn watch(&self, cursor: &str) -> Answer<Streaming<wire::WatchAccessEntriesResponse>> {
        let request = wire::WatchAccessEntriesRequest { cursor: cursor.to_owned() };
        self.log.clone().watch_access_entries(self.caller.signed(request)).await
    }

    /// The accesses of a subject with proofs, once they have them.
    async fn proven(&self, subject: &str) -> Vec<AccessEntry> {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let request = wire::ListAccessesRequest { proofs: true, ..of(subject) };
            let accesses = self.accesses(request).await.unwrap().into_inner().accesses;
            // The latest may be the one of the time before.
            if accesses.iter().skip(2).all(|entry| !entry.proof.is_empty()) {
                return accesses.into_iter().filter(|one| !one.proof.is_empty()).collect();
            }
            assert!(tokio::time::Instant::now() < end, "no checkpoint covers the entries");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn of(subject: &str) -> wire::ListAccessesRequest {
    wire::ListAccessesRequest { parent: subject.to_owned(), ..wire::ListAccessesRequest::default() }
}

fn auditor(world: &World) -> Auditor {
    Auditor::new(world.caller())
}

/// Entries of the next messages of a watch, until one has an action.
async fn until(
    watch: &mut Streaming<wire::WatchAccessEntriesResponse>,
    action: &str,
) -> (Vec<AccessEntry>, String) {
    let mut entries = Vec::new();
    let read = async {
        loop {
            let message = watch.message().await.unwrap().unwrap();
            if let Some(Message::AccessEntry(entry)) = message.message {
                entries.push(entry);
                if entries.last().is_some_and(|last| last.action == action) {
                    return message.cursor;
                }
            }
        }
    };
    let cursor = tokio::time::timeout(PATIENCE, read).await.unwrap();
    (entries, cursor)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_learns_who_saw_what_and_asking_is_an_entry_too() {
    let world = World::new().await;
    let auditor = auditor(&world);
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "application/json", b"{\"a\": 1}").await;
    caller.read(&record.name, View::Full).await.unwrap();
    let clerk = world.caller_in(world.tenant, &["records.records.get"]);
    reason(clerk.read(&record.name, View::Full).await);
    caller.record(&caller.subject().await, "text/plain", b"of somebody else").await;

    let list = auditor.accesses(of(&subject)).await.unwrap().into_inner();
    assert!(list.next_page_token.is_empty());
    let seen: Vec<_> =
        list.accesses.iter().map(|one| (one.action.as_str(), &*one.reason)).collect();
    assert_eq!(
        seen,
        [
            ("records.records.get", "PERMISSION_MISSING"),
            ("records.records.get", ""),
            ("records.records.create", ""),
            ("records.subjects.create", ""),
        ]
    );
    let read = &list.accesses[1];
    assert_eq!((&*read.subject, &*read.resource), (&*subject, &*record.name));
    assert_eq!((read.view(), &*read.purpose, read.version), (View::Full, "KYC", 1));
    assert!(read.principal.starts_with("test:") && read.trace_id.len() == 32);
    assert!(list.accesses.iter().all(|one| !one.leaf.is_empty() && one.proof.is_empty()));
    assert!(list.accesses.iter().all(|one| !one.leaf.contains("test:")));

    let again = auditor.accesses(of(&subject)).await.unwrap().into_inner().accesses;
    assert_eq!(again[0].action, "records.accesses.list");
    assert_eq!(again[1..], list.accesses);
    let unknown = "subjects/0197a5c2-0000-7000-8000-000000000000";
    assert_eq!(reason(auditor.accesses(of(unknown)).await), Reason::ResourceNotFound);
    let denied = auditor.filtered("decision = DENY AND action = \"records.accesses.list\"").await;
    assert_eq!((denied.len(), &*denied[0].subject), (1, unknown));

    // Where the asking cannot be logged there is no answer.
    world.owner_sql("REVOKE INSERT ON accesses FROM strongroom_records");
    assert_eq!(reason(auditor.accesses(of(&subject)).await), Reason::Internal);
    let entries = auditor.entries(wire::ListAccessEntriesRequest::default()).await;
    assert_eq!(reason(entries), Reason::Internal);
    assert!(auditor.watch("").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_through_the_months_and_filters_through_all_of_them() {
    let world = World::new().await;
    let auditor = auditor(&world);
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "text/plain", b"x").await;
    for _ in 0..3 {
        caller.read(&record.name, View::Full).await.unwrap();
    }
    // Entries from before entries were leaves, in months of their own, some at the same time.
    let id = id_of(&subject);
    world.owner_sql(&format!(
        "INSERT INTO accesses (tenant_id, time, id, principal, action, subject_id, decision, \
             reason, trace_id) \
         SELECT '{}', '2026-03-01T00:00:00Z'::timestamptz + (n / 2) * interval '20 days', \
             gen_random_uuid(), 'old:' || n, 'records.records.get', '{id}', 1 + n % 2, \
             CASE n % 2 WHEN 1 THEN 'CONSENT_MISSING' END, 't' FROM generate_series(0, 9) n",
        world.tenant.uuid()
    ));
    let mine = format!("subject = \"{subject}\"");
    let all = auditor.filtered(&mine).await;
    let named = |entries: &[AccessEntry]| -> Vec<String> {
        entries.iter().map(|entry| entry.name.clone()).collect()
    };
    let mut sorted = all.clone();
    sorted.sort_by_key(|entry| {
        let time = entry.time.unwrap();
        std::cmp::Reverse((time.seconds, time.nanos, entry.name.clone()))
    });
    assert_eq!(named(&all), named(&sorted));
    assert_eq!(all.iter().filter(|entry| entry.leaf.is_empty()).count(), 10);
    let of_subject = auditor.accesses(of(&subject)).await.unwrap().into_inner().accesses;
    let listings = |entries: Vec<AccessEntry>| {
        entries
            .into_iter()
            .filter(|one| {
                one.action != "records.accesses.list" && one.action != "records.accessEntries.list"
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(listings(of_subject), listings(all));

    let count = async |filter: &str| auditor.filtered(filter).await.len();
    assert_eq!(count(&format!("resource = \"{}\"", record.name)).await, 4);
    assert_eq!(count("principal = \"old:4\"").await, 1);
    assert_eq!(count(&format!("{mine} AND decision = DECISION_DENY")).await, 5);
    assert_eq!(count("purpose = KYC AND decision = PERMIT").await, 3);
    assert_eq!(count("action = \"records.subjects.create\"").await, 1);
    let period = "time >= \"2026-03-21T00:00:00Z\" AND time < \"2026-04-30T00:00:00Z\"";
    assert_eq!(count(period).await, 4);
    assert_eq!(count(&format!("{mine} AND {period}")).await, 4);
    assert_eq!(count("resource = \"legalHolds/1\"").await, 0);
    for filter in ["subject = \"records/1\"", "decision = MAYBE", "leaf = \"a\"", "time = \"now\""]
    {
        let filter = filter.to_owned();
        let request = wire::ListAccessEntriesRequest { filter, ..Default::default() };
        assert_eq!(reason(auditor.entries(request).await), Reason::FilterInvalid);
    }
    let page_token = "AAAA".to_owned();
    let request = wire::ListAccessesRequest { page_token, ..of(&subject) };
    assert_eq!(reason(auditor.accesses(request).await), Reason::PageTokenInvalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_has_a_log_of_its_own() {
    let world = World::new().await;
    let caller = world.caller();
    let subject = caller.subject().await;
    let other = world.database.tenant();
    let stranger = Auditor::new(world.caller_in(other, &["*"]));
    let entries = stranger.filtered("").await;
    assert_eq!(entries.len(), 0);
    assert_eq!(reason(stranger.accesses(of(&subject)).await), Reason::ResourceNotFound);
    // The stranger sees its own questions, and nothing else.
    let mut watch = stranger.watch("").await.unwrap().into_inner();
    stranger.caller.subject().await;
    let (seen, _) = until(&mut watch, "records.subjects.create").await;
    assert_eq!(seen.iter().filter(|entry| entry.action == "records.subjects.create").count(), 1);
    assert!(seen.iter().all(|entry| entry.subject != subject || !entry.reason.is_empty()));
    let clerk = Auditor::new(world.caller_in(world.tenant, &["records.records.get"]));
    assert_eq!(reason(clerk.accesses(of(&subject)).await), Reason::PermissionMissing);
    assert!(clerk.watch("").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_is_not_given_out() {
    let world = World::new().await;
    let auditor = auditor(&world);
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "text/plain", b"x").await;
    caller.read(&record.name, View::Full).await.unwrap();
    let end = auditor.accesses(of(&subject)).await.unwrap().into_inner().accesses[0].time;
    world.owner_sql("ALTER TABLE accesses DROP CONSTRAINT accesses_check");
    world.owner_sql("ALTER TABLE accesses DROP CONSTRAINT accesses_view_check");
    let entry = "subject_id IS NOT NULL AND action = 'records.records.get'";
    let flip = |column: &str| format!("set_byte({column}, 0, get_byte({column}, 0) # 1)");
    let end_time = end.map(|time| prost_types::Timestamp { seconds: time.seconds + 60, ..time });
    let changes = [
        ("time", "time + interval '1 microsecond'".to_owned()),
        ("id", "'0197a5c2-0000-7000-8000-000000000000'".to_owned()),
        ("principal", "principal || '!'".to_owned()),
        ("principal_salt", flip("principal_salt")),
        ("principal_salt", "NULL".to_owned()),
        ("principal_commitment", flip("principal_commitment")),
        ("workload", "'accounts'".to_owned()),
        ("action", "'records.records.geT'".to_owned()),
        ("record_id", "NULL".to_owned()),
        ("version", "version + 1".to_owned()),
        ("resource", "'legalHolds/1'".to_owned()),
        ("view", "1".to_owned()),
        ("view", "7".to_owned()),
        ("purpose", "'TREAT'".to_owned()),
        ("decision", "2".to_owned()),
        ("reason", "'CONSENT_MISSING'".to_owned()),
        ("grounds", "'consents/1'".to_owned()),
        ("trace_id", "reverse(trace_id)".to_owned()),
    ];
    for (column, value) in &changes {
        // What was there is kept aside, and put back.
        world.owner_sql(&format!(
            "CREATE TABLE aside AS SELECT * FROM accesses WHERE {entry}; \
             UPDATE accesses SET {column} = {value} WHERE {entry}"
        ));
        let request = wire::ListAccessesRequest { end_time, ..of(&subject) };
        let status = auditor.accesses(request).await.unwrap_err();
        let (reason, field, figures) = refusal(&status);
        assert_eq!((reason, status.code()), (Reason::SealBroken, Code::DataLoss), "{column}");
        assert!(field.is_empty() && figures.keys().all(|key| key == "trace_id"), "{figures:?}");
        assert!(!status.message().contains(id_of(&subject)));
        world.owner_sql(
            "DELETE FROM accesses a USING aside b WHERE a.trace_id = b.trace_id \
                 OR a.trace_id = reverse(b.trace_id); \
             INSERT INTO accesses SELECT * FROM aside; DROP TABLE aside",
        );
        assert!(auditor.accesses(of(&subject)).await.is_ok(), "{column}");
    }
    // The subject is what the list goes by: whose entry it has become has the fault.
    let other = caller.subject().await;
    world.owner_sql(&format!("UPDATE accesses SET subject_id = '{}' WHERE {entry}", id_of(&other)));
    assert_eq!(reason(auditor.accesses(of(&other)).await), Reason::SealBroken);
    let listed = auditor.filtered("decision = DENY AND action = \"records.accesses.list\"").await;
    assert_eq!(listed.len(), changes.len() + 1);
    assert!(listed.iter().all(|one| one.reason == "SEAL_BROKEN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_gives_every_entry_once_and_goes_on_where_it_was() {
    let world = World::new().await;
    let auditor = auditor(&world);
    let caller = world.caller();
    let mut watch = auditor.watch("").await.unwrap().into_inner();
    let subject = caller.subject().await;
    let (first, cursor) = until(&mut watch, "records.subjects.create").await;
    assert_eq!(first.last().unwrap().subject, subject);
    // Its own begin is an entry.
    assert_eq!(first[0].action, "records.accessEntries.list");
    let record = caller.record(&subject, "text/plain", b"x").await;
    caller.read(&record.name, View::Full).await.unwrap();
    let (then, _) = until(&mut watch, "records.records.get").await;
    drop(watch);
    let mut resumed = auditor.watch(&cursor).await.unwrap().into_inner();
    let (again, _) = until(&mut resumed, "records.records.get").await;
    assert_eq!(again, then);
    let last = again.last().unwrap();
    assert_eq!((&*last.resource, &*last.purpose, last.view()), (&*record.name, "KYC", View::Full));
    let listed = auditor.filtered("action = \"records.records.get\"").await;
    assert_eq!(listed[0], *last);
    assert_eq!(reason(auditor.watch("AAAA").await), Reason::PageTokenInvalid);

    // What was changed or removed ends a watch where it is.
    world.owner_sql("DELETE FROM accesses WHERE action = 'records.records.create'");
    let mut watch = auditor.watch(&cursor).await;
    if let Ok(watch) = &mut watch {
        let status = loop {
            match watch.get_mut().message().await {
                Ok(message) => assert!(message.is_some()),
                Err(status) => break status,
            }
        };
        assert_eq!(refusal(&status).0, Reason::SealBroken);
    } else {
        assert_eq!(reason(watch), Reason::SealBroken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_is_proven_without_the_service() {
    let world = World::new().await;
    let (verifier_key, (_, foreign)) = (world.verifier_key(), generate().unwrap());
    let auditor = auditor(&world);
    let caller = world.caller();
    let subject = caller.subject().await;
    let record = caller.record(&subject, "text/plain", b"x").await;
    for _ in 0..20 {
        caller.read(&record.name, View::Full).await.unwrap();
    }
    let proven = auditor.proven(&subject).await;
    assert!(proven.len() >= 22, "{}", proven.len());
    let mut indexes = Vec::new();
    for entry in &proven {
        let proof = TlogProof::parse(&entry.proof).unwrap();
        let checkpoint = proof.verify(leaf_hash(&entry.leaf), &verifier_key).unwrap();
        assert!(checkpoint.origin.starts_with("strongroom/records/"));
        assert!(proof.verify(leaf_hash(&entry.leaf), &foreign).is_err());
        let changed = entry.leaf.replacen("records", "recordS", 1);
        assert!(proof.verify(leaf_hash(&changed), &verifier_key).is_err());
        indexes.push(proof.index);
    }
    // The latest first, and no position twice.
    assert!(indexes.is_sorted_by(|one, next| one > next), "{indexes:?}");
    let request = wire::ListAccessesRequest { proofs: true, page_size: 1_000, ..of(&subject) };
    let page = auditor.accesses(request).await.unwrap().into_inner();
    assert!(page.accesses.len() <= 100);

    // A tree that was changed proves nothing.
    world.owner_sql(
        "UPDATE log_tiles SET hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1) \
         WHERE level = 0 AND index = 0",
    );
    let request = wire::ListAccessesRequest { proofs: true, ..of(&subject) };
    assert_eq!(reason(auditor.accesses(request).await), Reason::SealBroken);
}
