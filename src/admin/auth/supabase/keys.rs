//! The issuer's public keys: fetched on first use, again when a token names an unknown one, and from time to time, so that a revoked key
//! disappears.
//!
//! One task fetches, and requests wait for it. However many requests come, or end early, the issuer is asked once at a time and not again
//! before a pause.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::fetch::{FetchError, KeySetFetcher};
use super::jwks::{KeySet, VerificationKey};

/// How often keys are fetched, and how long they are used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intervals {
    /// Fetched keys are fetched again after this time.
    refresh: Duration,
    /// Minimum pause between two requests to the issuer.
    pause: Duration,
    /// How long keys are used while the issuer does not answer.
    max_age: Duration,
    /// How long a request waits for keys. A fetch takes less.
    max_wait: Duration,
}

const INTERVALS: Intervals = Intervals {
    refresh: Duration::from_mins(5),
    pause: Duration::from_secs(10),
    max_age: Duration::from_hours(1),
    max_wait: Duration::from_secs(8),
};

/// Why a key is not available.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyError {
    /// The issuer has no usable key of this id.
    Unknown,
    /// Whether there is such a key is not known. The message is for users.
    Unavailable(String),
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct KeyCache {
    fetcher: KeySetFetcher,
    intervals: Intervals,
    state: watch::Sender<State>,
    /// Requests ask for a fetch here.
    wanted: Notify,
}

#[derive(Debug, Default)]
struct State {
    keys: KeySet,
    /// When the keys were fetched.
    fetched_at: Option<Instant>,
    /// Why the last fetch failed.
    failure: Option<FetchError>,
    /// Number of fetches.
    fetches: u64,
    /// No fetch begins before this time.
    paused_until: Option<Instant>,
}

impl KeyCache {
    /// An empty cache.
    pub fn new(fetcher: KeySetFetcher) -> Self {
        Self {
            fetcher,
            intervals: INTERVALS,
            state: watch::Sender::default(),
            wanted: Notify::new(),
        }
    }

    /// The key of this id. Waits for a fetch if the id is unknown and a fetch is possible now.
    pub async fn find(&self, id: &str) -> Result<VerificationKey, KeyError> {
        let mut updates = self.state.subscribe();
        let seen = {
            let state = updates.borrow_and_update();
            if let Some(key) = self.current_key(&state, id) {
                return Ok(key);
            }
            // Also during a pause: the fetch then follows it, and the next request succeeds.
            self.wanted.notify_one();
            if state.paused_until.is_some_and(|until| Instant::now() < until) {
                return Err(self.error(&state));
            }
            state.fetches
        };
        let fetched = updates.wait_for(|state| state.fetches != seen);
        match timeout(self.intervals.max_wait, fetched).await {
            Ok(Ok(state)) => self.current_key(&state, id).ok_or_else(|| self.error(&state)),
            _ => Err(self.unavailable(FetchError::Timeout)),
        }
    }

    /// Fetches when a request needs it, and from time to time afterwards. Never ends.
    pub async fn run(&self) {
        self.wanted.notified().await;
        loop {
            let fetched = self.fetcher.fetch().await;
            if let Err(error) = &fetched {
                tracing::warn!(%error, url = %self.fetcher.url(), "the keys of Supabase cannot be fetched");
            }
            self.state.send_modify(|state| self.update(state, fetched));
            sleep(self.intervals.pause).await;
            let refresh_at = Instant::now() + self.intervals.refresh;
            tokio::select! {
                () = self.wanted.notified() => {}
                () = sleep_until(refresh_at) => {}
            }
        }
    }

    fn update(&self, state: &mut State, fetched: Result<KeySet, FetchError>) {
        let now = Instant::now();
        state.fetches += 1;
        state.paused_until = Some(now + self.intervals.pause);
        state.failure = fetched.as_ref().err().copied();
        if let Ok(keys) = fetched {
            state.keys = keys;
            state.fetched_at = Some(now);
        }
    }

    fn current_key(&self, state: &State, id: &str) -> Option<VerificationKey> {
        let is_current = state
            .fetched_at
            .is_some_and(|at| at.elapsed() < self.intervals.max_age);
        state.keys.get(id).filter(|_| is_current).cloned()
    }

    /// Why a key is missing after the last fetch.
    fn error(&self, state: &State) -> KeyError {
        match state.failure {
            Some(failure) => self.unavailable(failure),
            None if state.keys.is_empty() => KeyError::Unavailable(format!(
                "{} has no ES256 or RS256 key: create signing keys in Supabase, or set --supabase-jwt-secret-file for a legacy project",
                self.fetcher.url()
            )),
            None => KeyError::Unknown,
        }
    }

    fn unavailable(&self, failure: FetchError) -> KeyError {
        KeyError::Unavailable(format!(
            "the keys of Supabase cannot be fetched from {}: {failure}",
            self.fetcher.url()
        ))
    }
}

#[cfg(test)]
mod tests;
