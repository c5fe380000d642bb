//! One stream of events: a snapshot, then the changes, until the caller may not see them any more.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::response::sse::Event;
use futures::Stream;
use futures::stream::unfold;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::change_log::{Change, Content};
use super::permits::Permit;
use super::snapshot::snapshot;
use super::streams::Streams;
use crate::admin::auth::{Authorizer, Permission};
use crate::admin::objects::Objects;
use crate::admin::problem::Problem;

/// How often the caller's token and permissions are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// After so many checks that Kubernetes did not answer, the stream ends.
const MAX_UNANSWERED_CHECKS: u32 = 3;
/// After missed changes, each stream gets a snapshot after this time and up to as much again, so that not all are made at once.
const SNAPSHOT_DELAY: Duration = Duration::from_secs(1);
/// After this time a browser connects again.
const RECONNECT_DELAY: Duration = Duration::from_secs(2);
/// Number of events that wait for a client to read them.
const UNREAD_EVENTS: usize = 16;
/// A client that reads nothing for so long is disconnected.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What a caller wants to see.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Namespace; `None` for all.
    pub namespace: Option<String>,
    /// Names of the kinds.
    pub kinds: Vec<&'static str>,
    /// The permissions that this requires.
    pub permissions: Vec<Permission>,
}

/// What a stream reads from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The watch caches.
    pub objects: Arc<Objects>,
    /// Checks the caller.
    pub authorizer: Arc<Authorizer>,
    /// The changes.
    pub streams: Arc<Streams>,
}

/// A stream.
pub struct EventStream {
    sources: Sources,
    selection: Selection,
    /// The headers with the token or the session.
    headers: HeaderMap,
    changes: broadcast::Receiver<Arc<Change>>,
    /// Number of the newest change that was received.
    newest: u64,
    /// When the next snapshot is sent.
    snapshot_at: Option<Instant>,
    /// Changes to send.
    pending: VecDeque<Arc<Change>>,
    check_at: Instant,
    unanswered_checks: u32,
    stopping: watch::Receiver<bool>,
    permit: Permit,
}

impl EventStream {
    /// A stream for the authorized caller with this name. It resumes after `last_event_id` if that is possible.
    ///
    /// # Errors
    /// Too many streams are open, or a cache is not synced yet.
    pub fn new(
        sources: Sources,
        caller: &str,
        selection: Selection,
        headers: &HeaderMap,
        last_event_id: Option<&str>,
    ) -> Result<Self, Problem> {
        let permit = sources.streams.permits.permit(caller)?;
        sources.objects.require_synced()?;
        let subscription = sources.streams.log.subscribe(last_event_id);
        let now = Instant::now();
        let snapshot_at = subscription.missed.is_none().then_some(now);
        Ok(Self {
            selection,
            headers: credentials(headers),
            changes: subscription.changes,
            newest: subscription.newest,
            snapshot_at,
            pending: subscription.missed.unwrap_or_default().into(),
            check_at: now + CHECK_INTERVAL + sources.streams.jitter(),
            unanswered_checks: 0,
            stopping: sources.streams.stopping.clone(),
            sources,
            permit,
        })
    }

    /// The events. The stream ends when the process stops, the caller loses a permission, or the client is too slow. Hyper stops polling
    /// a response whose client does not read, so a task decides on the end.
    pub fn into_events(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        let (sender, receiver) = mpsc::channel(UNREAD_EVENTS);
        #[expect(
            clippy::disallowed_methods,
            reason = "the task ends with its receiver, which the response owns"
        )]
        tokio::spawn(self.send_to(sender));
        unfold(receiver, async |mut receiver| {
            let event = receiver.recv().await?;
            Some((Ok(event), receiver))
        })
    }

    async fn send_to(mut self, sender: mpsc::Sender<Event>) {
        loop {
            let event = tokio::select! {
                event = self.next() => event,
                () = sender.closed() => None,
            };
            let Some(event) = event else { return };
            if !matches!(timeout(READ_TIMEOUT, sender.send(event)).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    async fn next(&mut self) -> Option<Event> {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            biased;
            // An error means that the process has stopped.
            _ = stopping.wait_for(|stopping| *stopping) => None,
            event = self.next_event() => event,
        }
    }

    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if self.snapshot_at.is_some_and(|at| at <= Instant::now()) {
                return self.snapshot().ok();
            }
            if let Some(change) = self.pending.pop_front() {
                match self.event(&change) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            tokio::select! {
                () = sleep_until(self.snapshot_at.unwrap_or(self.check_at)), if self.snapshot_at.is_some() => {}
                // An error means that the stream is too far behind: the client connects again and gets a snapshot.
                change = self.changes.recv() => self.pending.push_back(change.ok()?),
                () = sleep_until(self.check_at) => {
                    if !self.is_still_authorized().await {
                        return None;
                    }
                    self.check_at = Instant::now() + CHECK_INTERVAL;
                }
            }
        }
    }

    /// The event for a change; `None` if the caller did not select it, or if a later change follows.
    fn event(&mut self, change: &Change) -> Option<Event> {
        self.newest = change.number;
        let Content::Object(object) = &change.content else {
            let delay = SNAPSHOT_DELAY + self.sources.streams.jitter();
            self.snapshot_at.get_or_insert(Instant::now() + delay);
            return None;
        };
        let namespace = self.selection.namespace.as_ref();
        let is_selected = self.selection.kinds.contains(&object.kind)
            && namespace.is_none_or(|namespace| *namespace == object.namespace);
        // A snapshot may have a later state already. Without this, a run could become active again for a moment.
        let is_sent = is_selected && object.is_newest(&self.sources.objects);
        is_sent.then(|| {
            Event::default()
                .id(self.sources.streams.log.event_id(change.number))
                .event(object.event)
                .data(&object.data)
        })
    }

    fn snapshot(&mut self) -> Result<Event, Problem> {
        let namespace = self.selection.namespace.as_deref();
        let data = snapshot(&self.sources.objects, namespace, &self.selection.kinds)?;
        self.snapshot_at = None;
        Ok(Event::default()
            .id(self.sources.streams.log.event_id(self.newest))
            .event("snapshot")
            .retry(RECONNECT_DELAY)
            .data(data))
    }

    async fn is_still_authorized(&mut self) -> bool {
        let check = async {
            let authorizer = &self.sources.authorizer;
            let caller = authorizer.authenticate(&Method::GET, &self.headers).await?;
            authorizer
                .authorize_all(&caller, &self.selection.permissions)
                .await
        };
        // Boxed, so that the stream holds it only during the check: there may be thousands of streams.
        match Box::pin(check).await {
            Ok(()) => self.unanswered_checks = 0,
            Err(Problem::Unavailable(_) | Problem::Internal) => self.unanswered_checks += 1,
            Err(_) => return false,
        }
        self.unanswered_checks < MAX_UNANSWERED_CHECKS
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the token.
        f.debug_struct("EventStream")
            .field("selection", &self.selection)
            .field("permit", &self.permit)
            .finish_non_exhaustive()
    }
}

