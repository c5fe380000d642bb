//! tarana-operator keeps a PostgreSQL table of wireless base stations true to the vendor's cloud.
//!
//! # Code tour
//!
//! A module names only what stands below it here; `tests/architecture` holds that.
//!
//! | module | is |
//! |---|---|
//! | `sync` | one run, from spec to effect; `sync/plan.rs` is what it changes |
//! | `fault` | what can go wrong, and whether trying again helps |
//! | `api` | what users write and read: kinds, conditions, reasons |
//! | `station` | what a base station is, to the vendor, to the table and to a plan |
#![doc = include_str!("../README.md")]

pub mod api;
pub mod fault;
pub mod station;
pub mod sync;
