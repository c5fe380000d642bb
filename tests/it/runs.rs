//! Runs: the table, the object, the log row and the Events.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::environment::{TestEnvironment, condition, of, phase, step, wait_until};
use super::expected_table;
use super::servers;

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_inserts_the_fleet_and_a_second_changes_nothing() {
    let env = TestEnvironment::new().await;
    let first = env.run("first", json!({"trigger": {"actor": "thandi"}})).await;
    assert_eq!(phase(&first), Phase::Completed, "{:?}", of(&first, "Finished"));
    expected_table::assert_table_matches_fleet(&env).await;
    let counts = first.status.clone().unwrap().counts.unwrap();
    assert_eq!(counts.fetched, counts.inserted + counts.skipped);
    assert_eq!(
        counts.inserted,
        env.number("select count(*) from tarana_base_stations").await
    );

    let row = env.log_row(&first).await;
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
        env.number("select count(*) from tarana_sync_changes where applied and op = 'insert'")
            .await,
        counts.inserted
    );
    assert_eq!(env.number("select count(*) from tarana_sync_outbox").await, 2);
    assert_eq!(
        env.events("first").await,
        ["Started", "RecordsSkipped", "Completed"]
    );
    assert_eq!(of(&first, "Ready").0, "True");

    let before = env.table().await;
    let second = env.run("second", json!({})).await;
    let again = second.status.clone().unwrap().counts.unwrap();
    assert_eq!((again.inserted, again.updated, again.deleted), (0, 0, 0));
    assert_eq!(again.unchanged, counts.inserted);
    assert_eq!(
        env.table().await,
        before,
        "no row was written, not even last_updated"
    );

    let connection = env
        .wait_for_connection("default", "records the success", |c| {
            let status = c.status.clone().unwrap_or_default();
            status.station_count.is_some() && status.active_sync.is_none()
        })
        .await;
    assert_eq!(connection.status.unwrap().station_count, Some(counts.fetched));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_updates_stations_that_changed() {
    let env = TestEnvironment::new().await;
    env.run("first", json!({})).await;
    let before = env.table().await;
    env.tcs.drift(0.05);
    let second = env
        .run("second", json!({"deleteStale": true, "approvedDeletes": 1000}))
        .await;
    assert_eq!(phase(&second), Phase::Completed);
    assert_ne!(env.table().await, before);
    expected_table::assert_table_matches_fleet(&env).await;
    let counts = second.status.clone().unwrap().counts.unwrap();
    assert!(
        counts.updated > 0 && counts.unchanged > counts.updated,
        "{counts:?}"
    );
    let changed = env.number("select count(*) from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run where l.name = 'second' and c.op = 'update' and c.before::text <> c.after::text").await;
    assert_eq!(changed, counts.updated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_change_after_the_end_is_observed() {
    let env = TestEnvironment::new().await;
    let run = env.run("run", json!({})).await;
    env.cancel("run").await;
    let is_observed = |s: &TaranaSync| {
        let status = s.status.clone().unwrap();
        let generation = s.metadata.generation;
        let observed = status.conditions.iter().map(|c| c.observed_generation);
        generation == Some(2)
            && observed
                .chain([status.observed_generation])
                .all(|g| g == generation)
    };
    let after = env
        .wait_for_sync("run", "has observed the change", is_observed)
        .await;
    assert_eq!(
        phase(&after),
        Phase::Completed,
        "a completed run cannot be cancelled"
    );
    let end = |s: &TaranaSync| s.status.clone().unwrap().completion_time;
    assert_eq!(end(&after), end(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_are_withheld_until_they_are_approved() {
    let env = TestEnvironment::new().await;
    env.run("first", json!({})).await;
    let gone = expected_table::count_rows_of(&env, &env.tcs.vanish(60)).await;
    assert!(gone > 50, "{gone}");
    let full = env.table().await;

    let dry = env
        .run(
            "dry",
            json!({"dryRun": true, "deleteStale": true, "approvedDeletes": 60}),
        )
        .await;
    assert_eq!(phase(&dry), Phase::Completed);
    assert_eq!(env.table().await, full, "a dry run changes nothing");
    let planned = env.number("select count(*) from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run where l.name = 'dry' and op = 'delete' and not applied").await;
    assert_eq!(
        (planned, dry.status.clone().unwrap().counts.unwrap().deleted),
        (gone, gone)
    );

    let guarded = env.run("guarded", json!({"deleteStale": true})).await;
    assert_eq!(phase(&guarded), Phase::Completed);
    let (status, _, message) = of(&guarded, "DeletesWithheld");
    assert_eq!(status, "True");
    assert!(message.contains("approvedDeletes"), "{message}");
    assert_eq!(guarded.status.clone().unwrap().counts.unwrap().withheld, gone);
    assert_eq!(env.table().await, full);
    assert!(
        env.events("guarded")
            .await
            .contains(&"DeletesWithheld".to_owned())
    );

    let kept = env.run("kept", json!({})).await;
    assert_eq!(kept.status.clone().unwrap().counts.unwrap().stale, gone);
    assert_eq!(
        (env.table().await, of(&kept, "DeletesWithheld").0.as_str()),
        (full, "False")
    );

    let approved = env
        .run("approved", json!({"deleteStale": true, "approvedDeletes": 60}))
        .await;
    assert_eq!(approved.status.clone().unwrap().counts.unwrap().deleted, gone);
    expected_table::assert_table_matches_fleet(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_runs_of_a_connection_execute_one_after_the_other() {
    let env = TestEnvironment::new().await;
    env.tcs.set_rules(vec![servers::hanging_search()]);
    let (one, two) = tokio::join!(env.sync("one", json!({})), env.sync("two", json!({})));
    wait_until("one run waits for the other", || async {
        for (this, other) in [(&one, &two), (&two, &one)] {
            let s = env.syncs().get(&this.name_any()).await.unwrap();
            let (_, reason, message) = of(&s, "Reconciling");
            if reason == "Queued" {
                assert!(message.contains(&other.name_any()), "{message}");
                assert_eq!(env.log_row(&s).await["status"], "pending");
                return Some(());
            }
        }
        None
    })
    .await;
    env.tcs.clear_rules();
    env.tcs.release_hanging();
    let (one, two) = tokio::join!(env.finished("one"), env.finished("two"));
    assert_eq!((phase(&one), phase(&two)), (Phase::Completed, Phase::Completed));
    assert_eq!(env.number("select count(*) from tarana_sync_logs a join tarana_sync_logs b on a.id < b.id and a.started_at < b.completed_at and b.started_at < a.completed_at").await, 0, "they overlapped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transient_fault_is_retried_and_a_doubtful_one_is_permanent_if_it_persists() {
    let env = TestEnvironment::new().await;
    // An attempt sends a request four times.
    let failing = servers::failing_search().region(1073).offset(0).times(8);
    env.tcs.set_rules(vec![failing]);
    env.ready().await;
    let spec = json!({"backoff": {"initialSeconds": 1, "maxSeconds": 1}});
    let retried = env.run("retried", spec.clone()).await;
    assert_eq!(
        (phase(&retried), retried.status.clone().unwrap().attempt),
        (Phase::Completed, 3)
    );
    let row = env.log_row(&retried).await;
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
        env.events("retried")
            .await
            .starts_with(&["Started".to_owned(), "RetryScheduled".to_owned()])
    );

    env.tcs.set_rules(vec![servers::html_search()]);
    let failed = env.run("failed", spec).await;
    let (attempts, backoff_limit) = (failed.status.clone().unwrap().attempt, failed.spec.backoff_limit);
    assert_eq!((phase(&failed), attempts), (Phase::Failed, backoff_limit + 1));
    let (_, reason, message) = of(&failed, "Finished");
    assert_eq!(reason, "ApiChanged");
    let all = format!("attempt {attempts} of {attempts}");
    assert!(message.contains(&all), "{message}");
    assert_eq!(of(&failed, "Stalled").0, "True");
    let row = env.log_row(&failed).await;
    assert_eq!(
        (&row["status"], &row["outcome"], &row["reason"]),
        (&json!("failed"), &json!("failed"), &json!("ApiChanged"))
    );
    expected_table::assert_table_matches_fleet(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_fails_when_its_attempts_or_deadline_are_exhausted() {
    let env = TestEnvironment::new().await;
    env.tcs.set_rules(vec![servers::failing_search()]);
    let spent = env
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
    env.tcs.clear_rules();
    env.tcs.set_rules(vec![servers::hanging_search()]);
    let late = env.run("late", json!({"activeDeadlineSeconds": 2})).await;
    assert_eq!(
        (phase(&late), of(&late, "Finished").1.as_str()),
        (Phase::Failed, "DeadlineExceeded")
    );
    assert_eq!(env.log_row(&late).await["status"], "failed");
    assert_eq!(env.number("select count(*) from tarana_base_stations").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_run_is_deleted_after_its_ttl_and_its_log_row_stays() {
    let env = TestEnvironment::new().await;
    let run = env.sync("brief", json!({"ttlSecondsAfterFinished": 1})).await;
    wait_until("the object is gone", || async {
        env.syncs()
            .get_opt("brief")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    assert_eq!(env.log_row(&run).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_its_connection() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.start_operator();
    env.sync("early", json!({})).await;
    let waiting = env
        .wait_for_sync("early", "reports what it waits for", |s| {
            of(s, "Reconciling").1 == "ConnectionNotFound"
        })
        .await;
    assert!(
        of(&waiting, "Ready").2.contains("create it"),
        "{:?}",
        of(&waiting, "Ready")
    );
    env.connection("default", json!({"suspend": true})).await;
    env.secret(
        "tcs",
        &json!({"username": servers::USERNAME, "password": servers::PASSWORD}),
    )
    .await;
    env.secret("database", &json!({"url": env.database_url})).await;
    let waiting = env
        .wait_for_sync("early", "reports the suspension", |s| {
            of(s, "Reconciling").1 == "ConnectionSuspended"
        })
        .await;
    assert_eq!(env.log_row(&waiting).await["status"], "pending");
    let connection = env
        .wait_for_connection("default", "is suspended", |c| {
            condition(&c.status.clone().unwrap_or_default().conditions, "Ready").1 == "Suspended"
        })
        .await;
    assert_eq!(
        connection.status.unwrap().observed_generation,
        connection.metadata.generation
    );
    env.change_connection("default", json!({"suspend": false})).await;
    assert_eq!(phase(&env.finished("early").await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_continues_the_same_attempt() {
    let mut env = TestEnvironment::new().await;
    env.tcs.set_rules(vec![servers::hanging_search()]);
    env.sync("long", json!({})).await;
    env.wait_for_sync("long", "fetches", |s| step(s).is_some()).await;
    env.kill_operator().await;
    env.tcs.clear_rules();
    env.start_operator();
    let done = env.finished("long").await;
    assert_eq!(
        (phase(&done), done.status.clone().unwrap().attempt),
        (Phase::Completed, 1)
    );
    assert_eq!(env.log_row(&done).await["fence"], 2);
    let events = env.events("long").await;
    assert_eq!(events.iter().filter(|e| *e == "Resumed").count(), 1, "{events:?}");
    expected_table::assert_table_matches_fleet(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_log_rows_are_closed_at_start_up() {
    let mut env = TestEnvironment::new().await;
    env.run("first", json!({})).await;
    env.stop_operator().await;
    // A row of this connection whose object is gone, and a legacy row.
    sqlx::query("insert into tarana_sync_logs (id, status, connection_uid, connection, namespace, name, created_at, started_at, heartbeat_at) select gen_random_uuid(), 'running', connection_uid, connection, namespace, 'gone', now() - interval '1 day', now() - interval '1 day', now() - interval '1 day' from tarana_sync_logs limit 1").execute(&env.db).await.unwrap();
    sqlx::query("insert into tarana_sync_logs (status, trigger_type, created_at, started_at) values ('running', 'cron', now() - interval '1 day', now() - interval '1 day')").execute(&env.db).await.unwrap();
    env.start_operator();
    wait_until("both rows are closed", || async {
        (env.number(
            "select count(*) from tarana_sync_logs where status = 'failed' and completed_at is not null",
        )
        .await
            == 2)
            .then_some(())
    })
    .await;
    let with_reason =
        "select count(*) from tarana_sync_logs where reason = 'Abandoned' and connection_uid is not null";
    assert_eq!(env.number(with_reason).await, 1);
    assert_eq!(phase(&env.run("next", json!({})).await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_status_write_is_rejected() {
    let env = TestEnvironment::new().await;
    let done = env.run("done", json!({})).await;
    let mut old = done.clone();
    old.metadata.resource_version = Some("1".into());
    let error = env
        .syncs()
        .replace_status("done", &kube::api::PostParams::default(), &old)
        .await
        .unwrap_err();
    assert!(matches!(error, kube::Error::Api(e) if e.code == 409));
    // A label of a user is still accepted.
    let label = Patch::Merge(json!({"metadata": {"labels": {"seen": "yes"}}}));
    env.syncs()
        .patch("done", &PatchParams::default(), &label)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_fetch_reports_its_progress() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.start_operator();
    env.secret("tcs", &servers::credentials()).await;
    env.secret("database", &json!({"url": env.database_url})).await;
    env.connection("default", json!({"api": {"pageSize": 10, "maxInFlight": 2}}))
        .await;
    env.ready().await;
    env.tcs.set_rules(vec![servers::slow_search(100)]);
    env.sync("long", json!({})).await;
    let seen = env
        .wait_for_sync("long", "shows progress", |s| {
            s.status.as_ref().is_some_and(|s| s.progress.is_some())
        })
        .await;
    let progress = seen.status.clone().unwrap().progress.unwrap();
    assert!(
        progress.current > 0 && progress.current < progress.total && progress.total <= 718,
        "{progress:?}"
    );
    assert_eq!(phase(&env.finished("long").await), Phase::Completed);
}
