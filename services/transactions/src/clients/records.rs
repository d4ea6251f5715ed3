//! The records service, as the ledger needs it: who was erased?

use shared::grpc::Call;
use shared::grpc::client::Peer;
use shared::problem::Problem;
use strongroom_proto::events::v1 as events;
use strongroom_proto::events::v1::event_service_client::EventServiceClient;
use strongroom_proto::records::v1 as records;
use strongroom_proto::records::v1::subject_service_client::SubjectServiceClient;
use tonic::transport::Channel;

use crate::domain::CustomerId;

/// What records calls the erasure of a person.
const SUBJECT_ERASED: &str = "subject.erased";
/// Subjects and events of one page.
const PAGE: i32 = 500;

/// The records service.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    peer: Peer,
    subjects: SubjectServiceClient<Channel>,
    events: EventServiceClient<Channel>,
}

/// A page of something that records tells.
#[derive(Debug)]
pub(crate) struct Told {
    /// The customers that it is about: a customer has the id of its subject.
    pub(crate) customers: Vec<CustomerId>,
    /// Where to go on.
    pub(crate) next: String,
    /// Whether there is more by now.
    pub(crate) more: bool,
}

impl Records {
    /// The records service behind a peer, with answers up to `limit` bytes.
    pub(crate) fn new(peer: Peer, limit: usize) -> Self {
        let subjects = SubjectServiceClient::new(peer.channel()).max_decoding_message_size(limit);
        let events = EventServiceClient::new(peer.channel()).max_decoding_message_size(limit);
        Self { peer, subjects, events }
    }

    /// The cursor behind all events of now.
    pub(crate) async fn latest_cursor(&self, call: &Call) -> Result<String, Problem> {
        let request =
            events::ListEventsRequest { latest: true, ..events::ListEventsRequest::default() };
        Ok(self.list_events(call, request).await?.next_cursor)
    }

    /// Who was erased behind a cursor.
    pub(crate) async fn erased_since(&self, call: &Call, cursor: String) -> Result<Told, Problem> {
        let request = events::ListEventsRequest {
            page_size: PAGE,
            cursor,
            types: vec![SUBJECT_ERASED.to_owned()],
            latest: false,
        };
        let told = self.list_events(call, request).await?;
        let customers = told.events.iter().filter_map(|event| customer_of(&event.subject));
        Ok(Told { customers: customers.collect(), next: told.next_cursor, more: told.more })
    }

    /// Who is erased, page by page.
    pub(crate) async fn erased(&self, call: &Call, page_token: String) -> Result<Told, Problem> {
        let request = records::ListSubjectsRequest {
            page_size: PAGE,
            page_token,
            filter: "state = ERASED".to_owned(),
        };
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.subjects.clone();
            async move { client.list_subjects(request).await }
        });
        let told = asked.await?;
        let customers = told.subjects.iter().filter_map(|subject| customer_of(&subject.name));
        let (customers, next) = (customers.collect(), told.next_page_token);
        Ok(Told { customers, more: !next.is_empty(), next })
    }

    async fn list_events(
        &self,
        call: &Call,
        request: events::ListEventsRequest,
    ) -> Result<events::ListEventsResponse, Problem> {
        let asked = self.peer.call(call, request, |request| {
            let mut client = self.events.clone();
            async move { client.list_events(request).await }
        });
        asked.await
    }
}

/// The customer whose subject has this name.
fn customer_of(subject: &str) -> Option<CustomerId> {
    let id = subject.strip_prefix("subjects/")?;
    CustomerId::parse_chosen(id).ok().flatten()
}
