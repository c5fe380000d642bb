//! What prevents the log row of a run from being written or closed is shown, and in the end the row and the object say the same.

use kube::api::{Patch, PatchParams};
use serde_json::json;
use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::environment::{TestEnvironment, condition, of, phase, wait_until};

/// Status, reason and message of a condition of a connection.
fn of_connection(connection: &TaranaConnection, type_: &str) -> (String, String, String) {
    let status = connection.status.clone().unwrap_or_default();
    condition(&status.conditions, type_)
}

async fn execute(env: &TestEnvironment, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&env.db).await.unwrap();
}

/// Waits until the row of a failed run says the same as its object.
async fn wait_for_row_of(env: &TestEnvironment, run: &TaranaSync) {
    let (_, reason, message) = of(run, "Finished");
    wait_until("the row says the same as the object", || async {
        let row: Option<(String, Option<String>, Option<String>)> =
            sqlx::query_as("select status, reason, message from tarana_sync_logs where id = $1")
                .bind(super::environment::id_of(run))
                .fetch_optional(&env.db)
                .await
                .ok()?;
        let expected = ("failed".to_owned(), Some(reason.clone()), Some(message.clone()));
        (row? == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_closed_is_shown_by_its_connection_and_by_the_run_that_waits() {
    let env = TestEnvironment::new().await;
    env.ready().await;
    execute(
        &env,
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'the audit is full'; end $$;
         create trigger refuse before update on tarana_sync_logs for each row when (new.status in ('completed', 'failed'))
         execute function refuse()",
    )
    .await;
    let failed = env.run("one", json!({})).await;
    assert_eq!(
        (phase(&failed), of(&failed, "Finished").1.as_str()),
        (Phase::Failed, "DatabaseError")
    );
    let warned = env
        .wait_for_connection("default", "shows the open row", |c| {
            of_connection(c, "LogRowsOpen").0 == "True"
        })
        .await;
    let (_, reason, message) = of_connection(&warned, "LogRowsOpen");
    assert_eq!(reason, "DatabaseError");
    assert!(
        message.contains("TaranaSync one") && message.contains("the audit is full"),
        "{message}"
    );
    env.sync("two", json!({})).await;
    env.wait_for_sync("two", "says why it waits", |s| {
        of(s, "Reconciling").2.contains("the audit is full")
    })
    .await;
    wait_until("an Event shows the open row", || async {
        let events = env.events("default").await;
        events.contains(&"DatabaseError".to_owned()).then_some(())
    })
    .await;

    execute(&env, "drop trigger refuse on tarana_sync_logs").await;
    assert_eq!(phase(&env.finished("two").await), Phase::Completed);
    wait_for_row_of(&env, &failed).await;
    env.wait_for_connection("default", "has no open row", |c| {
        of_connection(c, "LogRowsOpen").0.is_empty()
    })
    .await;
}

/// The connection learns at once what the run has found, and the run gets its row later.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_without_a_row_gets_one_and_its_connection_is_verified_at_once() {
    let env = TestEnvironment::new().await;
    env.ready().await;
    execute(&env, "alter table tarana_sync_logs rename to elsewhere").await;
    let failed = env.run("one", json!({})).await;
    assert_eq!(phase(&failed), Phase::Failed);
    env.wait_for_connection("default", "reports the table", |c| {
        of_connection(c, "Stalled").0 == "True"
    })
    .await;
    execute(&env, "alter table elsewhere rename to tarana_sync_logs").await;
    assert_eq!(phase(&env.run("two", json!({})).await), Phase::Completed);
    wait_for_row_of(&env, &failed).await;
}

/// As if the process had given up before it could read whether its COMMIT had succeeded.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_corrected_when_the_row_can_be_read() {
    let mut env = TestEnvironment::new().await;
    let completed = env.run("run", json!({})).await;
    env.stop_operator().await;
    let mut status = serde_json::to_value(completed.status.clone().unwrap()).unwrap();
    status["phase"] = json!("Failed");
    let conditions = status["conditions"].as_array_mut().unwrap();
    let finished = conditions.iter_mut().find(|c| c["type"] == "Finished").unwrap();
    finished["reason"] = json!("DeadlineExceeded");
    finished["message"] = json!(
        "whether its changes were committed is unknown until its log row can be read (DatabaseBusy): not finished"
    );
    let patch = Patch::Merge(json!({ "status": status }));
    env.syncs()
        .patch_status("run", &PatchParams::default(), &patch)
        .await
        .unwrap();
    env.start_operator();
    let corrected = env
        .wait_for_sync("run", "is corrected", |s| phase(s) == Phase::Completed)
        .await;
    let (before, after) = (completed.status.unwrap(), corrected.status.clone().unwrap());
    assert_eq!(
        (before.counts, before.completion_time),
        (after.counts, after.completion_time)
    );
    assert_eq!(of(&corrected, "Finished").1, "Completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_plain_text_are_reported() {
    let env = TestEnvironment::new().await;
    env.ready().await;
    let connection = env.connections().get("default").await.unwrap();
    assert_eq!(
        of_connection(&connection, "InsecureTransport").0,
        "",
        "this machine"
    );
    env.change_connection("default", json!({"api": {"url": "http://tcs.invalid"}}))
        .await;
    let warned = env
        .wait_for_connection("default", "reports plain text", |c| {
            of_connection(c, "InsecureTransport").0 == "True"
        })
        .await;
    let (_, reason, message) = of_connection(&warned, "InsecureTransport");
    assert!(
        reason == "PlainText" && message.contains("spec.api.url") && message.contains("https://"),
        "{message}"
    );
    wait_until("an Event reports it", || async {
        env.events("default")
            .await
            .contains(&"PlainText".to_owned())
            .then_some(())
    })
    .await;
}
