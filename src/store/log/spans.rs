//! Pure: what a run did and what it waited for, in the column `spans`.
//!
//! The process with the fence writes the whole list each time it writes the row, so that no other transaction is needed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::text::without_nul;
use crate::fault::Reason;

/// Maximum number of spans of a run. Beyond it, spans after the first ones are dropped, the oldest of them first.
pub const MAX_SPANS: usize = 240;
/// The first spans of a run are kept.
const KEPT_AT_START: usize = 40;
/// Maximum number of characters of a detail.
const MAX_DETAIL: usize = 200;

/// What a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SpanKind {
    /// The run waited.
    Wait,
    /// An attempt, with its steps and the waits during it.
    Attempt,
    /// A step of an attempt.
    Step,
}

/// What a run waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WaitCause {
    /// Another run of the connection.
    Run,
    /// The connection: it was missing, being verified, or not ready.
    Connection,
    /// The connection was suspended.
    Suspension,
    /// The API asked for a pause.
    Throttling,
    /// The pause after a failed attempt.
    Backoff,
    /// A lock in the database.
    Lock,
    /// No process worked on the run: the operator was restarted, or another replica took over.
    Interruption,
    /// Something else; the detail names it.
    #[serde(other)]
    Other,
}

impl WaitCause {
    /// Its name in traces, the same as in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Connection => "connection",
            Self::Suspension => "suspension",
            Self::Throttling => "throttling",
            Self::Backoff => "backoff",
            Self::Lock => "lock",
            Self::Interruption => "interruption",
            Self::Other => "other",
        }
    }

    /// What a run with this reason in its condition waits for.
    pub fn of(reason: Reason) -> Self {
        match reason {
            Reason::Queued => Self::Run,
            Reason::ConnectionNotFound | Reason::ConnectionNotReady | Reason::Verifying => Self::Connection,
            Reason::ConnectionSuspended => Self::Suspension,
            Reason::ApiThrottled => Self::Throttling,
            Reason::RetryScheduled => Self::Backoff,
            Reason::DatabaseBusy => Self::Lock,
            _ => Self::Other,
        }
    }
}

/// A period of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// What it is.
    pub kind: SpanKind,
    /// The attempt during which it was, from 1; `None` before and between attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i32>,
    /// Name of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What the run waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<WaitCause>,
    /// When it began, by the database's clock.
    pub started_at: Timestamp,
    /// When it ended; `None` while it lasts. In a row that is closed, it ended with the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When the wait was to end, if that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Number of pages of the listing that were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<i64>,
    /// Whether it ended with a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// More about it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Number of spans before this one that are not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Span {
    /// A span that begins now.
    pub fn new(kind: SpanKind, attempt: Option<i32>, started_at: Timestamp) -> Self {
        Self {
            kind,
            attempt,
            step: None,
            cause: None,
            started_at,
            ended_at: None,
            until: None,
            pages: None,
            failed: false,
            detail: None,
            omitted: 0,
        }
    }

    /// Says more about the span.
    pub fn describe(&mut self, text: &str) {
        self.detail = Some(match text.char_indices().nth(MAX_DETAIL) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        });
    }

    /// Ends the span, unless it has ended. It does not end before it began.
    pub fn end(&mut self, at: Timestamp) {
        self.ended_at.get_or_insert(at.max(self.started_at));
    }
}

/// Adds a span. If there are too many, another one is dropped and counted in the next one.
pub fn push_span(spans: &mut Vec<Span>, span: Span) {
    spans.push(span);
    while spans.len() > MAX_SPANS {
        // A span that lasts is kept: its end will be recorded.
        let dropped = (KEPT_AT_START..spans.len() - 1).find(|index| spans[*index].ended_at.is_some());
        let dropped = spans.remove(dropped.unwrap_or(KEPT_AT_START));
        let omitted = &mut spans[KEPT_AT_START].omitted;
        *omitted = omitted.saturating_add(dropped.omitted).saturating_add(1);
    }
}

/// The value of the column; `None` for no spans, which leaves it unchanged.
pub(super) fn encode(spans: &[Span]) -> Option<Value> {
    let mut spans = spans.to_vec();
    for span in &mut spans {
        // JSON in PostgreSQL cannot hold NUL.
        span.detail = span.detail.take().map(|detail| without_nul(&detail).into_owned());
    }
    // Serialization of these types cannot fail; if it could, it would be no reason to fail a run.
    serde_json::to_value(spans)
        .ok()
        .filter(|value| value != &Value::Array(Vec::new()))
}

/// The spans in a value of the column. What cannot be decoded is ignored: another program may have written it.
pub(super) fn decode(value: Option<&str>) -> Vec<Span> {
    let entries: Vec<Value> = value
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    let spans = entries
        .into_iter()
        .filter_map(|entry| serde_json::from_value(entry).ok());
    spans.take(MAX_SPANS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wait(second: i64, has_ended: bool) -> Span {
        let at = Timestamp::from_second(second).unwrap();
        let mut span = Span::new(SpanKind::Wait, None, at);
        span.cause = Some(WaitCause::Backoff);
        if has_ended {
            span.end(at);
        }
        span
    }

    #[test]
    fn the_number_of_spans_is_bounded_and_what_lasts_is_kept() {
        let mut spans = Vec::new();
        let seconds = i64::try_from(MAX_SPANS + 10).unwrap();
        for second in 0..seconds {
            push_span(&mut spans, wait(second, second != 45));
        }
        assert_eq!(spans.len(), MAX_SPANS);
        assert_eq!(spans.iter().map(|span| span.omitted).sum::<u32>(), 10);
        let kept: Vec<i64> = spans.iter().map(|span| span.started_at.as_second()).collect();
        assert_eq!(kept[..42], [&(0..40).collect::<Vec<_>>()[..], &[45, 51]].concat());
        assert_eq!(kept.last(), Some(&(seconds - 1)));
    }

    #[test]
    fn the_column_is_read_leniently_and_written_as_postgresql_accepts_it() {
        let mut long = wait(1, true);
        long.describe(&format!("\0{}", "é".repeat(300)));
        let spans = [long];
        let value = encode(&spans).unwrap();
        let detail = value[0]["detail"].as_str().unwrap();
        assert_eq!((detail.chars().count(), detail.contains('\0')), (201, false));
        assert_eq!(value[0]["startedAt"], "1970-01-01T00:00:01Z");
        let mut expected = spans;
        expected[0].detail = Some(detail.to_owned());
        assert_eq!(decode(Some(&value.to_string())), expected);
        assert_eq!(encode(&[]), None);

        let newer = json!([
            {"kind": "wait", "cause": "moonlight", "startedAt": "1970-01-01T00:00:01Z", "color": "red"},
            {"kind": "dance", "startedAt": "1970-01-01T00:00:01Z"},
            {"kind": "wait"},
            7,
        ]);
        let known = decode(Some(&newer.to_string()));
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].cause, Some(WaitCause::Other));
        for none in [None, Some("null"), Some("{}"), Some("\"x\""), Some("[1e999]")] {
            assert_eq!(decode(none), []);
        }
    }

    #[test]
    fn a_span_does_not_end_before_it_began() {
        let mut span = wait(10, false);
        span.end(Timestamp::from_second(5).unwrap());
        assert_eq!(span.ended_at, Some(span.started_at));
    }
}
