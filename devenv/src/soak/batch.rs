//! Pure: generates batches from the seed: the runs, the changes of the fleet, the vendor's faults and the disruptions.

use std::time::Duration;

use super::plan::Pace;
use super::vendor_faults;
use crate::simulator::Rule;
use crate::simulator::rng::Rng;

/// What a user does with a run after creating it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserAction {
    None,
    Cancel,
    Delete,
}

/// A run to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunRequest {
    pub(super) dry_run: bool,
    pub(super) delete_stale: bool,
    /// Whether `approvedDeletes` lifts the delete guard.
    pub(super) approved: bool,
    pub(super) user_action: UserAction,
    /// When the user acts, after the creation of the runs.
    pub(super) acts_at: Duration,
    /// `ttlSecondsAfterFinished`; without it the soak test deletes the object.
    pub(super) ttl: Option<u32>,
    /// `backoffLimit`.
    pub(super) retries: u32,
}

/// A disruption of the operator or its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disruption {
    /// SIGKILL; the process is restarted later.
    Kill { restart_after: Duration },
    /// SIGTERM; the process is restarted later.
    Terminate { restart_after: Duration },
    /// SIGSTOP, later SIGCONT.
    Freeze { duration: Duration },
    /// SIGSTOP until a second operator has taken over, then SIGCONT: the deposed leader must not touch the run again.
    Depose,
    /// SIGKILL while a second operator is on standby.
    Failover,
    /// SIGKILL of a PostgreSQL backend: the server drops all connections and recovers.
    CrashDatabase,
    /// All connections to the database are terminated.
    TerminateConnections,
    /// The proxy to the database is unreachable.
    DatabaseOutage { duration: Duration },
    /// The proxy to the API server is unreachable.
    ApiServerOutage { duration: Duration },
    /// The clock of the operators steps to this many seconds ahead of the real time, or behind it. It stays there.
    StepClock { offset: i64 },
}

impl Disruption {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill { .. } => "operator killed (SIGKILL), restarted",
            Self::Terminate { .. } => "operator terminated (SIGTERM), restarted",
            Self::Freeze { .. } => "operator stopped (SIGSTOP), continued",
            Self::Depose => "operator stopped until a second took over",
            Self::Failover => "operator killed, a second took over",
            Self::CrashDatabase => "PostgreSQL crashed and recovered",
            Self::TerminateConnections => "connections to PostgreSQL terminated",
            Self::DatabaseOutage { .. } => "PostgreSQL away",
            Self::ApiServerOutage { .. } => "API server away",
            Self::StepClock { .. } => "operator's clock stepped",
        }
    }

    /// Whether it may end the operator's process.
    fn ends_process(self) -> bool {
        matches!(
            self,
            Self::Kill { .. } | Self::Terminate { .. } | Self::Depose | Self::Failover
        )
    }
}

/// A change of the fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Change {
    /// The fraction of base nodes that drift.
    pub(super) drift: f64,
    /// The number of base nodes that vanish.
    pub(super) vanish: usize,
    /// The number of new base nodes.
    pub(super) add: usize,
}

/// One or two runs and everything that happens to them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    pub(super) before: Change,
    /// A change during the runs, at the nth page request.
    pub(super) change_during_runs: Option<(u32, Change)>,
    /// Whether the sessions expire first; `Some(true)`: the refresh tokens as well.
    pub(super) expire: Option<bool>,
    pub(super) rules: Vec<Rule>,
    pub(super) requests: Vec<RunRequest>,
    pub(super) disruption: Option<(Duration, Disruption)>,
    pub(super) pause: Duration,
}

/// Draws random batches.
pub(super) struct BatchGenerator {
    rng: Rng,
    pace: Pace,
    devices: usize,
}

impl BatchGenerator {
    pub(super) fn new(seed: u64, pace: Pace, devices: usize) -> Self {
        Self {
            rng: Rng::new(seed, "soak"),
            pace,
            devices,
        }
    }

    /// One run without faults and disruptions.
    pub(super) fn without_faults() -> Batch {
        Batch {
            before: Change::default(),
            change_during_runs: None,
            expire: None,
            rules: Vec::new(),
            requests: vec![RunRequest {
                dry_run: false,
                delete_stale: true,
                approved: true,
                user_action: UserAction::None,
                acts_at: Duration::ZERO,
                ttl: Some(60),
                // Tolerates timeouts on a busy machine.
                retries: 6,
            }],
            disruption: None,
            pause: Duration::ZERO,
        }
    }

