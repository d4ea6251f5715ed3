//! Records, as far as accounts asks it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use shared::problem::{Problem, Reason};
use strongroom_proto::events::v1 as events;
use strongroom_proto::records::v1 as records;
use tokio_stream::Pending;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use events::event_service_server::{EventService, EventServiceServer};
use records::governance_service_server::{GovernanceService, GovernanceServiceServer};
use records::record_service_server::{RecordService, RecordServiceServer};
use records::record_type_service_server::{RecordTypeService, RecordTypeServiceServer};
use records::subject_service_server::{SubjectService, SubjectServiceServer};

use super::Peers;

/// A service of which some methods are asked, and none of the others.
macro_rules! service {
    (
        $service:ident { $($method:ident: $request:ident => $answer:path,)+ }
        never { $($other:ident: $asked:ty => $answered:path,)* }
        $(streams { $stream:ident: $item:ty, $streaming:ident: $stream_request:path })?
    ) => {
        #[tonic::async_trait]
        impl $service for Peers {
            $(async fn $method(
                &self,
                request: Request<$request>,
            ) -> Result<Response<$answer>, Status> {
                Peers::$method(self, &request)
            })+
            $(async fn $other(&self, _: Request<$asked>) -> Result<Response<$answered>, Status> {
                unreachable!("accounts does not ask for that")
            })*
            $(
                type $stream = Pending<Result<$item, Status>>;

                async fn $streaming(
                    &self,
                    _: Request<$stream_request>,
                ) -> Result<Response<Self::$stream>, Status> {
                    unreachable!("accounts does not ask for that")
                }
            )?
        }
    };
}

use events::{ListEventsRequest, WatchEventsRequest};
use records::*;

service! {
    RecordService {
        create_record: CreateRecordRequest => Record,
        get_record: GetRecordRequest => Record,
        update_record: UpdateRecordRequest => Record,
        lookup_records: LookupRecordsRequest => LookupRecordsResponse,
    }
    never {
        batch_get_records: BatchGetRecordsRequest => BatchGetRecordsResponse,
        list_records: ListRecordsRequest => ListRecordsResponse,
        upload_record: Streaming<UploadRecordRequest> => Record,
        get_upload: GetUploadRequest => Upload,
        list_record_versions: ListRecordVersionsRequest => ListRecordVersionsResponse,
        delete_record: DeleteRecordRequest => Record,
        undelete_record: UndeleteRecordRequest => Record,
        purge_record: PurgeRecordRequest => Record,
    }
    streams { DownloadRecordStream: DownloadRecordResponse, download_record: DownloadRecordRequest }
}

service! {
    SubjectService {
        create_subject: CreateSubjectRequest => Subject,
        list_subjects: ListSubjectsRequest => ListSubjectsResponse,
    }
    never {
        get_subject: GetSubjectRequest => Subject,
        list_accesses: ListAccessesRequest => ListAccessesResponse,
        erase_subject: EraseSubjectRequest => Erasure,
        approve_erasure: ApproveErasureRequest => Erasure,
        cancel_erasure: CancelErasureRequest => Erasure,
        get_erasure: GetErasureRequest => Erasure,
        list_erasures: ListErasuresRequest => ListErasuresResponse,
    }
    streams { ExportSubjectStream: ExportSubjectResponse, export_subject: ExportSubjectRequest }
}

service! {
    GovernanceService {
        set_retention_interest: SetRetentionInterestRequest => RetentionInterest,
    }
    never {
        place_legal_hold: PlaceLegalHoldRequest => LegalHold,
        release_legal_hold: ReleaseLegalHoldRequest => LegalHold,
        list_legal_holds: ListLegalHoldsRequest => ListLegalHoldsResponse,
        list_retention_interests: ListRetentionInterestsRequest => ListRetentionInterestsResponse,
        grant_consent: GrantConsentRequest => Consent,
        revoke_consent: RevokeConsentRequest => Consent,
        list_consents: ListConsentsRequest => ListConsentsResponse,
        open_break_glass: OpenBreakGlassRequest => BreakGlassLease,
        close_break_glass: CloseBreakGlassRequest => BreakGlassLease,
        review_break_glass: ReviewBreakGlassRequest => BreakGlassLease,
        list_break_glass: ListBreakGlassRequest => ListBreakGlassResponse,
        get_policy: GetPolicyRequest => Policy,
        update_policy: UpdatePolicyRequest => Policy,
    }
}

