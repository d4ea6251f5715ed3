//! The services of the contract, method by method: each is answered by the file of its name.

use strongroom_proto::records::v1 as wire;
use tonic::{Request, Response, Status, Streaming};
use wire::access_log_service_server::AccessLogService;
use wire::governance_service_server::GovernanceService;
use wire::key_service_server::KeyService;
use wire::record_service_server::RecordService;
use wire::record_type_service_server::RecordTypeService;
use wire::subject_service_server::SubjectService;

use super::Rpc;

/// A service: its unary methods as a table, then whatever streams.
macro_rules! service {
    ($service:ident: $($method:ident: $request:ident => $answer:ident,)+; $($streams:tt)*) => {
        #[tonic::async_trait]
        impl $service for Rpc {
            $(async fn $method(
                &self,
                request: Request<wire::$request>,
            ) -> Result<Response<wire::$answer>, Status> {
                super::$method::call(self, request).await
            })+
            $($streams)*
        }
    };
}

service! {
    RecordService:
    create_record: CreateRecordRequest => Record,
    get_record: GetRecordRequest => Record,
    batch_get_records: BatchGetRecordsRequest => BatchGetRecordsResponse,
    list_records: ListRecordsRequest => ListRecordsResponse,
    update_record: UpdateRecordRequest => Record,
    get_upload: GetUploadRequest => Upload,
    list_record_versions: ListRecordVersionsRequest => ListRecordVersionsResponse,
    delete_record: DeleteRecordRequest => Record,
    undelete_record: UndeleteRecordRequest => Record,
    purge_record: PurgeRecordRequest => Record,
    lookup_records: LookupRecordsRequest => LookupRecordsResponse,
    ;

    async fn upload_record(
        &self,
        request: Request<Streaming<wire::UploadRecordRequest>>,
    ) -> Result<Response<wire::Record>, Status> {
        super::upload_record::call(self, request).await
    }

    type DownloadRecordStream = super::download_record::Frames;

    async fn download_record(
        &self,
        request: Request<wire::DownloadRecordRequest>,
    ) -> Result<Response<super::download_record::Frames>, Status> {
        super::download_record::call(self, request).await
    }
}

service! {
    RecordTypeService:
    create_record_type: CreateRecordTypeRequest => RecordType,
    get_record_type: GetRecordTypeRequest => RecordType,
    list_record_types: ListRecordTypesRequest => ListRecordTypesResponse,
    update_record_type: UpdateRecordTypeRequest => RecordType,
    ;
}

service! {
    SubjectService:
    create_subject: CreateSubjectRequest => Subject,
    get_subject: GetSubjectRequest => Subject,
    list_subjects: ListSubjectsRequest => ListSubjectsResponse,
    list_accesses: ListAccessesRequest => ListAccessesResponse,
    erase_subject: EraseSubjectRequest => Erasure,
    approve_erasure: ApproveErasureRequest => Erasure,
    cancel_erasure: CancelErasureRequest => Erasure,
    get_erasure: GetErasureRequest => Erasure,
    list_erasures: ListErasuresRequest => ListErasuresResponse,
    ;

    type ExportSubjectStream = super::export_subject::Frames;

    async fn export_subject(
        &self,
        request: Request<wire::ExportSubjectRequest>,
    ) -> Result<Response<super::export_subject::Frames>, Status> {
        super::export_subject::call(self, request).await
    }
}

service! {
    GovernanceService:
    place_legal_hold: PlaceLegalHoldRequest => LegalHold,
    release_legal_hold: ReleaseLegalHoldRequest => LegalHold,
    list_legal_holds: ListLegalHoldsRequest => ListLegalHoldsResponse,
    set_retention_interest: SetRetentionInterestRequest => RetentionInterest,
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
    ;
}

service! {
    KeyService:
    list_keys: ListKeysRequest => ListKeysResponse,
    rotate_key: RotateKeyRequest => Rotation,
    get_rotation: GetRotationRequest => Rotation,
    list_rotations: ListRotationsRequest => ListRotationsResponse,
    destroy_epoch: DestroyEpochRequest => Key,
    ;
}

service! {
    AccessLogService:
    list_access_entries: ListAccessEntriesRequest => ListAccessEntriesResponse,
    ;

    type WatchAccessEntriesStream = super::watch_access_entries::Frames;

    async fn watch_access_entries(
        &self,
        request: Request<wire::WatchAccessEntriesRequest>,
    ) -> Result<Response<super::watch_access_entries::Frames>, Status> {
        super::watch_access_entries::call(self, request).await
    }
}
