//! Counts the NOTICE and WARNING messages that a database sends while a future is polled.
//!
//! Triggers can send one for each row, with its contents. So the driver's log lines are dropped (see `telemetry::safety`), and only their
//! number is shown: this layer attributes each of them to the future that received it.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The target under which `sqlx` logs them.
pub const TARGET: &str = "sqlx::postgres::notice";

thread_local! {
    /// Those of the future that this thread polls.
    static RECEIVED: Cell<Received> = const { Cell::new(Received { notices: 0, warnings: 0 }) };
}

/// What a database sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Messages of level NOTICE.
    pub notices: u64,
    /// Messages of level WARNING.
    pub warnings: u64,
}

/// Runs a future, and counts what it receives. Counts nothing without [`layer`].
pub async fn count<T>(work: impl Future<Output = T>) -> (T, Received) {
    let (mut work, mut total) = (pin!(work), Received::default());
    std::future::poll_fn(|context| {
        let outer = RECEIVED.replace(total);
        let polled = work.as_mut().poll(context);
        total = RECEIVED.replace(outer);
        match polled {
            Poll::Ready(output) => Poll::Ready((output, total)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The layer that counts.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    let is_notice = |metadata: &Metadata<'_>| metadata.target() == TARGET && *metadata.level() <= Level::INFO;
    Counter.with_filter(filter_fn(is_notice).with_max_level_hint(LevelFilter::INFO))
}

struct Counter;

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut received = RECEIVED.get();
        if *event.metadata().level() == Level::INFO {
            received.notices += 1;
        } else {
            received.warnings += 1;
        }
        RECEIVED.set(received);
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    use super::{Received, count, layer};

    #[tokio::test]
    async fn each_message_is_attributed_to_the_future_that_received_it() {
        let _guard = tracing_subscriber::registry().with(layer()).set_default();
        let receive = async |times: u64| {
            for _ in 0..times {
                tracing::info!(target: "sqlx::postgres::notice", "row 1");
                tokio::task::yield_now().await;
            }
            tracing::warn!(target: "sqlx::postgres::notice", "row 1");
            tracing::info!(target: "sqlx::query", "other");
        };
        let (((), one), ((), two)) = futures::future::join(count(receive(3)), count(receive(5))).await;
        let expected = |notices| Received { notices, warnings: 1 };
        assert_eq!((one, two), (expected(3), expected(5)));
    }
}
