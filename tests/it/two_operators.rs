//! Two operator processes without leader election. One is paused (SIGSTOP) during a run and the other takes over. When the
//! first is resumed (SIGCONT), it is fenced: it changes nothing.

use serde_json::json;
use tarana_operator::api::sync::{Phase, TaranaSync};
use tarana_operator::fault::Reason;

use super::environment::{TestEnvironment, phase, wait_until};
use super::expected_table::assert_table_matches_fleet;
use super::hanging_runs::hang_in_fetch;
use super::operator_process::OperatorProcess;
use super::servers;

/// Blocks the last statement of Apply while `hold` has a row.
pub const HOLD: &str = "
    create table hold (x int);
    insert into hold values (1);
    create function wait_while_held() returns trigger language plpgsql as $$
    begin
        while exists (select from hold) loop perform pg_sleep(0.05); end loop;
        return new;
    end $$;
    create trigger hold before insert on tarana_sync_outbox for each row when (new.type <> 'tarana/sync.requested') execute function wait_while_held()";
pub const HELD: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and query like '%tarana_sync_outbox%' and wait_event = 'PgSleep'";
/// The last statement has ended, and COMMIT has not arrived.
const BEFORE_COMMIT: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and query like '%tarana_sync_outbox%' and state = 'idle in transaction'";
/// A process waits for a lock, here that of the log row.
const WAITING: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and application_name = 'tarana-operator' and wait_event_type = 'Lock'";

/// An environment with one operator that is ready.
async fn with_one_operator() -> (TestEnvironment, OperatorProcess) {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let first = OperatorProcess::start(&env, "first");
    env.create_secrets_and_connection().await;
    env.ready().await;
    (env, first)
}

/// The run completed in its first attempt, and the object shows the fence of its row.
pub async fn assert_completed(env: &TestEnvironment, run: &TaranaSync) {
    let status = run.status.clone().unwrap();
    assert_eq!(
        (status.phase, status.attempt),
        (Phase::Completed, 1),
        "{status:?}"
    );
    assert_eq!(status.last_failure, None);
    let row = env.log_row(run).await;
    assert_eq!(
        (&row["status"], &row["outcome"]),
        (&json!("completed"), &json!("completed"))
    );
    assert_eq!(
        row["fence"].as_i64(),
        status.fence,
        "the object has the fence of the log row"
    );
}

/// The run completed once, in its first attempt.
pub async fn assert_completed_once(env: &TestEnvironment, name: &str) {
    assert_completed(env, &env.finished(name).await).await;
    assert_table_matches_fleet(env).await;
    let events = "select count(*) from tarana_sync_outbox where run::text = (select id::text from tarana_sync_logs where name = 'run')";
    assert_eq!(env.number(events).await, 2);
    let changes = "select count(*) from tarana_sync_changes where applied";
    let rows = "select count(*) from tarana_base_stations";
    assert_eq!(
        env.number(changes).await,
        env.number(rows).await,
        "every row was inserted once"
    );
    assert_eq!(env.number("select count(*) from tarana_sync_logs").await, 1);
    let completed = env
        .events(name)
        .await
        .iter()
        .filter(|e| *e == "Completed")
        .count();
    // A process that sees the end before the finalizer is removed publishes the Event too.
    assert!((1..=2).contains(&completed), "{completed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_paused_in_fetch_is_fenced() {
    let (env, first) = with_one_operator().await;
    hang_in_fetch(&env, "run", json!({})).await;
    first.pause().await;
    env.tcs.clear_rules();
    let second = OperatorProcess::start(&env, "second");
    env.finished("run").await;
    let table = env.table().await;
    first.resume();
    first.wait_for_logged_reason(Reason::Superseded).await;
    assert_completed_once(&env, "run").await;
    assert_eq!(env.table().await, table);
    let log = second.log_text();
    assert!(!log.contains(&Reason::Superseded.to_string()), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_paused_before_commit_is_fenced() {
    let (env, first) = with_one_operator().await;
    sqlx::raw_sql(HOLD).execute(&env.db).await.unwrap();
    env.sync("run", json!({})).await;
    wait_until("the transaction is held", || async {
        (env.number(HELD).await == 1).then_some(())
    })
    .await;
    first.pause().await;
    // The second operator waits for the log row without charging an attempt, until the server ends the transaction of the
    // first.
    let _second = OperatorProcess::start(&env, "second");
    wait_until("the second operator waits for the log row", || async {
        (env.number(WAITING).await == 1).then_some(())
    })
    .await;
    sqlx::raw_sql("delete from hold").execute(&env.db).await.unwrap();
    wait_until("only COMMIT is missing", || async {
        (env.number(BEFORE_COMMIT).await == 1).then_some(())
    })
    .await;
    env.finished("run").await;
    let table = env.table().await;
    first.resume();
    first.wait_for_logged_reason(Reason::Superseded).await;
    assert_completed_once(&env, "run").await;
    assert_eq!(env.table().await, table);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_active_operators_disturb_each_other_at_most_once() {
    let (env, _first) = with_one_operator().await;
    let _second = OperatorProcess::start(&env, "second");
    wait_until("both operators have logged in", || async {
        (env.tcs.counters().logins >= 2).then_some(())
    })
    .await;
    env.sync("run", json!({})).await;
    assert_completed_once(&env, "run").await;
    let before = env.table().await;
    for name in ["again", "and-again"] {
        let run = env.run(name, json!({})).await;
        assert_eq!(phase(&run), Phase::Completed);
        let status = run.status.unwrap();
        assert_eq!((status.attempt, status.last_failure), (1, None));
        assert!(
            status.fence.unwrap() <= 4,
            "taken over repeatedly: {:?}",
            status.fence
        );
    }
    assert_eq!(env.table().await, before);
}
