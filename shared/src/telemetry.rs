//! Logs, traces and metrics: `tracing` with OpenTelemetry behind it.
//!
//! Logs are one line each on standard error, JSON where asked. Traces and metrics go out by OTLP
//! where `OTEL_EXPORTER_OTLP_ENDPOINT` is set; `/metrics` on the admin port is always there.

use std::time::Duration;

use clap::ArgAction;
use http::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tonic::Code;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Buckets of every duration (OpenTelemetry semantic conventions), in seconds.
pub const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// How the service reports.
#[derive(Debug, Clone, clap::Args)]
// Several structs of this name are flattened into one command line.
#[group(skip)]
#[command(next_help_heading = "Telemetry")]
pub struct Config {
    /// What is logged, such as "info,shared=debug"
    #[arg(long, env = "STRONGROOM_LOG", default_value = "info")]
    pub log: String,
    /// Log JSON objects, one a line
    #[arg(long, env = "STRONGROOM_LOG_JSON", default_value_t = false, action = ArgAction::Set)]
    pub log_json: bool,
    /// Where traces and metrics are sent (OTLP over gRPC); nowhere where it is absent
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
}

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter does not parse.
    #[error("--log: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// An exporter cannot be built.
    #[error("telemetry: {0}")]
    Exporter(String),
}

/// Keeps the exporters; ends them when told to.
#[derive(Debug)]
pub struct Telemetry {
    metrics: SdkMeterProvider,
    traces: Option<SdkTracerProvider>,
    registry: Registry,
}

impl Telemetry {
    /// Starts logs, traces and metrics for the process. Once a process.
    pub fn start(service: &str, config: &Config) -> Result<Self, TelemetryError> {
        let exporter = |error: &dyn std::fmt::Display| TelemetryError::Exporter(error.to_string());
        let resource =
            Resource::builder().with_service_name(format!("strongroom-{service}")).build();
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(|error| exporter(&error))?;
        let mut metrics =
            SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader);
        let mut traces = None;
        if let Some(endpoint) = &config.otlp_endpoint {
            let otlp = Otlp::connect(endpoint).map_err(|error| exporter(&error))?;
            metrics = metrics.with_reader(PeriodicReader::builder(otlp.metrics).build());
            let provider = SdkTracerProvider::builder()
                .with_resource(resource)
                .with_batch_exporter(otlp.spans);
            traces = Some(provider.build());
        }
        let metrics = metrics.build();
        opentelemetry::global::set_meter_provider(metrics.clone());
        subscribe(config, traces.as_ref())?;
        Ok(Self { metrics, traces, registry })
    }

    /// The metrics as Prometheus reads them.
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Sends what is left, but not for longer than a few seconds: an exporter that hangs must not
    /// hold up the process (opentelemetry-rust 2715).
    pub async fn shutdown(self) {
        let flush = crate::task::blocking(move || {
            let _ = self.metrics.shutdown();
            if let Some(traces) = self.traces {
                let _ = traces.shutdown();
            }
        });
        let _ = tokio::time::timeout(Duration::from_secs(3), flush).await;
    }
}

struct Otlp {
    spans: opentelemetry_otlp::SpanExporter,
    metrics: opentelemetry_otlp::MetricExporter,
}

impl Otlp {
    fn connect(endpoint: &str) -> Result<Self, opentelemetry_otlp::ExporterBuildError> {
        use opentelemetry_otlp::WithExportConfig as _;
        Ok(Self {
            spans: opentelemetry_otlp::SpanExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .build()?,
            metrics: opentelemetry_otlp::MetricExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .build()?,
        })
    }
}

fn subscribe(config: &Config, traces: Option<&SdkTracerProvider>) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.log)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_json {
        true => lines.json().flatten_event(true).boxed(),
        false => lines.compact().boxed(),
    };
    let spans = traces
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("strongroom")));
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        // The spans of libraries are not ours to export, and h2 alone would drown the rest.
        .with(spans.with_filter(EnvFilter::new(
            "off,shared=info,accounts=info,records=info,transactions=info,suite=info",
        )))
        .try_init()
        .map_err(|error| TelemetryError::Exporter(error.to_string()))
}

/// The text that Prometheus scrapes.
pub fn scrape(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default()
}

/// Puts a span below the caller's (W3C Trace Context), and gives the trace id: the exported one
/// where traces are exported, else the caller's, else a new one for the logs.
pub(crate) fn adopt(span: &tracing::Span, headers: &HeaderMap) -> String {
    let remote = TraceContextPropagator::new().extract(&Headers(headers));
    let remote_id = remote.span().span_context().trace_id();
    if remote.span().span_context().is_valid() {
        let _ = span.set_parent(remote);
    }
    let own_id = span.context().span().span_context().trace_id();
    match (own_id, remote_id) {
        (id, _) | (opentelemetry::trace::TraceId::INVALID, id)
            if id != opentelemetry::trace::TraceId::INVALID =>
        {
            id.to_string()
        }
        _ => uuid::Uuid::new_v4().simple().to_string(),
    }
}

/// Puts the current span into the headers of an outbound call.
pub(crate) fn inject(metadata: &mut tonic::metadata::MetadataMap) {
    let context = tracing::Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut Metadata(metadata));
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct Metadata<'a>(&'a mut tonic::metadata::MetadataMap);

impl Injector for Metadata<'_> {
    fn set(&mut self, key: &str, value: String) {
        let key = tonic::metadata::MetadataKey::from_bytes(key.as_bytes());
        if let (Ok(key), Ok(value)) = (key, value.parse()) {
            self.0.insert(key, value);
        }
    }
}

/// A code as telemetry spells it: `DEADLINE_EXCEEDED`.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
