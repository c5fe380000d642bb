//! Reads the whole listing of a connection and proves it complete.
//!
//! [`fetch`] chooses the listing. `endpoints` know how a page is requested and decoded, `pages` reads one list, `reading`
//! reads all lists of a listing once, `proof` repeats readings until nothing can be missing, and `builder` keeps one record
//! per serial.
#![doc = include_str!("README.md")]

mod builder;
mod context;
pub(super) mod device;
mod endpoints;
mod fallback;
mod fetch;
mod hierarchy;
mod pages;
mod proof;
mod reading;
mod region;
mod regions;
mod sample;

pub(super) use self::context::ListingContext;
pub use self::fallback::ListingFallback;
pub(super) use self::fetch::fetch;
pub use self::region::Region;
pub(super) use self::regions::read_regions;
pub use self::sample::Sample;
pub(super) use self::sample::read_sample;
