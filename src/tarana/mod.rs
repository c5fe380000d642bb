//! The vendor's API, read: one session, one set of limits, one proven listing.
//!
//! [`Client::fetch`] is the whole of it: regions, pages, devices, proof, [`Fetched`](crate::station::Fetched).
//! The way of one request: `client` (session, one re-login) → `wire` (limits, HTTP, size) → `again` (sent once more
//! if the server was only busy) → `refusal` and `broken`
//! (what a failure means) → `envelope` (the variants of an answer). The way of a listing: `regions` → `listing` (how it is
//! asked and read) → `pages` (which rows are still missing) → `device` (one item) → `gather` (one record per serial).
#![doc = include_str!("README.md")]

mod again;
mod broken;
mod choice;
mod client;
mod config;
mod device;
mod envelope;
mod fetch;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod gather;
mod hierarchy;
mod in_flight;
mod intern;
mod limits;
mod listing;
mod pages;
mod refusal;
mod regions;
mod retry_after;
mod scalar;
mod session;
mod tokens;
mod wire;

pub use choice::Choice;
pub use client::{Client, Verified};
pub use config::{Config, Secret};
pub use regions::Region;
