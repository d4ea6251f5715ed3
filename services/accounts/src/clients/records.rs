//! The records service: subjects, sealed profiles, evidence, and who was erased.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use shared::grpc::Call;
use shared::grpc::client::Peer;
use shared::ids::TenantId;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::events::v1 as events;
use strongroom_proto::events::v1::event_service_client::EventServiceClient;
use strongroom_proto::records::v1 as records;
use strongroom_proto::records::v1::governance_service_client::GovernanceServiceClient;
use strongroom_proto::records::v1::record_service_client::RecordServiceClient;
use strongroom_proto::records::v1::record_type_service_client::RecordTypeServiceClient;
use strongroom_proto::records::v1::subject_service_client::SubjectServiceClient;
use tonic::codegen::Bytes;
use tonic::transport::Channel;
use uuid::Uuid;

use super::profile_type::{self, PROFILE_TYPE};
use crate::domain::{Customer, CustomerId, Evidence, Profile};

const PROFILE_CONTENT_TYPE: &str = "application/json";
/// As whom this service needs what is about a person.
const INTEREST_SOURCE: &str = "accounts";
/// What records calls the erasure of a person.
const SUBJECT_ERASED: &str = "subject.erased";
/// Subjects and events of one page.
const PAGE: i32 = 500;
/// As many tenants whose type is known to be declared; of more it is said again and again.
const DECLARED_MAX: usize = 100_000;

/// The records service.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    peer: Peer,
    subject_client: SubjectServiceClient<Channel>,
    record_client: RecordServiceClient<Channel>,
    type_client: RecordTypeServiceClient<Channel>,
    governance_client: GovernanceServiceClient<Channel>,
    event_client: EventServiceClient<Channel>,
    /// For how many years what is about a customer is needed after the customer is closed.
    retention_years: u16,
    /// The tenants in which the type of profiles is declared.
    declared: Arc<Mutex<HashSet<TenantId>>>,
}

/// A page of something that records tells.
#[derive(Debug)]
pub(crate) struct Told {
    /// The customers that it is about.
    pub(crate) customers: Vec<CustomerId>,
    /// Where to go on.
    pub(crate) next: String,
    /// Whether there is more by now.
    pub(crate) more: bool,
}

/// Asks the peer through one of the clients.
macro_rules! ask {
    ($self:ident, $call:ident, $client:ident.$method:ident($request:expr)) => {
        $self.peer.call($call, $request, |request| {
            let mut client = $self.$client.clone();
            async move { client.$method(request).await }
        })
    };
}

impl Records {
    /// The records service behind a peer, with answers up to `limit` bytes.
    pub(crate) fn new(peer: Peer, limit: usize, retention_years: u16) -> Self {
        let channel = || peer.channel();
        Self {
            subject_client: SubjectServiceClient::new(channel()).max_decoding_message_size(limit),
            record_client: RecordServiceClient::new(channel()).max_decoding_message_size(limit),
            type_client: RecordTypeServiceClient::new(channel()),
            governance_client: GovernanceServiceClient::new(channel()),
            event_client: EventServiceClient::new(channel()).max_decoding_message_size(limit),
            retention_years,
            declared: Arc::default(),
            peer,
        }
    }

    /// Creates the subject of a customer.
    pub(crate) async fn create_subject(
        &self,
        call: &Call,
        customer: &Customer,
    ) -> Result<(), Problem> {
        let request = records::CreateSubjectRequest {
            subject: None,
            subject_id: customer.id.uuid().to_string(),
            request_id: customer.id.name(),
            validate_only: false,
        };
        ask!(self, call, subject_client.create_subject(request)).await.map(drop)
    }

    /// Seals the profile of a customer.
    pub(crate) async fn create_profile(
        &self,
        call: &Call,
        customer: &Customer,
        profile: &Profile,
    ) -> Result<(), Problem> {
        self.declare_profiles(call).await?;
        let record = records::Record {
            subject: subject_name(customer),
            r#type: PROFILE_TYPE.to_owned(),
            ..content(profile)
        };
        let request = records::CreateRecordRequest {
            record: Some(record),
            record_id: customer.profile_record().to_string(),
            request_id: customer.id.name(),
            validate_only: false,
        };
        ask!(self, call, record_client.create_record(request)).await.map(drop)
    }

    /// Seals the next version of a profile, and gives its number. With `request_id` empty it only
    /// says whether that would be done.
    pub(crate) async fn update_profile(
        &self,
        call: &Call,
        customer: &Customer,
        profile: &Profile,
        request_id: String,
    ) -> Result<i64, Problem> {
        let record =
            records::Record { name: record_name(customer.profile_record()), ..content(profile) };
        let request = records::UpdateRecordRequest {
            record: Some(record),
            update_mask: None,
            validate_only: request_id.is_empty(),
            request_id,
        };
        let record = ask!(self, call, record_client.update_record(request)).await?;
        Ok(record.version)
    }

    /// The document of a customer's profile, as it is or masked. The records service logs the
    /// access before it answers.
    pub(crate) async fn get_profile(
        &self,
        call: &Call,
        customer: &Customer,
        view: records::RecordView,
        purpose: String,
    ) -> Result<Bytes, Problem> {
        let request = records::GetRecordRequest {
            name: record_name(customer.profile_record()),
            view: view.into(),
            purpose,
            ..records::GetRecordRequest::default()
        };
        let record = ask!(self, call, record_client.get_record(request)).await?;
        Ok(record.content)
    }

