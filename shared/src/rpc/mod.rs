//! The services that all three have: tenants, outcomes, events and the log.

mod events;
mod list_outcomes;
mod outcomes;
mod tenants;
mod transparency;
mod watch;
mod watch_events;

pub use events::EventRpc;
pub use outcomes::OutcomeRpc;
use strongroom_proto::events::v1::event_service_server::EventServiceServer;
use strongroom_proto::outcomes::v1::outcome_service_server::OutcomeServiceServer;
use strongroom_proto::tenants::v1::tenant_service_server::TenantServiceServer;
use strongroom_proto::transparency::v1::transparency_service_server::TransparencyServiceServer;
pub use tenants::TenantRpc;
use tonic::service::Routes;
pub(crate) use transparency::TransparencyRpc;
pub use watch::{Feed, Messages, Said};

/// Adds them to a service's own.
pub(crate) fn add(routes: Routes, events: EventRpc) -> Routes {
    let (db, clock, service) = (events.db.clone(), events.clock.clone(), events.service);
    let limit = events.message_bytes_max;
    let outcomes = OutcomeRpc::new(db.clone(), clock.clone(), service.operations, limit);
    let log = TransparencyRpc { db: db.clone(), service, message_bytes_max: limit };
    routes
        .add_service(
            TenantServiceServer::new(TenantRpc::new(db, clock))
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit),
        )
        .add_service(
            OutcomeServiceServer::new(outcomes)
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit),
        )
        .add_service(
            EventServiceServer::new(events)
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit),
        )
        .add_service(
            TransparencyServiceServer::new(log)
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit),
        )
}
