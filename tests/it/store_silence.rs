//! Nobody waits without end: not the store for a server that says nothing any more, nor the table for an operator that
//! stands still in the middle of a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tarana_operator::fault::{Fault, Reason};
use tarana_operator::station::Change;
use tarana_operator::store::{Closing, Config, Outcome, Run, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::store_support::{Database, Way, apply, eventually, every_way, open, plan, row, run, way};

every_way! {
    every_call_ends_and_the_pool_recovers,
}
// What the server sees of a stalled operator is the same with TLS and without.
way!(
    stalled_direct,
    Direct,
    one_that_stops_reading_loses_the_table,
    one_that_stops_writing_loses_the_table
);
way!(
    stalled_least,
    Least,
    one_that_stops_reading_loses_the_table,
    one_that_stops_writing_loses_the_table
);

/// Carries bytes to the database, or keeps them: sockets stay open and nothing arrives.
struct Wire {
    place: String,
    silent: Arc<watch::Sender<bool>>,
    /// It falls silent by itself in the middle of so many bytes for the server.
    breaks_at: Arc<AtomicUsize>,
    _carriers: JoinSet<()>,
}

impl Wire {
    async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let silent = Arc::new(watch::Sender::new(false));
        let breaks_at = Arc::new(AtomicUsize::new(usize::MAX));
        let (server, state, limit) = (server.to_owned(), Arc::clone(&silent), Arc::clone(&breaks_at));
        let mut carriers = JoinSet::new();
        carriers.spawn(async move {
            let mut wires = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = TcpStream::connect(&server).await.unwrap().into_split();
                wires.spawn(carry(
                    near_read,
                    far_write,
                    Arc::clone(&state),
                    Arc::clone(&limit),
                ));
                let unlimited = Arc::new(AtomicUsize::new(usize::MAX));
                wires.spawn(carry(far_read, near_write, Arc::clone(&state), unlimited));
            }
        });
        Self {
            place,
            silent,
            breaks_at,
            _carriers: carriers,
        }
    }

    /// How a store connects through it.
    fn config(&self, config: Config) -> Config {
        let (front, rest) = config.url.split_once('@').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        Config {
            url: format!("{front}@{}/{database}", self.place),
            ..config
        }
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    silent: Arc<watch::Sender<bool>>,
    breaks_at: Arc<AtomicUsize>,
) {
    let mut bytes = vec![0; 64 * 1024];
    let mut state = silent.subscribe();
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let mut start = 0;
        if count >= breaks_at.load(Ordering::Relaxed) {
            start = count / 2;
            let _ = to.write_all(&bytes[..start]).await;
            silent.send_replace(true);
        }
        if state.wait_for(|silent| !silent).await.is_err()
            || to.write_all(&bytes[start..count]).await.is_err()
        {
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

/// A database with the station `S0`, a wire to it, and a store at its end.
async fn wired(way: Way) -> (Database, Wire, Store) {
    let database = Database::new(way).await;
    database.store().await;
    let config = database.config();
    let place = config.url.split_once('@').unwrap().1.split_once('/').unwrap().0;
    let wire = Wire::to(place).await;
    let store = Store::new(&wire.config(config.clone())).unwrap();
    (database, wire, store)
}

async fn every_call_ends_and_the_pool_recovers(way: Way) {
    let (database, wire, store) = wired(way).await;
    let name = database.place().1;
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

    let changes = plan(vec![Change::Insert(row("S1"))]);
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

/// The server has given the table and the log row to somebody else.
async fn given_up(database: &Database, run: &Run) -> bool {
    let other = Store::new(&database.config()).unwrap();
    eventually(Duration::from_secs(50), async || {
        let Ok(tarana_operator::store::Opened::Fence(fence)) = other.open(run, 1).await else {
            return false;
        };
        apply(&other, run, fence).await.give_up().await.is_ok()
    })
    .await
}

/// In the middle of COPY TO STDOUT the server can only see that nobody takes what it sends.
async fn one_that_stops_reading_loses_the_table(way: Way) {
    let (database, wire, store) = wired(way).await;
    // More than all the buffers on the way.
    database
        .sql(
            "INSERT INTO tarana_base_stations (serial_number, hostname, site_name, lat, lng)
              SELECT 'S' || n, repeat('x', 1000000), 's', 1, 2 FROM generate_series(1, 60) n",
        )
        .await;
    let run = run();
    let fence = open(&store, &run).await;
    let mut stalled = apply(&store, &run, fence).await;
    let reading = async {
        let rows = stalled.rows(|_| {
            wire.silent.send_replace(true);
        });
        // As one that is stopped does: it does not even notice how late it is.
        let _ = rows.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = reading => unreachable!("it is pending"),
        given_up = given_up(&database, &run) => assert!(given_up, "the table was never given back"),
    }
}

/// In the middle of a statement the server has read half of.
async fn one_that_stops_writing_loses_the_table(way: Way) {
    let (database, wire, store) = wired(way).await;
    let run = run();
    let fence = open(&store, &run).await;
    let stalled = apply(&store, &run, fence).await;
    let changes = plan((0..5000).map(|i| Change::Insert(row(&format!("N{i}")))).collect());
    wire.breaks_at.store(32 * 1024, Ordering::Relaxed);
    let writing = async {
        let _ = stalled.finish(&changes, false).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = writing => unreachable!("it is pending"),
        given_up = given_up(&database, &run) => assert!(given_up, "the table was never given back"),
    }
    assert!(*wire.silent.borrow(), "it never stalled");
    assert_eq!(
        database.value("SELECT count(*) FROM tarana_base_stations").await,
        "0"
    );
}
