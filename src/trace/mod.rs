#![doc = include_str!("README.md")]

mod ids;
pub mod live;
pub mod notices;
mod provider;
mod recorded;

pub use self::provider::Exporter;
pub use self::recorded::{RecordedKind, RecordedRun, RecordedSpan, export};
