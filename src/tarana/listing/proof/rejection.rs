//! Decides whether the API rejects a listing as a whole, or only a region or page of it.

use crate::fault::{Fault, Reason};
use crate::station::Listing;
use crate::tarana::http::Request;
use crate::tarana::listing::context::ListingContext;
use crate::tarana::listing::fallback;

/// Most probe requests.
const MAX_PROBES: usize = 8;

/// Why a listing was not read.
pub(crate) enum ReadError {
    /// The API rejects the listing, whatever is requested.
    ListingRejected(Fault),
    /// Any other fault.
    Other(Fault),
}

/// Classifies `fault`. Before a fallback, `probes` request first pages: if any of them is answered, the listing works, and
/// the fault concerns a region or a page.
pub(super) async fn classify(
    context: &ListingContext,
    listing: Listing,
    fault: Fault,
    probes: Vec<Request>,
) -> ReadError {
    if context.config.listing.is_some() || !is_rejection(&fault) {
        return ReadError::Other(fault);
    }
    let (failures, rejected_before) = context.with_cache(|cache| {
        let failures = cache.failures.get(&listing).copied().unwrap_or_default();
        (failures.saturating_add(1), cache.fallback.is_some())
    });
    if !fallback::is_persistent(&fault, failures, rejected_before) {
        // The failure is only counted yet. Probes would add load to a failing server.
        return ReadError::ListingRejected(fault);
    }
    for probe in probes.iter().take(MAX_PROBES) {
        match context.api.call(probe, |_| Ok(())).await {
            Err(probe_fault) if is_rejection(&probe_fault) => {}
            Ok(()) | Err(_) => return ReadError::Other(fault),
        }
    }
    ReadError::ListingRejected(fault)
}

fn is_rejection(fault: &Fault) -> bool {
    let reasons = [Reason::AccessDenied, Reason::ApiRejected, Reason::ApiUnavailable];
    reasons.contains(&fault.reason) && fault.retry_after.is_none()
}