service! {
    RecordTypeService {
        create_record_type: CreateRecordTypeRequest => RecordType,
    }
    never {
        get_record_type: GetRecordTypeRequest => RecordType,
        list_record_types: ListRecordTypesRequest => ListRecordTypesResponse,
        update_record_type: UpdateRecordTypeRequest => RecordType,
    }
}

service! {
    EventService {
        list_events: ListEventsRequest => events::ListEventsResponse,
    }
    never {
    }
    streams { WatchEventsStream: events::WatchEventsResponse, watch_events: WatchEventsRequest }
}

/// What it keeps.
#[derive(Default)]
pub(super) struct State {
    /// Each with the request that created it.
    subjects: BTreeMap<String, String>,
    created: BTreeMap<String, CreateRecordRequest>,
    /// By request id.
    updates: BTreeMap<String, UpdateRecordRequest>,
    reads: Vec<GetRecordRequest>,
    types: BTreeMap<String, CreateRecordTypeRequest>,
    /// Versions of records that somebody else sealed.
    evidence: BTreeMap<(String, i64), Record>,
    /// By reference.
    interests: BTreeMap<String, RetentionInterest>,
    erased: BTreeSet<String>,
    /// The subjects of events, in their order.
    events: Vec<String>,
    /// Counts restores.
    timeline: u32,
}

pub(super) fn routes(peers: &Peers) -> Routes {
    Routes::new(RecordServiceServer::new(peers.clone()))
        .add_service(SubjectServiceServer::new(peers.clone()))
        .add_service(GovernanceServiceServer::new(peers.clone()))
        .add_service(RecordTypeServiceServer::new(peers.clone()))
        .add_service(EventServiceServer::new(peers.clone()))
}

/// What a test sees and sets.
impl Peers {
    pub(crate) fn subjects(&self) -> Vec<String> {
        self.state().records.subjects.keys().cloned().collect()
    }

    /// A subject that somebody else created.
    pub(crate) fn add_subject(&self, id: &str) {
        self.state().records.subjects.insert(id.to_owned(), "somebody-else".to_owned());
    }

    pub(crate) fn records(&self) -> Vec<CreateRecordRequest> {
        self.state().records.created.values().cloned().collect()
    }

    pub(crate) fn updates(&self) -> Vec<UpdateRecordRequest> {
        self.state().records.updates.values().cloned().collect()
    }

    pub(crate) fn reads(&self) -> Vec<GetRecordRequest> {
        self.state().records.reads.clone()
    }

    pub(crate) fn types(&self) -> Vec<CreateRecordTypeRequest> {
        self.state().records.types.values().cloned().collect()
    }

    pub(crate) fn interests(&self) -> Vec<RetentionInterest> {
        self.state().records.interests.values().cloned().collect()
    }

    /// A version of a record about a subject, in a state.
    pub(crate) fn add_evidence(&self, subject: &str, state: record::State) -> String {
        let name = format!("records/{}", uuid::Uuid::now_v7());
        let record = Record {
            name: name.clone(),
            subject: subject.to_owned(),
            state: state.into(),
            version: 1,
            ..Record::default()
        };
        self.state().records.evidence.insert((name.clone(), 1), record);
        format!("{name}/versions/1")
    }

    /// Erases a subject; silently where nothing tells of it but the list.
    pub(crate) fn erase(&self, subject: &str, silently: bool) {
        let state = &mut self.state().records;
        state.erased.insert(subject.to_owned());
        if !silently {
            state.events.push(subject.to_owned());
        }
    }

