#![doc = include_str!("README.md")]

mod address;
mod event;
mod resolver;
mod signature;
mod sink;

pub use self::address::AddressPolicy;
pub use self::event::Event;
pub use self::sink::{NotDelivered, Sink, SinkConfig};
