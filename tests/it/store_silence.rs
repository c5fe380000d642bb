//! A server that says nothing any more: every call ends, and when it speaks again all goes on.

use std::sync::Arc;
use std::time::Duration;

use tarana_operator::fault::{Fault, Reason};
use tarana_operator::store::{Closing, Config, Outcome, Run, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::store_support::{Database, Way, apply, open, plan, row, run};

/// Carries bytes to the database, or keeps them: sockets stay open and nothing arrives.
struct Wire {
    place: String,
    silent: Arc<watch::Sender<bool>>,
    _carriers: JoinSet<()>,
}

impl Wire {
    async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let silent = Arc::new(watch::Sender::new(false));
        let (server, state) = (server.to_owned(), Arc::clone(&silent));
        let mut carriers = JoinSet::new();
        carriers.spawn(async move {
            let mut wires = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = TcpStream::connect(&server).await.unwrap().into_split();
                wires.spawn(carry(near_read, far_write, state.subscribe()));
                wires.spawn(carry(far_read, near_write, state.subscribe()));
            }
        });
        Self {
            place,
            silent,
            _carriers: carriers,
        }
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut silent: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if silent.wait_for(|silent| !silent).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

fn unreachable(what: &str, done: Result<(), Fault>) {
    let fault = done.expect_err(what);
    assert_eq!(fault.reason, Reason::DatabaseUnreachable, "{what}: {fault}");
    assert!(!fault.is_permanent());
}

async fn nothing_hangs(store: &Store, run: &Run, fence: i64, closing: &Closing) {
    unreachable("verify", store.verify().await);
    unreachable("migrate", store.migrate().await.map(drop));
    unreachable("register", store.register(run).await);
    unreachable("open", store.open(run, 1).await.map(drop));
    unreachable("heartbeat", store.heartbeat(run.id, fence, 1).await);
    unreachable("waiting", store.waiting(run.id, fence, "").await);
    unreachable("begin_apply", store.begin_apply(run.id, fence).await.map(drop));
    unreachable("close", store.close(run, closing).await.map(drop));
    unreachable("ended", store.ended(run.id).await.map(drop));
    unreachable("heard", store.heard(run.id).await.map(drop));
    unreachable(
        "last_success",
        store.last_success(run.connection_uid).await.map(drop),
    );
    unreachable("undelivered", store.undelivered(run.id).await.map(drop));
    unreachable("delivered", store.delivered(&[1]).await);
    let swept = store.sweep(run.connection_uid, &[], Duration::ZERO).await;
    unreachable("sweep", swept.map(drop));
}

#[tokio::test]
async fn every_call_ends_and_the_pool_recovers() {
    let database = Database::new(Way::Direct).await;
    database.store().await;
    let (server, name) = database.place();
    let wire = Wire::to(server).await;
    let store = Store::new(&Config {
        url: database.url.replace(server, &wire.place),
        ..database.direct()
    })
    .unwrap();
    store.verify().await.unwrap();
    let run = run();
    let fence = open(&store, &run).await;
    let mut reading = apply(&store, &run, fence).await;
    // Every place in the pool has an idle connection or one in the middle of a transaction.
    let (a, b, c) = tokio::join!(
        store.ended(run.id),
        store.heard(run.id),
        store.undelivered(run.id)
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok());

    wire.silent.send_replace(true);
    // From here on waiting takes no time: whatever has no bound hangs, whatever has one comes to it.
    tokio::time::pause();
    unreachable("rows", reading.rows(drop).await);
    unreachable("finish", reading.finish(&plan(vec![]), false).await.map(drop));
    let closing = Closing {
        outcome: Outcome::Cancelled,
        reason: Reason::Cancelled,
        message: String::new(),
        attempt: 1,
        fence: None,
    };
    for _ in 0..2 {
        nothing_hangs(&store, &run, fence, &closing).await;
    }
    tokio::time::resume();
    wire.silent.send_replace(false);

    let changes = plan(vec![tarana_operator::station::Change::Insert(row("S1"))]);
    let fence = open(&store, &run).await;
    apply(&store, &run, fence)
        .await
        .finish(&changes, false)
        .await
        .unwrap();
    wire.silent.send_replace(true);
    tokio::time::pause();
    store.close_pool().await;
    let left = format!("SELECT count(*) FROM tarana_base_stations /* {name} */");
    tokio::time::resume();
    assert_eq!(database.value(&left).await, "1");
}