    /// Begins another timeline: cursors from before are refused.
    pub(crate) fn restore_records(&self) {
        let state = &mut self.state().records;
        state.timeline += 1;
        state.events.clear();
    }
}

fn taken(name: String) -> Problem {
    Problem::new(Reason::IdTaken, "It is in use.").figure("name", name)
}

impl State {
    fn allow(&self, subject: &str) -> Result<(), Problem> {
        match self.erased.contains(subject) {
            true => Err(Problem::new(Reason::SubjectErased, "It is erased.")),
            false => Ok(()),
        }
    }

    /// The content of a record as of its last version.
    fn content(&self, name: &str) -> Option<Record> {
        let created = self.created.get(name)?.record.clone()?;
        let mut of = self.updates.values().filter_map(|update| update.record.clone());
        match of.rfind(|record| record.name == name) {
            Some(update) => Some(Record { content: update.content, ..created }),
            None => Some(created),
        }
    }
}

impl Peers {
    fn create_subject(
        &self,
        request: &Request<CreateSubjectRequest>,
    ) -> Result<Response<Subject>, Status> {
        self.work("CreateSubject", request, |state| {
            let asked = request.get_ref();
            let name = format!("subjects/{}", asked.subject_id);
            let first = state.records.subjects.entry(asked.subject_id.clone());
            if *first.or_insert_with(|| asked.request_id.clone()) != asked.request_id {
                return Err(taken(name));
            }
            Ok(Subject { name, ..Subject::default() })
        })
    }

    fn list_subjects(
        &self,
        request: &Request<ListSubjectsRequest>,
    ) -> Result<Response<ListSubjectsResponse>, Status> {
        self.work("ListSubjects", request, |state| {
            let asked = request.get_ref();
            assert_eq!(asked.filter, "state = ERASED");
            // A page for each, so that there are several.
            let mut behind = state.records.erased.iter().filter(|name| **name > asked.page_token);
            let subjects: Vec<Subject> = behind.next().cloned().into_iter().map(subject).collect();
            let last = subjects.last().filter(|_| behind.next().is_some());
            let next_page_token = last.map(|last| last.name.clone()).unwrap_or_default();
            Ok(ListSubjectsResponse { subjects, next_page_token })
        })
    }

    fn create_record_type(
        &self,
        request: &Request<CreateRecordTypeRequest>,
    ) -> Result<Response<RecordType>, Status> {
        self.work("CreateRecordType", request, |state| {
            let asked = request.get_ref();
            let first = state.records.types.entry(asked.record_type_id.clone());
            if first.or_insert_with(|| asked.clone()) != asked {
                return Err(taken(format!("recordTypes/{}", asked.record_type_id)));
            }
            Ok(RecordType::default())
        })
    }

    fn create_record(
        &self,
        request: &Request<CreateRecordRequest>,
    ) -> Result<Response<Record>, Status> {
        self.work("CreateRecord", request, |state| {
            let asked = request.get_ref();
            let first = state.records.created.entry(format!("records/{}", asked.record_id));
            if first.or_insert_with(|| asked.clone()) != asked {
                let message = "The request_id was used for another request.";
                return Err(Problem::new(Reason::RequestIdReused, message));
            }
            Ok(Record::default())
        })
    }

    fn get_record(&self, request: &Request<GetRecordRequest>) -> Result<Response<Record>, Status> {
        self.work("GetRecord", request, |state| {
            let (asked, state) = (request.get_ref(), &mut state.records);
            let not_found = || Problem::not_found("record", &asked.name);
            if asked.view() == RecordView::Basic {
                let found = state.evidence.get(&(asked.name.clone(), asked.version));
                return found.cloned().ok_or_else(not_found);
            }
            if asked.purpose != "SUPPORT" {
                return Err(Problem::new(Reason::PurposeUnknown, "must be a purpose"));
            }
            state.reads.push(asked.clone());
            let mut record = state.content(&asked.name).ok_or_else(not_found)?;
            state.allow(&record.subject)?;
            if asked.view() == RecordView::Masked {
                let mut content: Value = serde_json::from_slice(&record.content).unwrap();
                mask(&mut content);
                record.content = content.to_string().into();
            }
            Ok(record)
        })
    }

