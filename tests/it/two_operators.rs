//! Two operators at once, both the real program with leader election off. One is stopped (SIGSTOP) in the middle of a run,
//! the other takes over; the late one (SIGCONT) is fenced: it changes nothing, and says so.

use serde_json::json;
use tarana_operator::api::sync::{Phase, Step};

use super::program::Program;
use super::servers;
use super::truth::table_is_true;
use super::world::{World, phase, step, until};

/// Holds the transaction of Apply at its last statement for as long as a row is in `hold`.
const HOLD: &str = "
    create table hold (x int);
    insert into hold values (1);
    create function wait_while_held() returns trigger language plpgsql as $$
    begin
        while exists (select from hold) loop perform pg_sleep(0.05); end loop;
        return new;
    end $$;
    create trigger hold before insert on tarana_sync_outbox for each row execute function wait_while_held()";
const HELD: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and query like '%tarana_sync_outbox%' and wait_event = 'PgSleep'";
/// The last statement was done, and COMMIT has not come.
const BEFORE_COMMIT: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and query like '%tarana_sync_outbox%' and state = 'idle in transaction'";
const FENCED: &str = "fenced: another process has taken this run over";

/// A world whose one operator is ready.
async fn with_one() -> (World, Program) {
    let w = World::bare(servers::tcs()).await;
    let first = Program::start(&w, "first").await;
    w.secrets_and_connection().await;
    w.ready().await;
    (w, first)
}

/// The end is that of a calm day, told once.
async fn ended_once(w: &World, name: &str) {
    let run = w.finished(name).await;
    let status = run.status.clone().unwrap();
    assert_eq!(
        (status.phase, status.attempt),
        (Phase::Completed, 1),
        "{status:?}"
    );
    assert_eq!(status.last_failure, None);
    table_is_true(w).await;
    let row = w.log_row(&run).await;
    assert_eq!(
        (&row["status"], &row["outcome"]),
        (&json!("completed"), &json!("completed"))
    );
    assert_eq!(
        row["fence"].as_i64(),
        status.fence,
        "the object shows who held it"
    );
    let told = "select count(*) from tarana_sync_outbox where run::text = (select id::text from tarana_sync_logs where name = 'run')";
    assert_eq!(w.number(told).await, 1);
    let changes = "select count(*) from tarana_sync_changes where applied";
    let rows = "select count(*) from tarana_base_stations";
    assert_eq!(
        w.number(changes).await,
        w.number(rows).await,
        "every row was inserted once"
    );
    assert_eq!(w.number("select count(*) from tarana_sync_logs").await, 1);
    let completed = w.events(name).await.iter().filter(|e| *e == "Completed").count();
    // Told at least once: whoever sees the end before the finalizer has gone tells it as well.
    assert!((1..=2).contains(&completed), "{completed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_stopped_in_fetch_is_fenced() {
    let (w, first) = with_one().await;
    w.tcs.script(vec![servers::hanging_search()]);
    w.sync("run", json!({})).await;
    w.sync_when("run", "fetches", |s| step(s) == Some(Step::Fetch))
        .await;
    w.tcs.until_hanging(1).await;
    first.stop().await;
    w.tcs.clear();
    let second = Program::start(&w, "second").await;
    w.finished("run").await;
    let table = w.table().await;
    first.go_on();
    first.says(FENCED).await;
    ended_once(&w, "run").await;
    assert_eq!(w.table().await, table);
    assert!(!second.said().contains(FENCED), "{}", second.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_stopped_before_its_commit_is_fenced() {
    let (w, first) = with_one().await;
    sqlx::raw_sql(HOLD).execute(&w.db).await.unwrap();
    w.sync("run", json!({})).await;
    until("the transaction is held", || async {
        (w.number(HELD).await == 1).then_some(())
    })
    .await;
    first.stop().await;
    sqlx::raw_sql("delete from hold").execute(&w.db).await.unwrap();
    until("only COMMIT is missing", || async {
        (w.number(BEFORE_COMMIT).await == 1).then_some(())
    })
    .await;
    // It waits for the log row, charges nothing for that, and goes on when the server has given the other's transaction up.
    let second = Program::start(&w, "second").await;
    w.finished("run").await;
    let table = w.table().await;
    first.go_on();
    first.says(FENCED).await;
    ended_once(&w, "run").await;
    assert_eq!(w.table().await, table);
    assert!(
        second.said().contains("is left to whoever holds its log row"),
        "{}",
        second.said()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_are_both_at_it_disturb_each_other_once_at_most() {
    let (w, _first) = with_one().await;
    let second = Program::start(&w, "second").await;
    second.says("verified").await;
    w.sync("run", json!({})).await;
    ended_once(&w, "run").await;
    let before = w.table().await;
    for name in ["again", "and-again"] {
        let run = w.run(name, json!({})).await;
        assert_eq!(phase(&run), Phase::Completed);
        let status = run.status.unwrap();
        assert_eq!((status.attempt, status.last_failure), (1, None));
        assert!(status.fence.unwrap() <= 4, "taken to and fro: {:?}", status.fence);
    }
    assert_eq!(w.table().await, before);
}
