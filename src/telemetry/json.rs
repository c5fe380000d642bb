//! Log lines as JSON, with the fields of the spans around an event beside its own.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Spans of this crate have fields for the log lines; those of libraries repeat them under other names.
const OWN_TARGET: &str = "tarana_operator";

/// One object per line: `timestamp`, `level`, `target`, `message`, then the fields of the spans from the outermost to the
/// innermost and those of the event. An inner field replaces an outer one of the same name.
#[derive(Debug)]
pub(super) struct FlatJson;

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        line.insert("timestamp".to_owned(), timestamp.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if span.metadata().target().starts_with(OWN_TARGET) {
                add_fields(&mut line, span.extensions().get::<FormattedFields<JsonFields>>());
            }
        }
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Fields of OpenTelemetry's own, such as `otel.name`, are not for log lines.
fn add_fields(line: &mut Map<String, Value>, formatted: Option<&FormattedFields<JsonFields>>) {
    let fields = formatted.and_then(|fields| serde_json::from_str::<Map<String, Value>>(fields).ok());
    let fields = fields.into_iter().flatten();
    line.extend(fields.filter(|(name, _)| !name.starts_with("otel.")));
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tracing_subscriber::fmt;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_fields_of_all_own_spans_are_beside_those_of_the_event() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(FlatJson)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let foreign =
                tracing::info_span!(target: "kube_runtime", "reconciling object", object.reason = "x");
            let _foreign = foreign.enter();
            let outer = tracing::info_span!("sync", sync = "first", attempt = 1);
            let _outer = outer.enter();
            let inner = tracing::info_span!("step", otel.name = "Fetch", attempt = 2, step = "Fetch");
            let _inner = inner.enter();
            tracing::warn!(fence = 7_i64, resumed = false, reason = %"Queued", "a \"quoted\"\nmessage");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let mut line: Value = serde_json::from_str(&text).unwrap();
        let timestamp = line["timestamp"].take();
        assert!(timestamp.as_str().unwrap().ends_with('Z'), "{timestamp}");
        let expected = json!({
            "timestamp": null, "level": "WARN", "target": "tarana_operator::telemetry::json::tests",
            "message": "a \"quoted\"\nmessage", "sync": "first", "attempt": 2, "step": "Fetch",
            "fence": 7, "resumed": false, "reason": "Queued",
        });
        assert_eq!(line, expected);
    }
}
