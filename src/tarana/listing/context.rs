//! What every part of a fetch needs: the API, the configuration, and a cache of earlier readings.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::fallback::ListingFallback;
use super::pages::ListShape;
use super::region::Region;
use crate::fault::Fault;
use crate::station::Listing;
use crate::tarana::config::Config;
use crate::tarana::http::Api;

/// Called after each page, with the rows read so far and the total, as far as known.
pub(super) type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// The API of one connection, with its configuration and cache.
pub(crate) struct ListingContext {
    pub(crate) config: Config,
    pub(crate) api: Api,
    cache: Mutex<ListingCache>,
}

/// Hints from earlier readings, so that the next one can request all pages at once. The answers are checked regardless.
#[derive(Debug, Default)]
pub(crate) struct ListingCache {
    pub(super) regions: Vec<Region>,
    /// By listing and region; region 0 stands for all regions together.
    pub(super) shapes: HashMap<(Listing, i32), ListShape>,
    /// For Auto: the fallback in use.
    pub(crate) fallback: Option<ListingFallback>,
    /// Fetches in a row in which a listing failed although the rest of the API worked.
    pub(super) failures: HashMap<Listing, u32>,
}

impl fmt::Debug for ListingContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListingContext")
            .field("config", &self.config)
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}

impl ListingContext {
    /// Sends nothing yet.
    pub(crate) fn new(config: Config) -> Result<Self, Fault> {
        Ok(Self {
            api: Api::new(&config)?,
            config,
            cache: Mutex::default(),
        })
    }

    /// Reads or changes the cache.
    pub(crate) fn with_cache<T>(&self, f: impl FnOnce(&mut ListingCache) -> T) -> T {
        // The cache holds only hints, so a poisoned lock does no harm.
        f(&mut self.cache.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
