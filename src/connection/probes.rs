//! Limits the probes of this process, and spreads those that are repeated.
//!
//! A probe waits for a turn: few are in progress at once, and only some of them on the same server. A probe whose server does not
//! answer soon gives its turn back and goes on, so that dead servers delay the probes of others by seconds at most. What goes on is
//! bounded by the sessions of its database and by the timeouts of its vendor.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Most probes that have a turn.
const TURNS: usize = 8;
/// The same for one server.
const TURNS_PER_SERVER: usize = 4;
/// How long a probe keeps its turn. A server that answers needs less.
const TURN: Duration = Duration::from_secs(2);
/// The shortest interval between two probes, as a part of the configured one.
const SHORTEST: f64 = 0.8;

/// The turns of this process. Clones share them.
#[derive(Clone, Debug)]
pub struct ProbeLimiter {
    all: Arc<Semaphore>,
    servers: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

impl Default for ProbeLimiter {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(TURNS)),
            servers: Arc::default(),
        }
    }
}

impl ProbeLimiter {
    /// Runs a probe of this server when it has a turn.
    pub(super) async fn run<T>(&self, server: &str, mut probe: impl Future<Output = T> + Unpin) -> T {
        let turns = self.of_server(server);
        // First that of the server: who waits for a server that is slow takes no turn from others. Neither is ever closed.
        let own = turns.acquire().await;
        let shared = self.all.acquire().await;
        if let Ok(result) = timeout(TURN, &mut probe).await {
            return result;
        }
        drop((own, shared));
        probe.await
    }

    fn of_server(&self, server: &str) -> Arc<Semaphore> {
        // No code panics in the middle of a change, so the map behind a poisoned lock is valid.
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|_, turns| Arc::strong_count(turns) > 1);
        let turns = servers.entry(server.to_owned());
        Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(TURNS_PER_SERVER))))
    }
}

/// The interval between two probes of an object, the same each time. Connections that were probed together at the start of the
/// process move apart.
pub(super) fn interval_of(uid: &str, configured: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    let part = f64::from(u16::try_from(hasher.finish() >> 48).unwrap_or_default()) / f64::from(u16::MAX);
    configured.mul_f64(SHORTEST + (1.0 - SHORTEST) * part)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use futures::FutureExt as _;
    use futures::future::join_all;
    use tokio::time::{Instant, sleep, timeout};

    use super::{ProbeLimiter, TURN, TURNS, TURNS_PER_SERVER, interval_of};

    #[tokio::test(start_paused = true)]
    async fn few_probes_are_in_progress_at_once() {
        let limiter = ProbeLimiter::default();
        let start = Instant::now();
        let probe = |server: String| {
            let limiter = limiter.clone();
            async move {
                limiter
                    .run(&server, Box::pin(async { sleep(Duration::from_secs(1)).await }))
                    .await;
            }
        };
        join_all((0..80).map(|n| probe(format!("server {}", n % 10)))).await;
        let rounds = 80 / TURNS;
        assert!(start.elapsed() >= Duration::from_secs(rounds as u64));
        let start = Instant::now();
        join_all((0..8).map(|_| probe("one".into()))).await;
        assert!(start.elapsed() >= Duration::from_secs((8 / TURNS_PER_SERVER) as u64));
    }

    #[tokio::test(start_paused = true)]
    async fn servers_that_do_not_answer_keep_no_turn() {
        let limiter = ProbeLimiter::default();
        let mut silent = join_all((0..100).map(|n| {
            let limiter = limiter.clone();
            async move { limiter.run(&format!("silent {}", n % 2), pending::<()>()).await }
        }));
        assert!((&mut silent).now_or_never().is_none());
        let start = Instant::now();
        let other = timeout(TURN * 2, limiter.run("other", ready(())));
        tokio::select! {
            result = other => result.unwrap(),
            _ = &mut silent => unreachable!("it is pending"),
        }
        assert!(start.elapsed() <= TURN * 2);
        drop(silent);
        assert_eq!(limiter.all.available_permits(), TURNS);
    }

    #[test]
    fn intervals_differ_and_are_never_longer_than_configured() {
        let configured = Duration::from_mins(10);
        let mut intervals: Vec<_> = (0..200)
            .map(|n| interval_of(&format!("uid {n}"), configured))
            .collect();
        assert_eq!(intervals[7], interval_of("uid 7", configured));
        intervals.sort();
        assert!(intervals[0] >= Duration::from_mins(8) && intervals[199] <= configured);
        let in_one_minute = |at: &Duration| {
            intervals
                .iter()
                .filter(|i| **i >= *at && **i < *at + Duration::from_mins(1))
                .count()
        };
        assert!(
            intervals.iter().all(|at| in_one_minute(at) <= 130),
            "{intervals:?}"
        );
        intervals.dedup();
        assert!(intervals.len() > 190);
    }
}
