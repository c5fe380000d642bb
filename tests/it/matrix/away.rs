//! One of the three servers is away for half a minute, or stands still for longer than anybody waits: while nothing
//! happens, while a run reads, while it writes. The operator stays, says what is wrong, and goes on by itself.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use sqlx::PgConnection;
use tarana_operator::api::sync::{Phase, Step};

use crate::program::Program;
use crate::servers;
use crate::truth::table_is_true;
use crate::wired::Wired;
use crate::world::{condition, phase, step, until};

/// Connections are tried every two seconds, so that it is seen soon what works and what does not.
const VARIABLES: [(&str, &str); 2] = [
    ("TARANA_KUBERNETES_TIMEOUT_SECONDS", "2"),
    ("TARANA_RESYNC_SECONDS", "2"),
];
const AWAY: Duration = Duration::from_secs(30);
/// More than the operator waits for the database, which it waits for longest.
const STILL: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug)]
enum Server {
    Kubernetes,
    Database,
    Tcs,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Away,
    Still,
}

#[derive(Clone, Copy, Debug)]
enum While {
    Idle,
    Fetching,
    Applying,
}

impl Trouble {
    fn set(self, server: Server, wired: &Wired, on: bool) {
        match (self, server) {
            (Self::Away, Server::Kubernetes) => wired.api.set_away(on),
            (Self::Away, Server::Database) => wired.db.set_away(on),
            (Self::Away, Server::Tcs) => wired.tcs.set_away(on),
            (Self::Still, Server::Kubernetes) => wired.api.set_still(on),
            (Self::Still, Server::Database) => wired.db.set_still(on),
            (Self::Still, Server::Tcs) => wired.tcs.set_still(on),
        }
    }

    fn lasts(self) -> Duration {
        match self {
            Self::Away => AWAY,
            Self::Still => STILL,
        }
    }
}

/// One world, one trouble.
async fn case(server: Server, trouble: Trouble, meanwhile: While) {
    let wired = Wired::new(servers::tcs()).await;
    let mut operator = wired.operator("one", &VARIABLES);
    wired.connect(json!({"api": {"requestTimeoutSeconds": 5}})).await;
    wired.w.ready().await;
    let lock = begin(&wired, meanwhile).await;
    let said = operator.said().len();
    trouble.set(server, &wired, true);
    let lasted = tokio::time::sleep(trouble.lasts());
    if matches!(meanwhile, While::Idle) {
        wired.w.sync("run", json!({})).await;
    }
    // It is told while it lasts: in the connection's condition, or, where that cannot be written, in the log.
    tokio::join!(lasted, tells(&wired, server, &operator, said));
    assert!(operator.runs(), "{server:?} {trouble:?}: {}", operator.said());
    wired.w.tcs.clear();
    wired.w.tcs.release();
    if let Some(lock) = lock {
        drop(lock);
    }
    trouble.set(server, &wired, false);
    goes_on(&wired).await;
    assert!(operator.runs(), "{server:?} {trouble:?}: {}", operator.said());
}

/// Brings a run to where it is to meet the trouble. Where that is Apply, it waits for a lock that is held here.
async fn begin(wired: &Wired, meanwhile: While) -> Option<PgConnection> {
    let w = &wired.w;
    match meanwhile {
        While::Idle => None,
        While::Fetching => {
            w.tcs.script(vec![servers::hanging_search()]);
            w.sync("run", json!({})).await;
            w.tcs.until_hanging(1).await;
            None
        }
        While::Applying => {
            let holder = w.hold_table().await;
            w.sync("run", json!({})).await;
            w.sync_when("run", "applies", |s| step(s) == Some(Step::Apply))
                .await;
            Some(holder)
        }
    }
}

async fn tells(wired: &Wired, server: Server, operator: &Program, said: usize) {
    let reason = match server {
        Server::Kubernetes => {
            until("the operator says what is wrong", || async {
                operator.said()[said..].contains("WARN").then_some(())
            })
            .await;
            return;
        }
        Server::Database => "DatabaseUnreachable",
        Server::Tcs => "ApiUnreachable",
    };
    let told = format!("is not ready: {reason}");
    wired
        .w
        .connection_when("default", &told, |c| {
            let (ready, why, _) = condition(&c.status.clone().unwrap_or_default().conditions, "Ready");
            (ready.as_str(), why.as_str()) == ("False", reason)
        })
        .await;
}

/// Nobody helps: the connection works again, and the run does what it was asked for, once.
async fn goes_on(wired: &Wired) {
    let w = &wired.w;
    w.ready().await;
    let run = w.finished("run").await;
    assert_eq!(phase(&run), Phase::Completed, "{:?}", run.status);
    table_is_true(w).await;
    for (rows, count) in [
        (
            "select count(*) from tarana_sync_logs where status = 'completed'",
            1,
        ),
        ("select count(*) from tarana_sync_logs", 1),
        ("select count(*) from tarana_sync_outbox", 1),
    ] {
        assert_eq!(w.number(rows).await, count, "{rows}");
    }
}

async fn every_server_and_moment(trouble: Trouble) {
    let cases = [Server::Kubernetes, Server::Database, Server::Tcs]
        .into_iter()
        .flat_map(|server| [While::Idle, While::Fetching, While::Applying].map(move |m| (server, m)));
    join_all(cases.map(|(server, meanwhile)| case(server, trouble, meanwhile))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_minute_and_back() {
    every_server_and_moment(Trouble::Away).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standing_still_and_going_on() {
    every_server_and_moment(Trouble::Still).await;
}
