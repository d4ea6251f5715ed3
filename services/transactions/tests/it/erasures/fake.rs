//! The records service, as far as the ledger asks it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use shared::problem::{Problem, Reason};
use shared::testing::listener;
use strongroom_proto::events::v1 as events;
use strongroom_proto::records::v1 as records;
use tokio_stream::Pending;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use events::event_service_server::{EventService, EventServiceServer};
use records::subject_service_server::{SubjectService, SubjectServiceServer};
use records::*;

#[derive(Default)]
struct State {
    erased: BTreeSet<String>,
    /// The subjects of events, in their order.
    events: Vec<String>,
    /// Counts restores.
    timeline: u32,
    asked: usize,
    is_away: bool,
}

/// What a test sees and sets.
#[derive(Clone, Default)]
pub(super) struct Records(Arc<Mutex<State>>);

impl Records {
    /// Serves it, and gives its address.
    pub(super) async fn serve(&self) -> String {
        let socket = listener().await;
        let address = socket.local_addr().unwrap().to_string();
        let server = tonic::transport::Server::builder()
            .add_service(SubjectServiceServer::new(self.clone()))
            .add_service(EventServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(socket)));
        address
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Erases a subject; silently where nothing tells of it but the list.
    pub(super) fn erase(&self, subject: &str, silently: bool) {
        let mut state = self.state();
        if silently {
            state.erased.insert(subject.to_owned());
        } else {
            state.events.push(subject.to_owned());
        }
    }

    /// Begins another timeline: cursors from before are refused.
    pub(super) fn restore(&self) {
        let mut state = self.state();
        state.timeline += 1;
        state.events.clear();
    }

    /// Answers nobody any more.
    pub(super) fn stop(&self) {
        self.state().is_away = true;
    }

    /// How often it was asked for events.
    pub(super) fn asked(&self) -> usize {
        self.state().asked
    }

    fn work<T>(&self, request: &Request<T>) -> Result<MutexGuard<'_, State>, Status> {
        assert!(request.metadata().get("authorization").is_some(), "the ledger says who it is");
        assert!(request.metadata().get("grpc-timeout").is_some(), "the deadline goes along");
        let state = self.state();
        if state.is_away { Err(Status::unavailable("it is away")) } else { Ok(state) }
    }
}

#[tonic::async_trait]
impl EventService for Records {
    /// Cursors are `{timeline}:{position}`.
    async fn list_events(
        &self,
        request: Request<events::ListEventsRequest>,
    ) -> Result<Response<events::ListEventsResponse>, Status> {
        let (mut state, asked) = (self.work(&request)?, request.get_ref());
        state.asked += 1;
        let cursor = |position: usize| format!("{}:{position}", state.timeline);
        if asked.latest {
            let next_cursor = cursor(state.events.len());
            let told = events::ListEventsResponse { next_cursor, ..Default::default() };
            return Ok(Response::new(told));
        }
        assert_eq!(asked.types, ["subject.erased"]);
        let (timeline, position) = asked.cursor.split_once(':').unwrap();
        if timeline != state.timeline.to_string() {
            return Err(Problem::new(Reason::TimelineChanged, "Begin anew.").into());
        }
        // One at a time, so that there are several pages.
        let position: usize = position.parse().unwrap();
        let some = state.events.iter().skip(position).take(1);
        let event = |subject: &String| events::Event {
            r#type: "subject.erased".to_owned(),
            subject: subject.clone(),
            ..Default::default()
        };
        let events: Vec<events::Event> = some.map(event).collect();
        let next = position + events.len();
        let (next_cursor, more) = (cursor(next), next < state.events.len());
        Ok(Response::new(events::ListEventsResponse { events, next_cursor, more }))
    }

    type WatchEventsStream = Pending<Result<events::WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        _: Request<events::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        unreachable!("the ledger does not ask for that")
    }
}

/// The service, of which the ledger asks for one method, and for none of the others.
macro_rules! subjects {
    ($($other:ident: $asked:ident => $answered:ident,)+) => {
        #[tonic::async_trait]
        impl SubjectService for Records {
            async fn list_subjects(
                &self,
                request: Request<ListSubjectsRequest>,
            ) -> Result<Response<ListSubjectsResponse>, Status> {
                let (state, asked) = (self.work(&request)?, request.get_ref());
                assert_eq!(asked.filter, "state = ERASED");
                // A page for each, so that there are several.
                let mut behind = state.erased.iter().filter(|name| **name > asked.page_token);
                let subject = |name: String| Subject { name, ..Default::default() };
                let subjects: Vec<Subject> =
                    behind.next().cloned().into_iter().map(subject).collect();
                let last = subjects.last().filter(|_| behind.next().is_some());
                let next_page_token = last.map(|last| last.name.clone()).unwrap_or_default();
                Ok(Response::new(ListSubjectsResponse { subjects, next_page_token }))
            }

            type ExportSubjectStream = Pending<Result<ExportSubjectResponse, Status>>;

            async fn export_subject(
                &self,
                _: Request<ExportSubjectRequest>,
            ) -> Result<Response<Self::ExportSubjectStream>, Status> {
                unreachable!("the ledger does not ask for that")
            }

            $(async fn $other(&self, _: Request<$asked>) -> Result<Response<$answered>, Status> {
                unreachable!("the ledger does not ask for that")
            })+
        }
    };
}

subjects! {
    create_subject: CreateSubjectRequest => Subject,
    get_subject: GetSubjectRequest => Subject,
    list_accesses: ListAccessesRequest => ListAccessesResponse,
    erase_subject: EraseSubjectRequest => Erasure,
    approve_erasure: ApproveErasureRequest => Erasure,
    cancel_erasure: CancelErasureRequest => Erasure,
    get_erasure: GetErasureRequest => Erasure,
    list_erasures: ListErasuresRequest => ListErasuresResponse,
}