    /// What records says of a version without its content.
    pub(crate) async fn get_evidence(
        &self,
        call: &Call,
        evidence: Evidence,
    ) -> Result<records::Record, Problem> {
        let request = records::GetRecordRequest {
            name: record_name(evidence.record),
            view: records::RecordView::Basic.into(),
            version: evidence.version,
            ..records::GetRecordRequest::default()
        };
        ask!(self, call, record_client.get_record(request)).await
    }

    /// The customers whose profiles have a value, by an index of the profile's type; at most 100.
    pub(crate) async fn look_up(
        &self,
        call: &Call,
        index: &str,
        value: String,
        purpose: String,
    ) -> Result<Vec<CustomerId>, Problem> {
        // Where nobody was created yet there is no index either.
        self.declare_profiles(call).await?;
        let (r#type, index) = (PROFILE_TYPE.to_owned(), index.to_owned());
        let request = records::LookupRecordsRequest { r#type, index, value, purpose };
        let found = ask!(self, call, record_client.lookup_records(request)).await?;
        Ok(found.records.iter().filter_map(|record| customer_of(&record.subject)).collect())
    }

    /// Says that what is about a customer is needed: until some years after the customer was
    /// closed, and without an end before that.
    pub(crate) async fn retain(
        &self,
        call: &Call,
        customer: CustomerId,
        close_time: Option<Timestamp>,
    ) -> Result<(), Problem> {
        let end = close_time.map(|time| years_later(time, self.retention_years));
        let interest = records::RetentionInterest {
            subject: format!("subjects/{}", customer.uuid()),
            source: INTEREST_SOURCE.to_owned(),
            reference: customer.name(),
            end_time: end.map(Timestamp::encode),
            ..records::RetentionInterest::default()
        };
        // The last call holds: every attempt is a request of its own.
        let request = records::SetRetentionInterestRequest {
            retention_interest: Some(interest),
            request_id: String::new(),
            validate_only: false,
        };
        ask!(self, call, governance_client.set_retention_interest(request)).await.map(drop)
    }

    /// The cursor behind all events of now.
    pub(crate) async fn latest_cursor(&self, call: &Call) -> Result<String, Problem> {
        let request =
            events::ListEventsRequest { latest: true, ..events::ListEventsRequest::default() };
        let told = ask!(self, call, event_client.list_events(request)).await?;
        Ok(told.next_cursor)
    }

    /// Who was erased behind a cursor.
    pub(crate) async fn erased_since(&self, call: &Call, cursor: String) -> Result<Told, Problem> {
        let request = events::ListEventsRequest {
            page_size: PAGE,
            cursor,
            types: vec![SUBJECT_ERASED.to_owned()],
            latest: false,
        };
        let told = ask!(self, call, event_client.list_events(request)).await?;
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
        let told = ask!(self, call, subject_client.list_subjects(request)).await?;
        let customers = told.subjects.iter().filter_map(|subject| customer_of(&subject.name));
        let (customers, next) = (customers.collect(), told.next_page_token);
        Ok(Told { customers, more: !next.is_empty(), next })
    }

    /// Declares the type of profiles, once for each tenant.
    async fn declare_profiles(&self, call: &Call) -> Result<(), Problem> {
        let tenant = call.tenant_id()?;
        if self.declared.lock().unwrap_or_else(PoisonError::into_inner).contains(&tenant) {
            return Ok(());
        }
        let request = profile_type::declaration();
        let declared = ask!(self, call, type_client.create_record_type(request)).await;
        // Somebody has declared it, perhaps as another version of this service has it.
        let is_there =
            |problem: &Problem| matches!(problem.reason, Reason::IdTaken | Reason::RequestIdReused);
        if let Err(problem) = declared
            && !is_there(&problem)
        {
            return Err(problem);
        }
        let mut tenants = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() < DECLARED_MAX {
            tenants.insert(tenant);
        }
        Ok(())
    }
}

fn content(profile: &Profile) -> records::Record {
    records::Record {
        content_type: PROFILE_CONTENT_TYPE.to_owned(),
        content: profile.to_json().into(),
        ..records::Record::default()
    }
}

/// The time so many years later, by the calendar of UTC.
fn years_later(time: Timestamp, years: u16) -> Timestamp {
    let later = || {
        let time = jiff::Timestamp::from_microsecond(time.micros()).ok()?;
        let span = jiff::Span::new().try_years(years).ok()?;
        let later = time.to_zoned(jiff::tz::TimeZone::UTC).checked_add(span).ok()?;
        Some(Timestamp::from_micros(later.timestamp().as_microsecond()))
    };
    // Past the end of the calendar there is no later time.
    later().unwrap_or(time)
}

/// The name of a customer's subject.
pub(crate) fn subject_name(customer: &Customer) -> String {
    format!("subjects/{}", customer.id.uuid())
}

/// The customer whose subject has this name.
fn customer_of(subject: &str) -> Option<CustomerId> {
    let id = subject.strip_prefix("subjects/")?;
    CustomerId::parse_chosen(id).ok().flatten()
}

fn record_name(id: Uuid) -> String {
    format!("records/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_those_of_the_calendar() {
        let time = |text: &str| {
            Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
        };
        let close = time("2024-02-29T10:00:00Z");
        assert_eq!(years_later(close, 10), time("2034-02-28T10:00:00Z"));
        assert_eq!(years_later(close, 0), close);
    }
}
