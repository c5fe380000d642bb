//! Runs on a calm day: what they do to the table, to the object, to the log and to the Events.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::servers;
use super::truth;
use super::world::{World, condition, of, phase, step, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_brings_the_whole_fleet_and_a_second_changes_nothing() {
    let w = World::new().await;
    let first = w.run("first", json!({"trigger": {"actor": "thandi"}})).await;
    assert_eq!(phase(&first), Phase::Completed, "{:?}", of(&first, "Finished"));
    truth::table_is_true(&w).await;
    let counts = first.status.clone().unwrap().counts.unwrap();
    assert_eq!(counts.fetched, counts.inserted + counts.skipped);
    assert_eq!(
        counts.inserted,
        w.number("select count(*) from tarana_base_stations").await
    );

    let row = w.log_row(&first).await;
    assert_eq!(
        (&row["status"], &row["outcome"], &row["trigger_type"]),
        (&json!("completed"), &json!("completed"), &json!("manual"))
    );
    assert_eq!(
        (&row["stations_fetched"], &row["inserted"]),
        (&json!(counts.fetched), &json!(counts.inserted))
    );
    assert_eq!(
        (&row["attempt"], &row["actor"], &row["name"]),
        (&json!(1), &json!("thandi"), &json!("first"))
    );
    assert_eq!(
        row["duration_ms"],
        json!(first.status.clone().unwrap().duration_ms.unwrap())
    );
    assert_eq!(
        w.number("select count(*) from tarana_sync_changes where applied and op = 'insert'")
            .await,
        counts.inserted
    );
    assert_eq!(w.number("select count(*) from tarana_sync_outbox").await, 1);
    assert_eq!(
        w.events("first").await,
        ["Started", "RecordsSkipped", "Completed"]
    );
    assert_eq!(of(&first, "Ready").0, "True");

    let before = w.table().await;
    let second = w.run("second", json!({})).await;
    let again = second.status.clone().unwrap().counts.unwrap();
    assert_eq!((again.inserted, again.updated, again.deleted), (0, 0, 0));
    assert_eq!(again.unchanged, counts.inserted);
    assert_eq!(
        w.table().await,
        before,
        "not one row was written, last_updated included"
    );

    let connection = w
        .connection_when("default", "knows of the success", |c| {
            let status = c.status.clone().unwrap_or_default();
            status.station_count.is_some() && status.active_sync.is_none()
        })
        .await;
    assert_eq!(connection.status.unwrap().station_count, Some(counts.fetched));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_drifts_is_followed() {
    let w = World::new().await;
    w.run("first", json!({})).await;
    let unguarded = w.table().await;
    w.tcs.drift(0.05);
    let second = w
        .run("second", json!({"deleteStale": true, "approvedDeletes": 1000}))
        .await;
    assert_eq!(phase(&second), Phase::Completed);
    assert_ne!(w.table().await, unguarded);
    truth::table_is_true(&w).await;
    let counts = second.status.clone().unwrap().counts.unwrap();
    assert!(
        counts.updated > 0 && counts.unchanged > counts.updated,
        "{counts:?}"
    );
    let changed = w.number("select count(*) from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run where l.name = 'second' and c.op = 'update' and c.before::text <> c.after::text").await;
    assert_eq!(changed, counts.updated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_that_changes_after_the_end_is_taken_note_of() {
    let w = World::new().await;
    let run = w.run("run", json!({})).await;
    w.cancel("run").await;
    let seen = |s: &TaranaSync| {
        let status = s.status.clone().unwrap();
        let generation = s.metadata.generation;
        let told = status.conditions.iter().map(|c| c.observed_generation);
        generation == Some(2) && told.chain([status.observed_generation]).all(|g| g == generation)
    };
    let after = w.sync_when("run", "is known to have changed", seen).await;
    assert_eq!(
        phase(&after),
        Phase::Completed,
        "what is over cannot be cancelled"
    );
    let end = |s: &TaranaSync| s.status.clone().unwrap().completion_time;
    assert_eq!(end(&after), end(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_withholds_a_dry_run_shows_and_a_person_approves() {
    let w = World::new().await;
    w.run("first", json!({})).await;
    let gone = truth::rows_of(&w, &w.tcs.vanish(60)).await;
    assert!(gone > 50, "{gone}");
    let full = w.table().await;

    let dry = w
        .run(
            "dry",
            json!({"dryRun": true, "deleteStale": true, "approvedDeletes": 60}),
        )
        .await;
    assert_eq!(phase(&dry), Phase::Completed);
    assert_eq!(w.table().await, full, "a dry run changes nothing");
    let planned = w.number("select count(*) from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run where l.name = 'dry' and op = 'delete' and not applied").await;
    assert_eq!(
        (planned, dry.status.clone().unwrap().counts.unwrap().deleted),
        (gone, gone)
    );

    let guarded = w.run("guarded", json!({"deleteStale": true})).await;
    assert_eq!(phase(&guarded), Phase::Completed);
    let (status, _, message) = of(&guarded, "DeletesWithheld");
    assert_eq!(status, "True");
    assert!(message.contains("approvedDeletes"), "{message}");
    assert_eq!(guarded.status.clone().unwrap().counts.unwrap().withheld, gone);
    assert_eq!(w.table().await, full);
    assert!(w.events("guarded").await.contains(&"DeletesWithheld".to_owned()));

    let kept = w.run("kept", json!({})).await;
    assert_eq!(
        (w.table().await, of(&kept, "DeletesWithheld").0.as_str()),
        (full, "False")
    );

    let approved = w
        .run("approved", json!({"deleteStale": true, "approvedDeletes": 60}))
        .await;
    assert_eq!(approved.status.clone().unwrap().counts.unwrap().deleted, gone);
    truth::table_is_true(&w).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_of_the_same_instant_take_turns() {
    let w = World::new().await;
    w.tcs.script(vec![servers::slow_search(300)]);
    let (one, two) = tokio::join!(w.sync("one", json!({})), w.sync("two", json!({})));
    let waited = until("one waits for the other", || async {
        for (mine, other) in [(&one, &two), (&two, &one)] {
            let s = w.syncs().get(&mine.name_any()).await.unwrap();
            let (_, reason, message) = of(&s, "Reconciling");
            if reason == "Queued" {
                assert!(message.contains(&other.name_any()), "{message}");
                assert_eq!(w.log_row(&s).await["status"], "pending");
                return Some(());
            }
        }
        None
    });
    waited.await;
    let (one, two) = tokio::join!(w.finished("one"), w.finished("two"));
    assert_eq!((phase(&one), phase(&two)), (Phase::Completed, Phase::Completed));
    assert_eq!(w.number("select count(*) from tarana_sync_logs a join tarana_sync_logs b on a.id < b.id and a.started_at < b.completed_at and b.started_at < a.completed_at").await, 0, "they overlapped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_fault_is_retried_and_a_lasting_one_is_not() {
    let w = World::new().await;
    w.tcs
        .script(vec![servers::failing_search().region(1073).times(2)]);
    w.ready().await;
    let spec = json!({"backoff": {"initialSeconds": 1, "maxSeconds": 1}});
    let retried = w.run("retried", spec.clone()).await;
    assert_eq!(
        (phase(&retried), retried.status.clone().unwrap().attempt),
        (Phase::Completed, 3)
    );
    let row = w.log_row(&retried).await;
    assert_eq!(row["attempt"], 3);
    assert!(
        row["errors"].to_string().contains("attempt 1: ApiUnavailable"),
        "{}",
        row["errors"]
    );
    assert_eq!(
        retried.status.clone().unwrap().last_failure.unwrap().reason,
        "ApiUnavailable"
    );
    assert!(
        w.events("retried")
            .await
            .starts_with(&["Started".to_owned(), "RetryScheduled".to_owned()])
    );

    w.tcs.script(vec![servers::html_search()]);
    let failed = w.run("failed", spec).await;
    assert_eq!(
        (phase(&failed), failed.status.clone().unwrap().attempt),
        (Phase::Failed, 1)
    );
    assert_eq!(of(&failed, "Finished").1, "ApiChanged");
    assert_eq!(of(&failed, "Stalled").0, "True");
    let row = w.log_row(&failed).await;
    assert_eq!(
        (&row["status"], &row["outcome"], &row["reason"]),
        (&json!("failed"), &json!("failed"), &json!("ApiChanged"))
    );
    truth::table_is_true(&w).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spent_attempts_and_the_deadline_end_a_run() {
    let w = World::new().await;
    w.tcs.script(vec![servers::failing_search()]);
    let spent = w
        .run(
            "spent",
            json!({"backoffLimit": 1, "backoff": {"initialSeconds": 1, "maxSeconds": 1}}),
        )
        .await;
    assert_eq!(
        (phase(&spent), spent.status.clone().unwrap().attempt),
        (Phase::Failed, 2)
    );
    assert_eq!(of(&spent, "Finished").1, "ApiUnavailable");
    w.tcs.clear();
    w.tcs.script(vec![servers::hanging_search()]);
    let late = w.run("late", json!({"activeDeadlineSeconds": 2})).await;
    assert_eq!(
        (phase(&late), of(&late, "Finished").1.as_str()),
        (Phase::Failed, "DeadlineExceeded")
    );
    assert_eq!(w.log_row(&late).await["status"], "failed");
    assert_eq!(w.number("select count(*) from tarana_base_stations").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_run_is_deleted_when_its_time_is_up_and_its_row_stays() {
    let w = World::new().await;
    let run = w.run("brief", json!({"ttlSecondsAfterFinished": 1})).await;
    until("the object is gone", || async {
        w.syncs().get_opt("brief").await.unwrap().is_none().then_some(())
    })
    .await;
    assert_eq!(w.log_row(&run).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_its_connection_and_starts_when_it_comes() {
    let mut w = World::bare(servers::tcs()).await;
    w.start_operator();
    w.sync("early", json!({})).await;
    let waiting = w
        .sync_when("early", "says what it waits for", |s| {
            of(s, "Reconciling").1 == "ConnectionNotFound"
        })
        .await;
    assert!(
        of(&waiting, "Ready").2.contains("create it"),
        "{:?}",
        of(&waiting, "Ready")
    );
    w.connection("default", json!({"suspend": true})).await;
    w.secret(
        "tcs",
        &json!({"username": servers::USERNAME, "password": servers::PASSWORD}),
    )
    .await;
    w.secret("database", &json!({"url": w.database_url})).await;
    let waiting = w
        .sync_when("early", "says that it is suspended", |s| {
            of(s, "Reconciling").1 == "ConnectionSuspended"
        })
        .await;
    assert_eq!(w.log_row(&waiting).await["status"], "pending");
    let connection = w
        .connection_when("default", "is suspended", |c| {
            condition(&c.status.clone().unwrap_or_default().conditions, "Ready").1 == "Suspended"
        })
        .await;
    assert_eq!(
        connection.status.unwrap().observed_generation,
        connection.metadata.generation
    );
    w.change_connection("default", json!({"suspend": false})).await;
    assert_eq!(phase(&w.finished("early").await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_with_the_same_attempt() {
    let mut w = World::new().await;
    w.tcs.script(vec![servers::hanging_search()]);
    w.sync("long", json!({})).await;
    w.sync_when("long", "fetches", |s| step(s).is_some()).await;
    w.kill_operator().await;
    w.tcs.clear();
    w.start_operator();
    let done = w.finished("long").await;
    assert_eq!(
        (phase(&done), done.status.clone().unwrap().attempt),
        (Phase::Completed, 1)
    );
    assert_eq!(w.log_row(&done).await["fence"], 2);
    let events = w.events("long").await;
    assert_eq!(events.iter().filter(|e| *e == "Resumed").count(), 1, "{events:?}");
    truth::table_is_true(&w).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_left_open_by_nobody_are_closed_at_start_up() {
    let mut w = World::new().await;
    w.run("first", json!({})).await;
    w.stop_operator().await;
    // A row of this connection whose object is gone, and one of the function that came before.
    sqlx::query("insert into tarana_sync_logs (id, status, connection_uid, connection, namespace, name, created_at, started_at, heartbeat_at) select gen_random_uuid(), 'running', connection_uid, connection, namespace, 'gone', now() - interval '1 day', now() - interval '1 day', now() - interval '1 day' from tarana_sync_logs limit 1").execute(&w.db).await.unwrap();
    sqlx::query("insert into tarana_sync_logs (status, trigger_type, created_at, started_at) values ('running', 'cron', now() - interval '1 day', now() - interval '1 day')").execute(&w.db).await.unwrap();
    w.start_operator();
    until("both rows are closed", || async {
        (w.number("select count(*) from tarana_sync_logs where status = 'failed' and reason = 'Abandoned' and completed_at is not null").await == 2).then_some(())
    })
    .await;
    assert_eq!(phase(&w.run("next", json!({})).await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_write_of_somebody_who_was_overtaken_is_refused() {
    let w = World::new().await;
    let done = w.run("done", json!({})).await;
    let mut old = done.clone();
    old.metadata.resource_version = Some("1".into());
    let error = w
        .syncs()
        .replace_status("done", &kube::api::PostParams::default(), &old)
        .await
        .unwrap_err();
    assert!(matches!(error, kube::Error::Api(e) if e.code == 409));
    // Somebody's label does not stand in the way of anything.
    let label = Patch::Merge(json!({"metadata": {"labels": {"seen": "yes"}}}));
    w.syncs()
        .patch("done", &PatchParams::default(), &label)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_fetch_shows_how_far_it_is() {
    let mut w = World::bare(servers::tcs()).await;
    w.start_operator();
    w.secret("tcs", &servers::credentials()).await;
    w.secret("database", &json!({"url": w.database_url})).await;
    w.connection("default", json!({"api": {"pageSize": 10, "maxInFlight": 2}}))
        .await;
    w.ready().await;
    w.tcs.script(vec![servers::slow_search(100)]);
    w.sync("long", json!({})).await;
    let seen = w
        .sync_when("long", "shows progress", |s| {
            s.status.as_ref().is_some_and(|s| s.progress.is_some())
        })
        .await;
    let progress = seen.status.clone().unwrap().progress.unwrap();
    assert!(
        progress.current > 0 && progress.current < progress.total && progress.total <= 718,
        "{progress:?}"
    );
    assert_eq!(phase(&w.finished("long").await), Phase::Completed);
}