    /// Draws the next batch. In the leak window nothing may end the operator's process.
    pub(super) fn next_batch(&mut self, leak_window: bool) -> Batch {
        let before = self.change();
        // Sometimes as many base nodes are added as vanish: the total does not change.
        let change_during_runs = self.chance(8).then(|| {
            let page = u32::try_from(self.rng.below(8)).unwrap_or(0);
            let few = self.rng.below(4);
            let change = Change {
                drift: 0.0,
                vanish: few,
                add: [few, 0, 2][self.rng.below(3)],
            };
            (page, change)
        });
        let expire = [None, None, None, None, None, Some(false), Some(true)][self.rng.below(7)];
        let rules = if self.chance(45) {
            vendor_faults::rules(&mut self.rng, self.devices)
        } else {
            Vec::new()
        };
        let runs = if self.chance(18) { 2 } else { 1 };
        let requests = (0..runs).map(|_| self.run_request()).collect();
        // Drawn unconditionally: the sequence of random numbers must not depend on the clock.
        let disruption = self
            .disruption(leak_window)
            .map(|disruption| (self.up_to(self.pace.action_window), disruption))
            .filter(|(_, disruption)| !(leak_window && disruption.ends_process()));
        Batch {
            before,
            change_during_runs,
            expire,
            rules,
            requests,
            disruption,
            pause: self.up_to(self.pace.pause),
        }
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.rng.below(100) < percent
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.rng.unit())
    }

    fn change(&mut self) -> Change {
        // Sometimes more base nodes vanish than the delete guard allows.
        let outage = self.chance(3);
        let few = self.rng.below(6);
        Change {
            drift: self.pace.drift * [0.0, 0.1, 0.3, 1.0][self.rng.below(4)],
            vanish: if outage { self.devices * 6 / 100 + 11 } else { few },
            add: self.rng.below(6) + if self.chance(3) { self.devices * 6 / 100 } else { 0 },
        }
    }

    fn run_request(&mut self) -> RunRequest {
        let user_action = match self.rng.below(100) {
            0..8 => UserAction::Cancel,
            8..14 => UserAction::Delete,
            _ => UserAction::None,
        };
        let delete_stale = self.chance(60);
        RunRequest {
            dry_run: self.chance(12),
            delete_stale,
            approved: delete_stale && self.chance(40),
            user_action,
            acts_at: self.up_to(self.pace.action_window),
            ttl: [Some(30), Some(60), Some(90), None][self.rng.below(4)],
            retries: 2,
        }
    }

    fn clock_offset(&mut self) -> i64 {
        let most = self.pace.max_clock_offset.as_secs();
        let span = usize::try_from(2 * most + 1).unwrap_or(1);
        i64::try_from(self.rng.below(span)).unwrap_or(0) - i64::try_from(most).unwrap_or(0)
    }

    fn disruption(&mut self, leak_window: bool) -> Option<Disruption> {
        let (short, duration) = (
            self.up_to(self.pace.max_outage.min(Duration::from_secs(3))),
            self.up_to(self.pace.max_outage),
        );
        let offset = self.clock_offset();
        let mark = self.rng.below(100);
        let takeovers = self.pace.takeover_percent;
        Some(match mark {
            0..6 => Disruption::Kill { restart_after: short },
            6..9 => Disruption::Terminate { restart_after: short },
            9..13 => Disruption::Freeze { duration },
            13..16 => Disruption::CrashDatabase,
            16..20 => Disruption::TerminateConnections,
            20..23 => Disruption::DatabaseOutage { duration },
            // An operator that cannot renew its Lease for ten seconds exits.
            23..26 => Disruption::ApiServerOutage {
                duration: if leak_window { short } else { duration },
            },
            26..29 => Disruption::StepClock { offset },
            _ if mark >= 100 - takeovers / 2 => Disruption::Depose,
            _ if mark >= 100 - takeovers => Disruption::Failover,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(seed: u64, leak_window: bool) -> Vec<Batch> {
        let mut generator = BatchGenerator::new(seed, Pace::LONG, 100_000);
        (0..400).map(|_| generator.next_batch(leak_window)).collect()
    }

    #[test]
    fn a_seed_determines_all_batches() {
        assert_eq!(batches(7, false), batches(7, false));
        assert_ne!(batches(7, false), batches(8, false));
    }

    #[test]
    fn every_kind_of_disruption_and_request_is_drawn() {
        let all = batches(1, false);
        let disruptions: std::collections::BTreeSet<_> = all
            .iter()
            .filter_map(|b| b.disruption)
            .map(|(_, b)| b.name())
            .collect();
        assert_eq!(disruptions.len(), 10, "{disruptions:?}");
        let requests: Vec<&RunRequest> = all.iter().flat_map(|b| &b.requests).collect();
        assert!(
            all.iter().any(|b| b.requests.len() == 2) && all.iter().any(|b| b.change_during_runs.is_some())
        );
        assert!(requests.iter().any(|w| w.dry_run) && requests.iter().any(|w| w.approved));
        for user_action in [UserAction::Cancel, UserAction::Delete] {
            assert!(requests.iter().any(|w| w.user_action == user_action));
        }
    }

    #[test]
    fn nothing_ends_the_process_in_the_leak_window() {
        let all = batches(1, true);
        assert!(
            all.iter()
                .filter_map(|b| b.disruption)
                .all(|(_, disruption)| !disruption.ends_process())
        );
        assert!(all.iter().any(|b| b.disruption.is_some()));
    }
}
