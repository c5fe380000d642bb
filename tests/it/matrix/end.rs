//! What a run leaves, without what differs from day to day: times, ids, fences.

use serde_json::{Value, json};
use tarana_operator::api::sync::TaranaSync;
use uuid::Uuid;

use crate::truth;
use crate::world::World;

/// Everything that a run leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    pub table: Value,
    /// Absent where the object is gone.
    pub status: Option<Value>,
    /// At most one.
    pub rows: Vec<Value>,
    pub changes: Value,
    pub outbox: Value,
}

impl End {
    /// As it is now. `sync` is gone where it was deleted.
    pub async fn of(w: &World, id: Uuid, sync: Option<&TaranaSync>) -> Self {
        let changes = "select coalesce(jsonb_agg(to_jsonb(c) - array['run', 'seq'] order by op, serial), '[]') from tarana_sync_changes c where run = $1";
        let outbox = "select coalesce(jsonb_agg(jsonb_build_array(type, payload - array['sync_log_id', 'duration_ms', 'attempt'])), '[]')
                      from tarana_sync_outbox where run = $1";
        Self {
            table: json!(truth::rows(&w.db).await),
            status: sync.map(|sync| lasting(&json!(sync.status))),
            rows: rows(w).await,
            changes: w.json(changes, id).await,
            outbox: w.json(outbox, id).await,
        }
    }

    /// Without what tells of attempts: a wire may cost one.
    pub fn but_for_attempts(&self) -> Self {
        let mut end = self.clone();
        for told in end.rows.iter_mut().chain(end.status.as_mut()) {
            let fields = told.as_object_mut().unwrap();
            for of_attempts in ["attempt", "errors", "lastFailure"] {
                fields.remove(of_attempts);
            }
        }
        end
    }

    /// Without what the object says: it may be gone, or its spec may have changed since it ended.
    pub fn but_for_the_object(&self) -> Self {
        Self {
            status: None,
            ..self.clone()
        }
    }

    /// The first difference, told for a person.
    pub fn compare(&self, calm: &Self) -> Result<(), String> {
        let parts = [
            ("the table", &json!(self.table), &json!(calm.table)),
            ("the status", &json!(self.status), &json!(calm.status)),
            ("the log rows", &json!(self.rows), &json!(calm.rows)),
            ("the change rows", &json!(self.changes), &json!(calm.changes)),
            ("the outbox", &json!(self.outbox), &json!(calm.outbox)),
        ];
        for (what, found, calm) in parts {
            if found != calm {
                return Err(format!(
                    "{what}: {}\non a calm day: {}",
                    short(found),
                    short(calm)
                ));
            }
        }
        Ok(())
    }
}

fn short(value: &Value) -> String {
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

/// The log rows of all runs but those that were there before.
async fn rows(w: &World) -> Vec<Value> {
    let volatile = "array['id', 'created_at', 'started_at', 'completed_at', 'heartbeat_at', 'duration_ms', 'fence', 'connection_uid', 'namespace', 'errors']";
    let select = format!(
        "select to_jsonb(l) - {volatile} || jsonb_build_object('errors',
             (select jsonb_agg(e - 'timestamp') from jsonb_array_elements(errors) e)) from tarana_sync_logs l where name = 'run'"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(select))
        .fetch_all(&w.db)
        .await
        .unwrap()
}

/// A status without its times and numbers of processes.
fn lasting(status: &Value) -> Value {
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
