//! One fetch: reads the configured listing, or for Auto the best one that works.

use jiff::Timestamp;

use super::context::{ListingContext, Progress};
use super::fallback::{self, ListingFallback};
use super::proof::{self, ReadError};
use crate::fault::{Fault, Reason};
use crate::station::{Fetched, Listing};

/// Reads everything that the connection covers.
pub(crate) async fn fetch(context: &ListingContext, progress: Progress<'_>) -> Result<Fetched, Fault> {
    let current = context.with_cache(|cache| cache.fallback);
    let mut failed: Vec<(Listing, Fault)> = Vec::new();
    for listing in fallback::candidates(context.config.listing, current, now()) {
        match proof::read(context, listing, progress).await {
            Ok(fetched) => {
                record_success(context, listing, current, !failed.is_empty());
                let fallback_reason = (!failed.is_empty()).then(|| describe(&failed));
                return Ok(Fetched {
                    fallback_reason,
                    ..fetched
                });
            }
            Err(ReadError::ListingRejected(fault)) if falls_back(context, listing, &fault, current) => {
                failed.push((listing, fault));
            }
            Err(ReadError::ListingRejected(fault) | ReadError::Other(fault)) if failed.is_empty() => {
                return Err(fault);
            }
            Err(ReadError::ListingRejected(fault) | ReadError::Other(fault)) => {
                let message = format!(
                    "{}; {listing} was read because {}",
                    fault.message,
                    describe(&failed)
                );
                return Err(Fault { message, ..fault });
            }
        }
    }
    // The best listing's fault helps the user more than the last one's.
    let first = failed.into_iter().next().map(|(_, fault)| fault);
    Err(first.unwrap_or_else(|| Fault::new(Reason::ApiRejected, "there is no listing to read")))
}

/// Counts the failure. Returns whether the next listing is tried: only with Auto, and only for a persistent fault.
fn falls_back(
    context: &ListingContext,
    listing: Listing,
    fault: &Fault,
    current: Option<ListingFallback>,
) -> bool {
    let failures = context.with_cache(|cache| {
        let failures = cache.failures.entry(listing).or_default();
        *failures = failures.saturating_add(1);
        *failures
    });
    let rejected_before = current.is_some_and(|current| current.listing != listing);
    context.config.listing.is_none() && fallback::is_persistent(fault, failures, rejected_before)
}

/// Remembers the listing that worked, and since when it has been the fallback.
fn record_success(
    context: &ListingContext,
    listing: Listing,
    current: Option<ListingFallback>,
    fell_back: bool,
) {
    context.with_cache(|cache| {
        cache.failures.remove(&listing);
        if context.config.listing.is_none() {
            let unchanged = current.filter(|current| current.listing == listing && !fell_back);
            let fallback = unchanged.unwrap_or(ListingFallback {
                listing,
                since: now(),
            });
            cache.fallback = Some(fallback).filter(|_| listing != Listing::default());
        }
    });
}

fn describe(failed: &[(Listing, Fault)]) -> String {
    let each: Vec<String> = failed
        .iter()
        .map(|(listing, fault)| format!("{listing} is rejected ({}: {})", fault.reason, fault.message))
        .collect();
    each.join("; ")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the age of a fallback is wall-clock time"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
