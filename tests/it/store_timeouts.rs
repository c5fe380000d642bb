//! Timeouts: of the store for a server that does not respond, and of the server for an operator that stops in the middle
//! of a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tarana_operator::fault::{Fault, Reason};
use tarana_operator::station::Change;
use tarana_operator::store::{CloseRequest, Config, OpenResult, Outcome, RunInfo, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::environment::wait_until;
use crate::store_support::{
    AccessMode, Database, apply, open, plan, row, run, sweep, tests_with_every_mode, tests_with_mode,
};

tests_with_every_mode! {
    every_call_times_out_and_the_pool_recovers,
}
// A stalled operator looks the same to the server with and without TLS.
tests_with_mode!(
    stalled_direct,
    Direct,
    an_operator_that_stops_reading_loses_the_table_lock,
    an_operator_that_stops_writing_loses_the_table_lock
);
tests_with_mode!(
    stalled_least_privilege,
    LeastPrivilege,
    an_operator_that_stops_reading_loses_the_table_lock,
    an_operator_that_stops_writing_loses_the_table_lock
);

/// A proxy to the database that can stop forwarding while its sockets stay open.
struct StallingProxy {
    address: String,
    silent: Arc<watch::Sender<bool>>,
    /// Stalls in the middle of a chunk to the server of at least this many bytes.
    stall_at: Arc<AtomicUsize>,
    _forwarders: JoinSet<()>,
}

impl StallingProxy {
    async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let silent = Arc::new(watch::Sender::new(false));
        let stall_at = Arc::new(AtomicUsize::new(usize::MAX));
        let (server, state, limit) = (server.to_owned(), Arc::clone(&silent), Arc::clone(&stall_at));
        let mut forwarders = JoinSet::new();
        forwarders.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = TcpStream::connect(&server).await.unwrap().into_split();
                connections.spawn(forward(
                    near_read,
                    far_write,
                    Arc::clone(&state),
                    Arc::clone(&limit),
                ));
                let unlimited = Arc::new(AtomicUsize::new(usize::MAX));
                connections.spawn(forward(far_read, near_write, Arc::clone(&state), unlimited));
            }
        });
        Self {
            address,
            silent,
            stall_at,
            _forwarders: forwarders,
        }
    }

    /// The configuration of a store through this proxy.
    fn config(&self, config: Config) -> Config {
        let (front, rest) = config.url.split_once('@').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        Config {
            url: format!("{front}@{}/{database}", self.address),
            ..config
        }
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    silent: Arc<watch::Sender<bool>>,
    stall_at: Arc<AtomicUsize>,
) {
    let mut bytes = vec![0; 64 * 1024];
    let mut state = silent.subscribe();
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let mut start = 0;
        if count >= stall_at.load(Ordering::Relaxed) {
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

fn assert_unreachable(what: &str, result: Result<(), Fault>) {
    let fault = result.expect_err(what);
    assert_eq!(fault.reason, Reason::DatabaseUnreachable, "{what}: {fault}");
    assert!(!fault.is_permanent());
}

async fn assert_all_time_out(store: &Store, run: &RunInfo, fence: i64, closing: &CloseRequest) {
    assert_unreachable("verify", store.verify().await);
    assert_unreachable("migrate", store.migrate().await.map(drop));
    assert_unreachable("register", store.register(run).await);
    assert_unreachable("open", store.open(run, 1, |_| Vec::new()).await.map(drop));
    assert_unreachable("heartbeat", store.heartbeat(run.id, fence, 1, &[]).await);
    assert_unreachable(
        "record_failure",
        store.record_failure(run.id, fence, "", &[]).await,
    );
    assert_unreachable(
        "begin_apply",
        store.begin_apply(run.id, fence, &|_| ()).await.map(drop),
    );
    assert_unreachable("close", store.close(run, closing).await.map(drop));
    assert_unreachable("closed_row", store.closed_row(run.id).await.map(drop));
    assert_unreachable(
        "time_since_heartbeat",
        store.time_since_heartbeat(run.id).await.map(drop),
    );
    assert_unreachable("summary", store.summary(run.connection_uid).await.map(drop));
    assert_unreachable("now", store.now().await.map(drop));
    assert_unreachable("event_delivered", store.event_delivered(1).await);
    let swept = sweep(store, run.connection_uid, &[], Duration::ZERO).await;
    assert_unreachable("sweep", swept.map(drop));
}

/// A database, a proxy to it, and a store that uses the proxy.
async fn with_proxy(mode: AccessMode) -> (Database, StallingProxy, Store) {
    let database = Database::new(mode).await;
    database.store().await;
    let config = database.config();
    let address = config.url.split_once('@').unwrap().1.split_once('/').unwrap().0;
    let proxy = StallingProxy::to(address).await;
    let store = Store::new(&proxy.config(config.clone())).unwrap();
    (database, proxy, store)
}

async fn every_call_times_out_and_the_pool_recovers(mode: AccessMode) {
    let (database, proxy, store) = with_proxy(mode).await;
    let name = database.address_and_name().1;
    store.verify().await.unwrap();
    let run = run();
    let fence = open(&store, &run).await;
    let mut reading = apply(&store, &run, fence).await;
    // Every slot of the pool has a connection, idle or in a transaction.
    let (a, b, c) = tokio::join!(
        store.closed_row(run.id),
        store.time_since_heartbeat(run.id),
        store.now()
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok());

    proxy.silent.send_replace(true);
    // With paused time, timeouts expire at once, and a call without a timeout hangs.
    tokio::time::pause();
    assert_unreachable("rows", reading.read_rows(drop).await);
    assert_unreachable(
        "finish",
        reading.finish(&plan(vec![]), false, &[]).await.map(drop),
    );
    let closing = CloseRequest {
        outcome: Outcome::Cancelled,
        reason: Reason::Cancelled,
        message: String::new(),
        attempt: 1,
        fence: None,
        spans: None,
    };
    for _ in 0..2 {
        assert_all_time_out(&store, &run, fence, &closing).await;
    }
    tokio::time::resume();
    proxy.silent.send_replace(false);

    let changes = plan(vec![Change::Insert(row("S1"))]);
    let fence = open(&store, &run).await;
    apply(&store, &run, fence)
        .await
        .finish(&changes, false, &[])
        .await
        .unwrap();
    proxy.silent.send_replace(true);
    tokio::time::pause();
    store.close_pool().await;
    let count = format!("SELECT count(*) FROM tarana_base_stations /* {name} */");
    tokio::time::resume();
    assert_eq!(database.value(&count).await, "1");
}

/// Waits until another process gets the table and the log row.
async fn wait_for_takeover(database: &Database, run: &RunInfo) {
    let other = Store::new(&database.config()).unwrap();
    wait_until("another process gets the table", || async {
        let OpenResult::Opened(fence) = other.open(run, 1, |_| Vec::new()).await.ok()? else {
            return None;
        };
        apply(&other, run, fence).await.abort().await.ok()
    })
    .await;
}

/// During COPY TO STDOUT the server can only see that the client does not receive.
async fn an_operator_that_stops_reading_loses_the_table_lock(mode: AccessMode) {
    let (database, proxy, store) = with_proxy(mode).await;
    // More than all buffers on the way.
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
        let rows = stalled.read_rows(|_| {
            proxy.silent.send_replace(true);
        });
        // A stopped process does not notice its own timeouts.
        let _ = rows.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = reading => unreachable!("it is pending"),
        () = wait_for_takeover(&database, &run) => {}
    }
}

/// The server has received half of a statement.
async fn an_operator_that_stops_writing_loses_the_table_lock(mode: AccessMode) {
    let (database, proxy, store) = with_proxy(mode).await;
    let run = run();
    let fence = open(&store, &run).await;
    let stalled = apply(&store, &run, fence).await;
    let changes = plan((0..5000).map(|i| Change::Insert(row(&format!("N{i}")))).collect());
    proxy.stall_at.store(32 * 1024, Ordering::Relaxed);
    let writing = async {
        let _ = stalled.finish(&changes, false, &[]).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = writing => unreachable!("it is pending"),
        () = wait_for_takeover(&database, &run) => {}
    }
    assert!(*proxy.silent.borrow(), "the proxy never stalled");
    assert_eq!(
        database.value("SELECT count(*) FROM tarana_base_stations").await,
        "0"
    );
}
