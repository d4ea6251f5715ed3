//! Duration, retries and outcome of each unit of work, by its name (OpenTelemetry semantic
//! conventions, database client).

use std::time::Instant;

use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};

use super::DbError;

#[derive(Debug, Clone)]
pub(super) struct Metrics {
    duration: Histogram<f64>,
    retries: Counter<u64>,
    namespace: String,
}

/// A unit of work that runs.
#[derive(Clone, Copy)]
pub(super) struct Started {
    name: &'static str,
    since: Instant,
}

impl Started {
    pub(super) fn now(name: &'static str) -> Self {
        Self { name, since: Instant::now() }
    }
}

impl Metrics {
    pub(super) fn new(schema: &str) -> Self {
        let meter = global::meter("strongroom");
        Self {
            duration: meter
                .f64_histogram("db.client.operation.duration")
                .with_unit("s")
                .with_description("Duration of units of work, waiting and retries included")
                .with_boundaries(crate::telemetry::SECONDS.to_vec())
                .build(),
            retries: meter
                .u64_counter("strongroom.db.retries")
                .with_description("Repeats of units of work that concurrent work undid")
                .build(),
            namespace: schema.to_owned(),
        }
    }

    pub(super) fn finish(&self, unit: Started, retries: u32, error: Option<&DbError>) {
        let attributes = [
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("db.namespace", self.namespace.clone()),
            KeyValue::new("db.operation.name", unit.name),
            KeyValue::new("error.type", error.map_or("", outcome)),
        ];
        let labels = if error.is_some() { &attributes[..] } else { &attributes[..3] };
        self.duration.record(unit.since.elapsed().as_secs_f64(), labels);
        if retries > 0 {
            self.retries.add(u64::from(retries), &attributes[..3]);
        }
    }
}

fn outcome(error: &DbError) -> &'static str {
    match error {
        DbError::Unavailable(_) => "unavailable",
        DbError::Closed => "closed",
        DbError::CommitUnknown => "commit_unknown",
        DbError::Contention => "contention",
        DbError::LockTimeout => "lock_timeout",
        DbError::Deadline => "deadline",
        DbError::Unique(_) | DbError::ForeignKey(_) | DbError::NotFound => "refused",
        DbError::Fault(_) => "fault",
    }
}
