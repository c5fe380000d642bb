//! Counts the requests of a client, and notes when each watch last sent one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use tower::{Layer, Service};

use crate::metrics::{KubernetesMetrics, RequestLabels};

/// How long a watch may go without a request. A working one is renewed every 25 s, and a failing one is retried more often.
const MAX_SILENCE: Duration = Duration::from_mins(3);

/// When the watch of each path last sent a request. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct WatchActivity(Arc<Mutex<HashMap<String, Instant>>>);

impl WatchActivity {
    /// The paths of watches that have stopped: nothing in this process requests them any more.
    pub fn dead_watches(&self) -> Vec<String> {
        self.dead_at(Instant::now())
    }

    /// The path of each watch, and the time since its last request.
    pub fn silences(&self) -> Vec<(String, Duration)> {
        let requests = self.lock();
        let mut silences: Vec<_> = requests
            .iter()
            .map(|(path, sent)| (path.clone(), sent.elapsed()))
            .collect();
        silences.sort();
        silences
    }

    fn dead_at(&self, now: Instant) -> Vec<String> {
        let requests = self.lock();
        let dead = requests
            .iter()
            .filter(|(_, sent)| now.duration_since(**sent) > MAX_SILENCE);
        let mut paths: Vec<_> = dead.map(|(path, _)| path.clone()).collect();
        paths.sort();
        paths
    }

    fn sent(&self, path: &str) {
        self.lock().insert(path.to_owned(), Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        // No code panics while it changes the map, so a poisoned lock still guards a consistent one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds [`Measured`] to a client.
#[derive(Clone, Debug)]
pub(super) struct MeasureLayer {
    pub metrics: KubernetesMetrics,
    /// For the client of the watches.
    pub activity: Option<WatchActivity>,
}

impl<S> Layer<S> for MeasureLayer {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        let layer = self.clone();
        Measured { inner, layer }
    }
}

/// Counts the requests to the service below.
#[derive(Clone, Debug)]
pub(super) struct Measured<S> {
    inner: S,
    layer: MeasureLayer,
}

impl<S, B, R> Service<Request<B>> for Measured<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let uri = request.uri();
        let labels = RequestLabels::of(
            request.method().as_str(),
            uri.path(),
            uri.query().unwrap_or_default(),
        );
        if let Some(activity) = &self.layer.activity {
            activity.sent(uri.path());
        }
        let (metrics, began) = (self.layer.metrics.clone(), Instant::now());
        let response = self.inner.call(request);
        async move {
            let result = response.await;
            let status = result.as_ref().ok().map(|response| response.status().as_u16());
            metrics.request(labels, status, began.elapsed());
            result
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::{Instant, MAX_SILENCE, WatchActivity};

    #[test]
    fn a_watch_without_requests_is_dead() {
        let activity = WatchActivity::default();
        assert!(activity.dead_watches().is_empty());
        activity.sent("/apis/tarana.dev/v1alpha1/taranasyncs");
        let later = Instant::now() + MAX_SILENCE * 2;
        assert!(activity.dead_watches().is_empty());
        assert_eq!(activity.dead_at(later), ["/apis/tarana.dev/v1alpha1/taranasyncs"]);
    }
}
