//! Pure: what to do with the Lease that was observed.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};

/// Time since the start of the election, by the monotonic clock of this process.
pub type Uptime = Duration;

/// What is known of the Lease.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Its version; `None` if it does not exist.
    pub version: Option<String>,
    /// What it says.
    pub spec: LeaseSpec,
    /// When this process first saw this version. `None` before the first read.
    pub since: Option<Uptime>,
}

impl Observed {
    /// Records what was just read; `None` if there is no Lease. An older version is not recognized as such: a write that is based on
    /// it fails.
    pub fn record(&mut self, lease: Option<Lease>, now: Uptime) {
        let Some(lease) = lease else {
            // Its holder does not know that it is deleted. `spec` and `since` stay, so that it is not replaced before its time.
            self.version = None;
            self.since.get_or_insert(now);
            return;
        };
        let seen = Self {
            version: lease.metadata.resource_version,
            spec: lease.spec.unwrap_or_default(),
            since: self.since,
        };
        if seen != *self || self.since.is_none() {
            *self = Self {
                since: Some(now),
                ..seen
            };
        }
    }

    /// Who holds the Lease.
    pub fn holder(&self) -> Option<&str> {
        let holder = self.spec.holder_identity.as_deref();
        holder.filter(|holder| !holder.is_empty())
    }

    /// How long its holder may go on without a renewal, if the Lease does not say otherwise for `default` since it changed.
    pub fn left(&self, default: Duration, now: Uptime) -> Duration {
        let seconds = self.spec.lease_duration_seconds;
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(default, Duration::from_secs);
        let since = self.since.unwrap_or(now);
        duration.saturating_sub(now.saturating_sub(since))
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read the Lease.
    Read,
    /// Create it.
    Create,
    /// Take it from nobody, or from a holder that has not renewed it.
    Acquire,
    /// Renew our own.
    Renew,
    /// Another process holds it, for at most so long unless it changes.
    Wait(Duration),
}

/// What `identity` does with the Lease, whose duration is `default` unless it says otherwise.
pub(super) fn decide(observed: &Observed, identity: &str, default: Duration, now: Uptime) -> Step {
    if observed.since.is_none() {
        return Step::Read;
    }
    let is_other = observed.holder().is_some_and(|holder| holder != identity);
    let left = if is_other {
        observed.left(default, now)
    } else {
        Duration::ZERO
    };
    if !left.is_zero() {
        return Step::Wait(left);
    }
    match (&observed.version, observed.holder()) {
        (None, _) => Step::Create,
        (Some(_), Some(holder)) if holder == identity => Step::Renew,
        (Some(_), _) => Step::Acquire,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    const DEFAULT: Duration = Duration::from_secs(15);
    const SECOND: Duration = Duration::from_secs(1);
    const START: Uptime = Duration::from_hours(1);

    fn lease(version: &str, holder: &str, seconds: Option<i32>) -> Lease {
        Lease {
            metadata: ObjectMeta {
                resource_version: Some(version.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()).filter(|holder| !holder.is_empty()),
                lease_duration_seconds: seconds,
                // Always the same, and long past: it must not matter.
                renew_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
                ..LeaseSpec::default()
            }),
        }
    }

    fn step(observed: &Observed, seconds: u32) -> Step {
        decide(observed, "me", DEFAULT, START + SECOND * seconds)
    }

    #[test]
    fn each_lease_has_its_step() {
        let cases = [
            (None, 0, Step::Create),
            (Some(lease("1", "", Some(1))), 0, Step::Acquire),
            (Some(lease("1", "me", Some(15))), 0, Step::Renew),
            (Some(lease("1", "me", Some(15))), 1000, Step::Renew),
            (Some(lease("1", "other", Some(15))), 0, Step::Wait(SECOND * 15)),
            (Some(lease("1", "other", Some(15))), 14, Step::Wait(SECOND)),
            (Some(lease("1", "other", Some(15))), 15, Step::Acquire),
            (Some(lease("1", "other", Some(60))), 15, Step::Wait(SECOND * 45)),
            (Some(lease("1", "other", None)), 14, Step::Wait(SECOND)),
            (Some(lease("1", "other", Some(-1))), 14, Step::Wait(SECOND)),
        ];
        for (lease, seconds, expected) in cases {
            let mut observed = Observed::default();
            assert_eq!(step(&observed, seconds), Step::Read);
            observed.record(lease.clone(), START);
            assert_eq!(step(&observed, seconds), expected, "{lease:?} after {seconds} s");
        }
    }

    #[test]
    fn only_a_change_extends_the_time() {
        let mut observed = Observed::default();
        observed.record(Some(lease("1", "other", Some(15))), START);
        observed.record(Some(lease("1", "other", Some(15))), START + SECOND * 10);
        assert_eq!(step(&observed, 14), Step::Wait(SECOND));
        observed.record(Some(lease("2", "other", Some(15))), START + SECOND * 14);
        assert_eq!(step(&observed, 15), Step::Wait(SECOND * 14));
        assert_eq!(step(&observed, 29), Step::Acquire);
    }

    #[test]
    fn a_lease_that_is_deleted_is_replaced_when_its_holder_has_stopped() {
        let mut observed = Observed::default();
        observed.record(Some(lease("1", "other", Some(15))), START);
        observed.record(None, START + SECOND * 5);
        assert_eq!(step(&observed, 5), Step::Wait(SECOND * 10));
        assert_eq!(step(&observed, 15), Step::Create);
        // Our own is created again at once.
        observed.record(Some(lease("2", "me", Some(15))), START + SECOND * 16);
        observed.record(None, START + SECOND * 17);
        assert_eq!(step(&observed, 17), Step::Create);
    }
}
