#![doc = include_str!("README.md")]

mod backoff;
mod batch;
mod context;
mod sinks;
pub mod worker;

pub use self::context::DeliveryContext;
