//! A listener whose server can be away, or stand still.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{Error, Result};

/// Tells when nothing may go by.
#[derive(Clone, Debug)]
pub(super) struct Still(watch::Receiver<bool>);

impl Still {
    /// Returns when something may go by, at once in most cases.
    pub(super) async fn over(&mut self) {
        // Whoever could say so is gone: nothing stands still any more.
        let _ = self.0.wait_for(|still| !still).await;
    }
}

/// Ends, connections and all, when it is dropped.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) address: SocketAddr,
    away: watch::Sender<bool>,
    still: watch::Sender<bool>,
    task: JoinHandle<Infallible>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Serving {
    /// Listens on a free port and gives each connection to `converse`.
    pub(super) async fn start<F, Fut>(converse: F) -> Result<Self>
    where
        F: Fn(TcpStream, Still) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(Error::io("listen for a wire"))?;
        let address = listener.local_addr().map_err(Error::io("listen for a wire"))?;
        let (away, when_away) = watch::channel(false);
        let (still, when_still) = watch::channel(false);
        let converse = move |stream| converse(stream, Still(when_still.clone()));
        #[expect(
            clippy::disallowed_methods,
            reason = "the task belongs to the handle, which aborts it when dropped"
        )]
        let task = tokio::spawn(accept(listener, when_away, converse));
        Ok(Self {
            address,
            away,
            still,
            task,
        })
    }

    /// Cuts every connection and each that comes, until it is told otherwise.
    pub(super) fn set_away(&self, away: bool) {
        self.away.send_replace(away);
    }

    /// Keeps every connection open and lets nothing go by, until it is told otherwise.
    pub(super) fn set_still(&self, still: bool) {
        self.still.send_replace(still);
    }
}

async fn accept<F, Fut>(listener: TcpListener, mut away: watch::Receiver<bool>, talk: F) -> Infallible
where
    F: Fn(TcpStream) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if !*away.borrow() => { connections.spawn(talk(stream)); }
                Ok(_) => {}
                // Out of descriptors, most likely: they come back when connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Ok(()) = away.changed() => if *away.borrow_and_update() {
                connections.shutdown().await;
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
