//! Pure: `spec.api.listing: Auto`. The order in which listings are tried, when one falls back to the next, and for how long.

use jiff::{SignedDuration, Timestamp};

use crate::fault::{Fault, Reason};
use crate::station::Listing;

/// How long a fallback is used before the better listings are tried again.
const FALLBACK_DURATION: SignedDuration = SignedDuration::from_hours(24);
/// After this many fetches in a row in which only the listing answers 5xx, the failure counts as persistent.
const PERSISTENT_FAILURES: u32 = 3;

/// A listing that is read instead of a better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingFallback {
    /// The listing that is read.
    pub listing: Listing,
    /// When the better ones were last tried.
    pub since: Timestamp,
}

/// The listings to try in order. `configured` is `None` for Auto.
///
/// Best first: `RegionSearch` asks region by region and has totals and names; `OperatorList` lacks the regions;
/// `RadioSearch` lacks totals, names and remote nodes, and has been seen to answer 500.
pub(super) fn candidates(
    configured: Option<Listing>,
    current: Option<ListingFallback>,
    now: Timestamp,
) -> Vec<Listing> {
    if let Some(configured) = configured {
        return vec![configured];
    }
    let mut order = Listing::ALL.to_vec();
    if let Some(current) = current
        // `abs`: a clock that was set back must not keep the fallback for longer than a day.
        && now.duration_since(current.since).abs() < FALLBACK_DURATION
    {
        order.retain(|listing| *listing != current.listing);
        order.insert(0, current.listing);
    }
    order
}

/// Whether `fault`, which a listing itself answered, is persistent. `failures` counts such fetches in a row, this one
/// included. `rejected_before` means that the listing was given up before and is only tried again.
pub(super) fn is_persistent(fault: &Fault, failures: u32, rejected_before: bool) -> bool {
    match fault.reason {
        // 403; 400, 404 and the other 4xx.
        Reason::AccessDenied | Reason::ApiRejected => true,
        // With a Retry-After the server announces that the failure will pass.
        Reason::ApiUnavailable => {
            fault.retry_after.is_none() && (rejected_before || failures >= PERSISTENT_FAILURES)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use Listing::{OperatorList, RadioSearch, RegionSearch};

    fn after(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    #[test]
    fn a_fallback_lasts_a_day() {
        let best = vec![RegionSearch, OperatorList, RadioSearch];
        let fallback = |listing| {
            Some(ListingFallback {
                listing,
                since: after(100),
            })
        };
        for (configured, current, now, want) in [
            (None, None, after(0), best.clone()),
            (
                Some(RadioSearch),
                fallback(OperatorList),
                after(101),
                vec![RadioSearch],
            ),
            (
                None,
                fallback(OperatorList),
                after(123),
                vec![OperatorList, RegionSearch, RadioSearch],
            ),
            (
                None,
                fallback(RadioSearch),
                after(100),
                vec![RadioSearch, RegionSearch, OperatorList],
            ),
            (None, fallback(OperatorList), after(124), best.clone()),
            (None, fallback(OperatorList), after(1), best.clone()),
        ] {
            assert_eq!(
                candidates(configured, current, now),
                want,
                "{configured:?} {current:?} {now}"
            );
        }
    }

    #[test]
    fn a_passing_fault_causes_no_fallback() {
        for reason in Reason::ALL {
            let fault = Fault::new(*reason, "");
            let at_once = matches!(reason, Reason::AccessDenied | Reason::ApiRejected);
            let in_time = at_once || *reason == Reason::ApiUnavailable;
            assert_eq!(is_persistent(&fault, 2, false), at_once, "{reason}");
            assert_eq!(is_persistent(&fault, 3, false), in_time, "{reason}");
            assert_eq!(is_persistent(&fault, 1, true), in_time, "{reason}");
        }
        let soon = Fault::new(Reason::ApiUnavailable, "").retry_after(Duration::from_secs(1));
        assert!(!is_persistent(&soon, 9, true));
    }
}
