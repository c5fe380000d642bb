//! The outcome of a run without values that differ between runs: times, ids, fences.

use serde_json::{Value, json};
use tarana_operator::api::sync::TaranaSync;
use uuid::Uuid;

use crate::environment::TestEnvironment;
use crate::expected_table;

/// Everything that a run writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub table: Value,
    /// `None` if the object is gone.
    pub status: Option<Value>,
    /// Log rows, at most one.
    pub rows: Vec<Value>,
    pub changes: Value,
    pub outbox: Value,
}

impl Outcome {
    /// Reads the current outcome. `sync` is `None` if it was deleted.
    pub async fn of(env: &TestEnvironment, id: Uuid, sync: Option<&TaranaSync>) -> Self {
        let changes = "select coalesce(jsonb_agg(to_jsonb(c) - array['run', 'seq'] order by op, serial), '[]') from tarana_sync_changes c where run = $1";
        let outbox = "select coalesce(jsonb_agg(jsonb_build_array(type, payload - array['sync_log_id', 'duration_ms', 'attempt']) order by id), '[]')
                      from tarana_sync_outbox where run = $1";
        Self {
            table: json!(expected_table::stored_rows(&env.db).await),
            status: sync.map(|sync| stable_fields(&json!(sync.status))),
            rows: rows(env).await,
            changes: env.json(changes, id).await,
            outbox: env.json(outbox, id).await,
        }
    }

    /// Without fields about attempts: a network fault may cost one.
    pub fn without_attempts(&self) -> Self {
        let mut outcome = self.clone();
        for record in outcome.rows.iter_mut().chain(outcome.status.as_mut()) {
            let fields = record.as_object_mut().unwrap();
            for field in ["attempt", "errors", "lastFailure"] {
                fields.remove(field);
            }
        }
        outcome
    }

    /// Without the object's status: the object may be gone, or its spec may have changed after the end.
    pub fn without_status(&self) -> Self {
        Self {
            status: None,
            ..self.clone()
        }
    }

    /// Describes the first difference.
    pub fn compare(&self, undisturbed: &Self) -> Result<(), String> {
        let parts = [
            ("the table", &json!(self.table), &json!(undisturbed.table)),
            ("the status", &json!(self.status), &json!(undisturbed.status)),
            ("the log rows", &json!(self.rows), &json!(undisturbed.rows)),
            (
                "the change rows",
                &json!(self.changes),
                &json!(undisturbed.changes),
            ),
            ("the outbox", &json!(self.outbox), &json!(undisturbed.outbox)),
        ];
        for (what, found, undisturbed) in parts {
            if found != undisturbed {
                return Err(format!(
                    "{what}: {}\nundisturbed run: {}",
                    truncate(found),
                    truncate(undisturbed)
                ));
            }
        }
        Ok(())
    }
}

fn truncate(value: &Value) -> String {
    let text = value.to_string();
    if text.len() > 3000 {
        format!(
            "{}… ({} bytes)",
            text.chars().take(3000).collect::<String>(),
            text.len()
        )
    } else {
        text
    }
}

/// The log rows of the run.
async fn rows(env: &TestEnvironment) -> Vec<Value> {
    let volatile = "array['id', 'created_at', 'started_at', 'completed_at', 'heartbeat_at', 'duration_ms', 'fence', 'connection_uid', 'namespace', 'errors', 'spans']";
    let select = format!(
        "select to_jsonb(l) - {volatile} || jsonb_build_object('errors',
             (select jsonb_agg(e - 'timestamp') from jsonb_array_elements(errors) e)) from tarana_sync_logs l where name = 'run'"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(select))
        .fetch_all(&env.db)
        .await
        .unwrap()
}

/// A status without times and fence.
fn stable_fields(status: &Value) -> Value {
    let mut status = status.clone();
    let fields = status.as_object_mut().unwrap();
    for volatile in ["startTime", "completionTime", "durationMs", "fence", "progress"] {
        fields.remove(volatile);
    }
    for condition in fields["conditions"].as_array_mut().unwrap() {
        condition.as_object_mut().unwrap().remove("lastTransitionTime");
    }
    status
}
