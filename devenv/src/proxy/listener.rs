//! The listener of a proxy, which can be unreachable or frozen.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{Error, Result};

/// A connection's view of whether the proxy is frozen.
#[derive(Clone, Debug)]
pub(super) struct FreezeWatch(watch::Receiver<bool>);

impl FreezeWatch {
    /// Waits while the proxy is frozen.
    pub(super) async fn wait_while_frozen(&mut self) {
        // An error means that the proxy is gone and nothing is frozen any more.
        let _ = self.0.wait_for(|frozen| !frozen).await;
    }
}

/// A listener with its connections. Dropping it closes all of them.
#[derive(Debug)]
pub(super) struct ProxyListener {
    pub(super) address: SocketAddr,
    unreachable: watch::Sender<bool>,
    frozen: watch::Sender<bool>,
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
        let (frozen, frozen_watch) = watch::channel(false);
        let handle = move |stream| handle(stream, FreezeWatch(frozen_watch.clone()));
        #[expect(
            clippy::disallowed_methods,
            reason = "the task belongs to the handle, which aborts it when dropped"
        )]
        let task = tokio::spawn(accept(listener, unreachable_watch, handle));
        Ok(Self {
            address,
            unreachable,
            frozen,
            task,
        })
    }

    /// While set, open connections are dropped and new ones closed at once.
    pub(super) fn set_unreachable(&self, unreachable: bool) {
        self.unreachable.send_replace(unreachable);
    }

    /// While set, connections stay open and nothing is forwarded.
    pub(super) fn set_frozen(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
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