/// Only the headers with the token or the session, which are checked again.
fn credentials(headers: &HeaderMap) -> HeaderMap {
    let kept = |name: &HeaderName| *name == header::AUTHORIZATION || *name == header::COOKIE;
    let pairs = headers.iter().filter(|(name, _)| kept(name));
    pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::super::change_log::ObjectChange;
    use super::*;

    fn sources(stopping: watch::Receiver<bool>) -> Sources {
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = kube::Client::try_from(config).unwrap();
        Sources {
            objects: Arc::new(Objects::new(client.clone(), Arc::default())),
            authorizer: Arc::new(Authorizer::new(client, None, None, None)),
            streams: Arc::new(Streams::new(stopping)),
        }
    }

    fn stream(sources: &Sources, last_event_id: Option<&str>) -> EventStream {
        let selection = Selection {
            namespace: Some("ns".into()),
            kinds: vec!["syncs"],
            permissions: Vec::new(),
        };
        let headers = HeaderMap::new();
        EventStream::new(sources.clone(), "ann", selection, &headers, last_event_id).unwrap()
    }

    fn append(sources: &Sources, kind: &'static str, namespace: &str, is_newest: bool) {
        sources.streams.log.append(|| {
            Content::Object(ObjectChange {
                kind,
                namespace: namespace.into(),
                name: "run".into(),
                version: None,
                cached_version: if is_newest {
                    |_, _, _| None
                } else {
                    |_, _, _| Some(("u".into(), "2".into()))
                },
                event: "applied",
                data: "{}".into(),
            })
        });
    }

    async fn next(stream: &mut EventStream) -> String {
        format!("{:?}", stream.next().await.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_has_a_snapshot_and_the_changes_that_were_selected() {
        let (_stop, stopping) = watch::channel(false);
        let sources = sources(stopping);
        let mut stream = stream(&sources, None);
        append(&sources, "syncs", "ns", true);
        assert!(next(&mut stream).await.contains("snapshot"));
        assert!(next(&mut stream).await.contains("applied"));
        for (kind, namespace, is_newest) in [
            ("syncs", "other", true),
            ("schedules", "ns", true),
            // A later state is in the cache already.
            ("syncs", "ns", false),
            ("syncs", "ns", true),
        ] {
            append(&sources, kind, namespace, is_newest);
        }
        let applied = next(&mut stream).await;
        assert!(applied.contains("applied") && applied.contains("-5"), "{applied}");
        // Where changes may be missing, a snapshot follows. Two are one.
        sources.streams.log.append(|| Content::Listed);
        sources.streams.log.append(|| Content::Listed);
        assert!(next(&mut stream).await.contains("snapshot"));
        append(&sources, "syncs", "ns", true);
        assert!(next(&mut stream).await.contains("applied"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_too_far_behind_ends_and_others_do_not() {
        let (_stop, stopping) = watch::channel(false);
        let sources = sources(stopping);
        let (mut slow, mut fast) = (stream(&sources, None), stream(&sources, None));
        assert!(next(&mut slow).await.contains("snapshot"));
        assert!(next(&mut fast).await.contains("snapshot"));
        for _ in 0..2000 {
            append(&sources, "syncs", "ns", true);
            assert!(next(&mut fast).await.contains("applied"));
        }
        assert!(slow.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_disconnected() {
        let (_stop, stopping) = watch::channel(false);
        let sources = sources(stopping);
        let _unread = stream(&sources, None).into_events();
        for _ in 0..100 {
            append(&sources, "syncs", "ns", true);
        }
        while sources.streams.permits.open() > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn streams_end_with_the_process_and_with_the_client() {
        let (stop, stopping) = watch::channel(false);
        let sources = sources(stopping);
        drop(stream(&sources, None).into_events());
        while sources.streams.permits.open() > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let events = stream(&sources, None).into_events();
        let (events, _) = tokio::join!(events.count(), async { stop.send(true) });
        assert!(events <= 1);
    }
}
