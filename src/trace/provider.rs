//! Sends spans to a collector over OTLP.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceId, TracerProvider};
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SdkTracer, SdkTracerProvider};

/// Name of the service, unless `OTEL_SERVICE_NAME` says otherwise, and of the tracer.
const SERVICE: &str = "tarana-operator";

thread_local! {
    /// The ids of the next span that this thread starts, for spans whose ids are known before.
    static NEXT: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

/// Starts a span with these ids; the trace id counts only if the span has no parent.
pub(super) fn with_ids<T>(ids: (TraceId, SpanId), start: impl FnOnce() -> T) -> T {
    NEXT.set(Some(ids));
    let started = start();
    NEXT.set(None);
    started
}

/// Random ids, unless [`with_ids`] sets them.
#[derive(Debug, Default)]
struct KnownIds(RandomIdGenerator);

impl IdGenerator for KnownIds {
    fn new_trace_id(&self) -> TraceId {
        NEXT.get()
            .map_or_else(|| self.0.new_trace_id(), |(trace, _)| trace)
    }

    fn new_span_id(&self) -> SpanId {
        NEXT.get().map_or_else(|| self.0.new_span_id(), |(_, span)| span)
    }
}

/// The export of spans to a collector.
#[derive(Debug)]
pub struct Exporter {
    provider: SdkTracerProvider,
}

impl Exporter {
    /// Exports to this URL, such as `http://collector:4318/v1/traces`, from now on. `identity` is the name of this process.
    ///
    /// # Errors
    /// The URL or one of the `OTEL_*` variables is invalid. The error does not show it, because it may contain a password.
    pub fn start(url: &str, identity: &str) -> Result<Self, &'static str> {
        let is_http = reqwest::Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
        if !is_http {
            return Err(
                "traces cannot be exported: --otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT) is not a URL such as http://collector:4318",
            );
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .build()
            .map_err(
                |_| "traces cannot be exported: --otlp-endpoint or one of the variables OTEL_* is invalid",
            )?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(identity))
            .with_id_generator(KnownIds::default())
            .with_sampler(Sampler::AlwaysOn)
            .with_batch_exporter(exporter)
            .build();
        global::set_tracer_provider(provider.clone());
        Ok(Self { provider })
    }

    /// The tracer of the live spans.
    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer(SERVICE)
    }

    /// Sends what is left, for a few seconds at most. Blocks.
    pub fn shut_down(&self) {
        // The exporter has logged why it failed.
        let _ = self.provider.shutdown();
    }
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` come after these and win.
fn resource(identity: &str) -> Resource {
    let own = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", SERVICE),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", identity.to_owned()),
        ])
        .build();
    let attributes = own
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let environment = opentelemetry_sdk::resource::EnvResourceDetector::new();
    Resource::builder_empty()
        .with_attributes(attributes)
        .with_detector(Box::new(environment))
        .build()
}

/// The tracer of the recorded spans: it exports nothing unless an [`Exporter`] was started.
pub(super) fn tracer() -> global::BoxedTracer {
    global::tracer(SERVICE)
}

#[cfg(test)]
mod tests {
    use super::Exporter;

    #[test]
    fn an_invalid_url_is_rejected_without_being_shown() {
        for url in [
            "http://u:hunter2@[bad",
            "hunter2",
            "grpc://hunter2:4317",
            "http://hunter2 x",
        ] {
            let error = Exporter::start(url, "me").unwrap_err();
            assert!(
                error.starts_with("traces cannot be exported: ") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
