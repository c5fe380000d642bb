#![doc = include_str!("README.md")]

mod endpoint;
mod health;
mod objects;
mod schedules;
mod values;

pub use self::endpoint::{Endpoint, Error};
pub use self::health::Health;
