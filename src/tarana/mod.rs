//! The client of the vendor's API: one session, one set of limits, one proven listing.
//!
//! [`Client::fetch`] reads regions, pages and devices, proves them complete, and returns
//! [`Fetched`](crate::station::Fetched). `http` sends requests; `listing`, above it, reads lists; `client` is the facade.
#![doc = include_str!("README.md")]

mod client;
mod config;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod http;
mod listing;
mod scalar;

pub use client::{Client, Verified};
pub use config::{Config, Secret, is_same_address};
pub use http::{ServerTime, SessionState};
pub use listing::{ListingFallback, Region, Sample};
