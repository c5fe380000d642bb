//! Pure: `spec.api.listing: Auto`. Which listing is read first, when another takes its place, and for how long.

use jiff::{SignedDuration, Timestamp};

use crate::fault::{Fault, Reason};
use crate::station::Listing;

/// For so long a listing that took another's place is kept before the better ones are tried again.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// So many fetches in a row that a listing answers with nothing but 5xx, while the rest of the API works, are no accident.
const PERSISTS: u32 = 3;

/// A listing that took the place of a better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub listing: Listing,
    /// Since when the better ones were not tried.
    pub since: Timestamp,
}

/// The listings to try, one after the other. `spec` is `None` for Auto.
///
/// Best first: `RegionSearch` asks region by region and tells totals and names; `OperatorList` lacks the regions;
/// `RadioSearch` lacks totals, names and remote nodes, and has been seen to answer 500.
pub(super) fn order(spec: Option<Listing>, kept: Option<Choice>, now: Timestamp) -> Vec<Listing> {
    if let Some(only) = spec {
        return vec![only];
    }
    let mut order = Listing::ALL.to_vec();
    if let Some(kept) = kept
        // A clock that was set back must not keep it for longer than a day.
        && now.duration_since(kept.since).abs() < KEPT
    {
        order.retain(|listing| *listing != kept.listing);
        order.insert(0, kept.listing);
    }
    order
}

/// Whether `fault`, which a listing itself answered, is there to stay. `times` counts such fetches in a row, this one
/// included; `known` says that the listing was given up before, and is only tried again.
pub(super) fn stays(fault: &Fault, times: u32, known: bool) -> bool {
    match fault.reason {
        // 403; 400, 404 and the other 4xx.
        Reason::AccessDenied | Reason::ApiRejected => true,
        // With a Retry-After the server says itself that it will pass.
        Reason::ApiUnavailable => fault.retry_after.is_none() && (known || times >= PERSISTS),
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
    fn a_choice_lasts_a_day() {
        let best = vec![RegionSearch, OperatorList, RadioSearch];
        let chose = |listing| {
            Some(Choice {
                listing,
                since: after(100),
            })
        };
        for (spec, kept, now, want) in [
            (None, None, after(0), best.clone()),
            (
                Some(RadioSearch),
                chose(OperatorList),
                after(101),
                vec![RadioSearch],
            ),
            (
                None,
                chose(OperatorList),
                after(123),
                vec![OperatorList, RegionSearch, RadioSearch],
            ),
            (
                None,
                chose(RadioSearch),
                after(100),
                vec![RadioSearch, RegionSearch, OperatorList],
            ),
            (None, chose(OperatorList), after(124), best.clone()),
            (None, chose(OperatorList), after(1), best.clone()),
        ] {
            assert_eq!(order(spec, kept, now), want, "{spec:?} {kept:?} {now}");
        }
    }

    #[test]
    fn what_passes_by_itself_is_no_reason_to_fall_back() {
        for reason in Reason::ALL {
            let fault = Fault::new(*reason, "");
            let at_once = matches!(reason, Reason::AccessDenied | Reason::ApiRejected);
            let in_time = at_once || *reason == Reason::ApiUnavailable;
            assert_eq!(stays(&fault, 2, false), at_once, "{reason}");
            assert_eq!(stays(&fault, 3, false), in_time, "{reason}");
            assert_eq!(stays(&fault, 1, true), in_time, "{reason}");
        }
        let soon = Fault::new(Reason::ApiUnavailable, "").retry_after(Duration::from_secs(1));
        assert!(!stays(&soon, 9, true));
    }
}
