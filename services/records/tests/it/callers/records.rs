//! The life of records, and their types.

use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::record_service_client::RecordServiceClient;
use wire::record_type_service_client::RecordTypeServiceClient;

use crate::world::{Answer, Caller};

macro_rules! calls {
    ($client:ident: $($method:ident: $request:ident => $answer:ident,)+) => {
        impl Caller {
            $(pub(crate) async fn $method(
                &self,
                request: wire::$request,
            ) -> Answer<wire::$answer> {
                let mut client = $client::new(self.channel.clone());
                client.$method(self.signed(request)).await
            })+
        }
    };
}

calls! {
    RecordServiceClient:
    list_records: ListRecordsRequest => ListRecordsResponse,
    update_record: UpdateRecordRequest => Record,
    list_record_versions: ListRecordVersionsRequest => ListRecordVersionsResponse,
    delete_record: DeleteRecordRequest => Record,
    undelete_record: UndeleteRecordRequest => Record,
    purge_record: PurgeRecordRequest => Record,
    lookup_records: LookupRecordsRequest => LookupRecordsResponse,
}

calls! {
    RecordTypeServiceClient:
    create_record_type: CreateRecordTypeRequest => RecordType,
    get_record_type: GetRecordTypeRequest => RecordType,
    list_record_types: ListRecordTypesRequest => ListRecordTypesResponse,
    update_record_type: UpdateRecordTypeRequest => RecordType,
}

/// JSON of a type with this schema and these fields.
pub(crate) fn json_type(json_schema: &str, fields: Vec<wire::FieldRule>) -> wire::RecordType {
    wire::RecordType {
        content_type: "application/json".to_owned(),
        json_schema: json_schema.to_owned(),
        fields,
        ..wire::RecordType::default()
    }
}

/// A field that is personal, and found by an index where it has a name.
pub(crate) fn field(path: &str, index: Option<wire::FieldIndex>) -> wire::FieldRule {
    let sensitivity = wire::FieldSensitivity::Pii.into();
    wire::FieldRule { path: path.to_owned(), sensitivity, index }
}

/// An index.
#[expect(clippy::unnecessary_wraps, reason = "as a field takes it")]
pub(crate) fn index(
    name: &str,
    bits: i32,
    normalisation: wire::field_index::Normalisation,
) -> Option<wire::FieldIndex> {
    Some(wire::FieldIndex { name: name.to_owned(), bits, normalisation: normalisation.into() })
}

impl Caller {
    /// Declares a type.
    pub(crate) async fn declare(&self, id: &str, kind: wire::RecordType) -> wire::RecordType {
        let request = declare(id, kind);
        self.create_record_type(request).await.unwrap().into_inner()
    }

    /// The field in which a type is refused.
    pub(crate) async fn refused_field(&self, kind: wire::RecordType) -> String {
        let status = self.create_record_type(declare("kyc-file", kind)).await.unwrap_err();
        refusal(&status).1
    }

    /// The names of the records that a filter lets through, page by page.
    pub(crate) async fn listed(&self, filter: &str, page_size: i32) -> Vec<String> {
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let filter = filter.to_owned();
            let request = wire::ListRecordsRequest { page_size, page_token, filter };
            let page = self.list_records(request).await.unwrap().into_inner();
            assert!(page.records.iter().all(|record| record.content.is_empty()));
            names.extend(page.records.into_iter().map(|record| record.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return names;
            }
        }
    }
}

pub(crate) fn declare(id: &str, kind: wire::RecordType) -> wire::CreateRecordTypeRequest {
    wire::CreateRecordTypeRequest {
        record_type: Some(kind),
        record_type_id: id.to_owned(),
        ..wire::CreateRecordTypeRequest::default()
    }
}

/// An update of what is populated, or of what the mask names.
pub(crate) fn update(record: wire::Record, paths: &[&str]) -> wire::UpdateRecordRequest {
    let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
    let update_mask = (!paths.is_empty()).then_some(prost_types::FieldMask { paths });
    wire::UpdateRecordRequest { record: Some(record), update_mask, ..Default::default() }
}
