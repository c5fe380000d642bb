//! Live updates: a stream of server-sent events for each reader, from the watch caches.

mod change_log;
mod event_stream;
mod permits;
mod snapshot;
mod streams;

pub use event_stream::{EventStream, Selection, Sources};
pub use streams::Streams;