    fn update_record(
        &self,
        request: &Request<UpdateRecordRequest>,
    ) -> Result<Response<Record>, Status> {
        self.work("UpdateRecord", request, |state| {
            let (asked, state) = (request.get_ref(), &mut state.records);
            let name = &asked.record.as_ref().unwrap().name;
            let record = state.created.get(name).and_then(|created| created.record.clone());
            let record = record.ok_or_else(|| Problem::not_found("record", name))?;
            state.allow(&record.subject)?;
            if !asked.validate_only {
                let first = state.updates.entry(asked.request_id.clone());
                assert_eq!(first.or_insert_with(|| asked.clone()), asked);
            }
            let version = 1 + i64::try_from(state.updates.len()).unwrap();
            Ok(Record { version, ..Record::default() })
        })
    }

    fn lookup_records(
        &self,
        request: &Request<LookupRecordsRequest>,
    ) -> Result<Response<LookupRecordsResponse>, Status> {
        self.work("LookupRecords", request, |state| {
            let (asked, state) = (request.get_ref(), &state.records);
            assert!(state.types.contains_key(&asked.r#type), "the type is declared");
            if asked.purpose != "SUPPORT" {
                return Err(Problem::new(Reason::PurposeUnknown, "must be a purpose"));
            }
            let has = |record: &Record| {
                let content: Value = serde_json::from_slice(&record.content).unwrap();
                match &*asked.index {
                    "tax-id" => content["taxIds"]
                        .as_array()
                        .is_some_and(|ids| ids.iter().any(|id| id["key"] == asked.value)),
                    member => content[member] == asked.value,
                }
            };
            let records = state.created.keys().filter_map(|name| state.content(name));
            let records = records.filter(has).collect();
            Ok(LookupRecordsResponse { records, more: false })
        })
    }

    fn set_retention_interest(
        &self,
        request: &Request<SetRetentionInterestRequest>,
    ) -> Result<Response<RetentionInterest>, Status> {
        self.work("SetRetentionInterest", request, |state| {
            let interest = request.get_ref().retention_interest.clone().unwrap();
            state.records.allow(&interest.subject)?;
            state.records.interests.insert(interest.reference.clone(), interest.clone());
            Ok(interest)
        })
    }

    /// Cursors are `{timeline}:{position}`.
    fn list_events(
        &self,
        request: &Request<ListEventsRequest>,
    ) -> Result<Response<events::ListEventsResponse>, Status> {
        self.work("ListEvents", request, |state| {
            let (asked, state) = (request.get_ref(), &state.records);
            let cursor = |position: usize| format!("{}:{position}", state.timeline);
            if asked.latest {
                let next_cursor = cursor(state.events.len());
                return Ok(events::ListEventsResponse { next_cursor, ..Default::default() });
            }
            assert_eq!(asked.types, ["subject.erased"]);
            let (timeline, position) = asked.cursor.split_once(':').unwrap();
            if timeline != state.timeline.to_string() {
                return Err(Problem::new(Reason::TimelineChanged, "Begin anew."));
            }
            // One at a time, so that there are several pages.
            let position: usize = position.parse().unwrap();
            let some = state.events.iter().skip(position).take(1);
            let event = |subject: &String| events::Event {
                r#type: "subject.erased".to_owned(),
                subject: subject.clone(),
                ..events::Event::default()
            };
            let events: Vec<_> = some.map(event).collect();
            let next = position + events.len();
            let more = next < state.events.len();
            Ok(events::ListEventsResponse { events, next_cursor: cursor(next), more })
        })
    }
}

fn subject(name: String) -> Subject {
    Subject { name, ..Subject::default() }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(mask),
        Value::Array(items) => items.iter_mut().for_each(mask),
        leaf => *leaf = Value::from("***"),
    }
}
