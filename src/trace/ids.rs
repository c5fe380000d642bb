//! Pure: the ids of a run's trace and of the spans in it that all processes know.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The trace of a run: its uid without hyphens.
pub fn trace_id(run: Uuid) -> TraceId {
    TraceId::from_bytes(run.into_bytes())
}

/// The span of the run.
pub fn run_id(run: Uuid) -> SpanId {
    derived(run, "run")
}

/// The span of an attempt.
pub fn attempt_id(run: Uuid, attempt: i32) -> SpanId {
    derived(run, &format!("attempt {attempt}"))
}

/// The context of a span whose parent may be of another process.
pub fn child_of(run: Uuid, parent: SpanId) -> Context {
    let trace = trace_id(run);
    let parent = SpanContext::new(trace, parent, TraceFlags::SAMPLED, true, TraceState::default());
    Context::new().with_remote_span_context(parent)
}

fn derived(run: Uuid, what: &str) -> SpanId {
    let mut hash = Sha256::new();
    hash.update(run.as_bytes());
    hash.update(what.as_bytes());
    let digest = hash.finalize();
    let mut id = [0; 8];
    id.copy_from_slice(&digest[..8]);
    // Zero is no valid id.
    id[7] |= 1;
    SpanId::from_bytes(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_the_run_alone() {
        let run: Uuid = "0f8fad5b-d9cb-469f-a165-70867728950e".parse().unwrap();
        assert_eq!(trace_id(run).to_string(), "0f8fad5bd9cb469fa16570867728950e");
        assert_eq!(run_id(run), run_id(run));
        let ids = [
            run_id(run),
            attempt_id(run, 1),
            attempt_id(run, 2),
            attempt_id(Uuid::nil(), 1),
        ];
        for (n, id) in ids.iter().enumerate() {
            assert!(!ids[..n].contains(id), "{ids:?}");
        }
    }
}
