//! An application that uses most of a server, and watches what the operator leaves it.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::crowd::{Crowd, count_sessions};

/// Pause between two samples.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(25);

/// A running application.
pub struct Application {
    stop: watch::Sender<bool>,
    sampling: JoinSet<i64>,
    _held: Vec<PgConnection>,
}

impl Application {
    /// Keeps so many sessions. Opens another one again and again, which must never be refused, and counts those of the operator.
    pub async fn start(crowd: &Crowd, sessions: u32) -> Self {
        let url = crowd.application_url();
        let mut held = Vec::new();
        for _ in 0..sessions {
            held.push(PgConnection::connect(&url).await.unwrap());
        }
        // Of the superuser, for whom the server reserves some.
        let mut admin = PgConnection::connect(&crowd.admin_url).await.unwrap();
        let (stop, mut stopped) = watch::channel(false);
        let mut sampling = JoinSet::new();
        sampling.spawn(async move {
            let mut most = 0;
            while !*stopped.borrow_and_update() {
                most = most.max(count_sessions(&mut admin).await);
                let mut own = PgConnection::connect(&url)
                    .await
                    .expect("the application gets a session");
                own.ping().await.unwrap();
                own.close().await.unwrap();
                tokio::time::sleep(SAMPLE_INTERVAL).await;
            }
            most
        });
        Self {
            stop,
            sampling,
            _held: held,
        }
    }

    /// The most sessions that the operator had.
    pub async fn stop(mut self) -> i64 {
        self.stop.send_replace(true);
        self.sampling.join_next().await.unwrap().unwrap()
    }
}
