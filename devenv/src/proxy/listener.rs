//! The listener of a proxy, which can be unreachable or frozen.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{Error, Result};

/// Which connections are frozen.
#[derive(Clone, Copy, Debug, Default)]
struct Freeze {
    all: bool,
    /// Connections that were accepted so far.
    accepted: u64,
    /// The requests and the responses of the first so many connections are frozen.
    requests: u64,
    responses: u64,
}

/// A connection's view of whether it is frozen.
#[derive(Clone, Debug)]
pub(super) struct FreezeWatch {
    state: watch::Receiver<Freeze>,
    /// How many connections were accepted before this one.
    number: u64,
}

impl FreezeWatch {
    /// Waits while requests are frozen.
    pub(super) async fn before_request(&mut self) {
        let number = self.number;
        self.wait_until(|freeze| number >= freeze.requests).await;
    }

    /// Waits while responses are frozen.
    pub(super) async fn before_response(&mut self) {
        let number = self.number;
        self.wait_until(|freeze| number >= freeze.responses).await;
    }

    async fn wait_until(&mut self, flows: impl Fn(&Freeze) -> bool) {
        // An error means that the proxy is gone and nothing is frozen any more.
        let _ = self.state.wait_for(|freeze| !freeze.all && flows(freeze)).await;
    }
}

/// A listener with its connections. Dropping it closes all of them.
#[derive(Debug)]
pub(super) struct ProxyListener {
    pub(super) address: SocketAddr,
    unreachable: watch::Sender<bool>,
    freeze: watch::Sender<Freeze>,
    task: JoinHandle<Infallible>,
}

impl Drop for ProxyListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ProxyListener {
    /// Listens on a free port and passes each connection to `handle`.
    pub(super) async fn start<F, Fut>(handle: F) -> Result<Self>
    where
        F: Fn(TcpStream, FreezeWatch) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(Error::io("listen for a proxy"))?;
        let address = listener.local_addr().map_err(Error::io("listen for a proxy"))?;
        let (unreachable, unreachable_watch) = watch::channel(false);
        let freeze = watch::Sender::new(Freeze::default());
        let counter = freeze.clone();
        let handle = move |stream| {
            let mut number = 0;
            counter.send_modify(|freeze| {
                number = freeze.accepted;
                freeze.accepted += 1;
            });
            let state = counter.subscribe();
            handle(stream, FreezeWatch { state, number })
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the task belongs to the handle, which aborts it when dropped"
        )]
        let task = tokio::spawn(accept(listener, unreachable_watch, handle));
        Ok(Self {
            address,
            unreachable,
            freeze,
            task,
        })
    }

    /// While set, open connections are dropped and new ones closed at once.
    pub(super) fn set_unreachable(&self, unreachable: bool) {
        self.unreachable.send_replace(unreachable);
    }

    /// While set, connections stay open and nothing is forwarded.
    pub(super) fn set_frozen(&self, frozen: bool) {
        self.freeze.send_modify(|freeze| freeze.all = frozen);
    }

    /// Freezes the connections that are open now, for ever: they stay open and no response is forwarded, and no request either if
    /// `requests_too`. New connections work.
    pub(super) fn freeze_open_connections(&self, requests_too: bool) {
        self.freeze.send_modify(|freeze| {
            freeze.responses = freeze.accepted;
            if requests_too {
                freeze.requests = freeze.accepted;
            }
        });
    }
}

async fn accept<F, Fut>(
    listener: TcpListener,
    mut unreachable: watch::Receiver<bool>,
    handle: F,
) -> Infallible
where
    F: Fn(TcpStream) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if !*unreachable.borrow() => { connections.spawn(handle(stream)); }
                Ok(_) => {}
                // Probably out of file descriptors: retry when connections have closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Ok(()) = unreachable.changed() => if *unreachable.borrow_and_update() {
                connections.shutdown().await;
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
