//! tarana-operator keeps a PostgreSQL table of base stations true to the vendor's cloud.
#![doc = include_str!("../README.md")]

pub mod api;
pub mod fault;
pub mod station;
pub mod store;
