//! One trace from the caller through all services to SQL.

use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, Once};

use opentelemetry::trace::{SpanId, TraceId, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};
use tonic::Request;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use uuid::Uuid;

use crate::wire::{account, customer};
use crate::world::{run, world};

static SPANS: LazyLock<InMemorySpanExporter> = LazyLock::new(InMemorySpanExporter::default);

/// Keeps the spans of calls whose caller asks for it, so that other tests leave none.
pub(crate) fn observe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
            .with_simple_exporter(SPANS.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("e2e"));
        tracing_subscriber::registry().with(layer.with_filter(LevelFilter::INFO)).init();
    });
}

/// The spans of a trace, by id. They are exported when they end, which may be after the answer.
async fn spans(trace: TraceId, wanted: &[&str]) -> HashMap<SpanId, SpanData> {
    let mut found = HashMap::new();
    for _ in 0..300 {
        let all = SPANS.get_finished_spans().unwrap();
        let all = all.into_iter().filter(|span| span.span_context.trace_id() == trace);
        found = all.map(|span| (span.span_context.span_id(), span)).collect();
        let names: HashSet<&str> = found.values().map(|span| span.name.as_ref()).collect();
        if wanted.iter().all(|name| names.contains(name)) {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let names: Vec<_> = found.values().map(|span| span.name.as_ref()).collect();
    panic!("not all of {wanted:?} are in {names:?}");
}

#[test]
fn one_trace_runs_through_all_services_to_sql() {
    run(async {
        let clients = world().await.newcomer().await;
        let (trace, caller) = (Uuid::new_v4().simple().to_string(), "00f067aa0ba902b7");
        let traceparent = format!("00-{trace}-{caller}-01");
        let mut request = Request::new(customer());
        request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
        let customer = clients.customers.clone().create_customer(request).await.unwrap();
        let mut account = account(strongroom_proto::transactions::v1::AccountClass::Liability);
        account.account.as_mut().unwrap().customer = customer.into_inner().name;
        let mut request = Request::new(account);
        request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
        clients.accounts.clone().create_account(request).await.unwrap();

        // The span of each call, and the units of work on Postgres that belong below it.
        let calls = [
            (
                "strongroom.accounts.v1.CustomerService/CreateCustomer",
                ["create_customer", "complete_customer"].as_slice(),
            ),
            ("strongroom.records.v1.SubjectService/CreateSubject", &["create_subject"]),
            // What it writes is committed together with what others write.
            ("strongroom.records.v1.RecordService/CreateRecord", &["get_record_type_revision"]),
            (
                "strongroom.accounts.v1.AccountService/CreateAccount",
                &["create_account", "settle_intents"],
            ),
            (
                "strongroom.transactions.v1.LedgerService/RegisterLedgerAccount",
                &["register_ledger_account"],
            ),
        ];
        let wanted: Vec<&str> = calls
            .iter()
            .flat_map(|(call, units)| std::iter::once(call).chain(*units))
            .copied()
            .collect();
        let spans = spans(TraceId::from_hex(&trace).unwrap(), &wanted).await;
        let caller = SpanId::from_hex(caller).unwrap();
        let one = |name: &str| spans.values().find(|span| span.name == name).unwrap();
        let parent = |span: &SpanData| {
            let parent = span.parent_span_id;
            assert!(
                parent == caller || spans.contains_key(&parent),
                "the parent of {} is not in the trace",
                span.name
            );
            spans.get(&parent)
        };
        let below = |span: &SpanData, above: &str| {
            std::iter::successors(Some(span), |span| parent(span)).any(|span| span.name == above)
        };
        for span in spans.values() {
            parent(span);
        }
        for (call, units) in calls {
            for unit in units {
                assert!(below(one(unit), call), "{unit} is not below {call}");
            }
        }
        for (peer, caller) in [(1, 0), (2, 0), (4, 3)] {
            let ((peer, _), (caller, _)) = (calls[peer], calls[caller]);
            assert!(below(one(peer), caller), "{peer} is not below {caller}");
        }
    });
}
