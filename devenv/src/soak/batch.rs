//! Pure: what happens next, of the seed alone: one or two runs, what the vendor and the world do to them, what changed before.

use std::time::Duration;

use super::plan::Pace;
use super::vendor;
use crate::simulator::Rule;
use crate::simulator::rng::Rng;

/// What a user does with a run after asking for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meddling {
    Let,
    Cancel,
    Delete,
}

/// One run to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) dry_run: bool,
    pub(super) delete_stale: bool,
    /// Lets deletions pass the guard.
    pub(super) approved: bool,
    pub(super) meddling: Meddling,
    /// After the run was asked for.
    pub(super) at: Duration,
    /// Seconds; none: the soak deletes the object.
    pub(super) ttl: Option<u32>,
    /// `backoffLimit`.
    pub(super) retries: u32,
}

/// What the world does, at some moment of the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blow {
    /// SIGKILL, and the process is started again after a while.
    Kill { back: Duration },
    /// SIGTERM, likewise.
    Terminate { back: Duration },
    /// SIGSTOP, SIGCONT.
    Freeze { away: Duration },
    /// SIGSTOP until a second operator has taken over, then SIGCONT: the late one meets what has become of its run.
    Overtake,
    /// SIGKILL while a second operator stands by.
    Failover,
    /// A backend of PostgreSQL is killed: the server drops everyone and recovers.
    CrashDatabase,
    /// Every connection to the database is terminated.
    CutDatabase,
    /// The way to the database is cut.
    DatabaseAway { away: Duration },
    /// The way to the API server is cut.
    ClusterAway { away: Duration },
}

impl Blow {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill { .. } => "operator killed (SIGKILL), started again",
            Self::Terminate { .. } => "operator terminated (SIGTERM), started again",
            Self::Freeze { .. } => "operator stopped (SIGSTOP), continued",
            Self::Overtake => "operator stopped, overtaken by a second, continued",
            Self::Failover => "operator killed, a second takes over",
            Self::CrashDatabase => "PostgreSQL crashed and recovered",
            Self::CutDatabase => "connections to PostgreSQL terminated",
            Self::DatabaseAway { .. } => "PostgreSQL away",
            Self::ClusterAway { .. } => "API server away",
        }
    }

    /// Whether it may end the process.
    fn is_rough(self) -> bool {
        matches!(
            self,
            Self::Kill { .. } | Self::Terminate { .. } | Self::Overtake | Self::Failover
        )
    }
}

/// How the fleet changes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Change {
    /// A part of it, as time would.
    pub(super) drift: f64,
    /// So many towers go.
    pub(super) vanish: usize,
    /// So many come.
    pub(super) add: usize,
}

/// One or two runs and all that befalls them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    pub(super) before: Change,
    /// At the moment when the so-maniest page is asked for.
    pub(super) midway: Option<(u32, Change)>,
    /// Sessions end first; `Some(true)`: refresh tokens as well.
    pub(super) expire: Option<bool>,
    pub(super) rules: Vec<Rule>,
    pub(super) wishes: Vec<Wish>,
    pub(super) blow: Option<(Duration, Blow)>,
    pub(super) pause: Duration,
}

/// Draws batches.
pub(super) struct Dice {
    rng: Rng,
    pace: Pace,
    devices: usize,
}

impl Dice {
    pub(super) fn new(seed: u64, pace: Pace, devices: usize) -> Self {
        Self {
            rng: Rng::new(seed, "soak"),
            pace,
            devices,
        }
    }

    /// A run without any trouble.
    pub(super) fn quiet() -> Batch {
        Batch {
            before: Change::default(),
            midway: None,
            expire: None,
            rules: Vec::new(),
            wishes: vec![Wish {
                dry_run: false,
                delete_stale: true,
                approved: true,
                meddling: Meddling::Let,
                at: Duration::ZERO,
                ttl: Some(60),
                // A busy machine is slow to answer, and that is nobody's fault.
                retries: 6,
            }],
            blow: None,
            pause: Duration::ZERO,
        }
    }

    /// The next batch. `calm`: nothing may end the operator.
    pub(super) fn batch(&mut self, calm: bool) -> Batch {
        let before = self.change();
        // As many come midway as go, now and then: the one change that no total shows.
        let midway = self.chance(8).then(|| {
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
            vendor::rules(&mut self.rng, self.devices)
        } else {
            Vec::new()
        };
        let runs = if self.chance(18) { 2 } else { 1 };
        let wishes = (0..runs).map(|_| self.wish()).collect();
        // Drawn in any case, so that what comes after does not depend on the clock.
        let blow = self
            .blow(calm)
            .map(|blow| (self.up_to(self.pace.within), blow))
            .filter(|(_, blow)| !(calm && blow.is_rough()));
        Batch {
            before,
            midway,
            expire,
            rules,
            wishes,
            blow,
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
        // Now and then more goes than the delete guard lets pass.
        let outage = self.chance(3);
        let few = self.rng.below(6);
        Change {
            drift: self.pace.drift * [0.0, 0.1, 0.3, 1.0][self.rng.below(4)],
            vanish: if outage { self.devices * 6 / 100 + 11 } else { few },
            add: self.rng.below(6) + if self.chance(3) { self.devices * 6 / 100 } else { 0 },
        }
    }

    fn wish(&mut self) -> Wish {
        let meddling = match self.rng.below(100) {
            0..8 => Meddling::Cancel,
            8..14 => Meddling::Delete,
            _ => Meddling::Let,
        };
        let delete_stale = self.chance(60);
        Wish {
            dry_run: self.chance(12),
            delete_stale,
            approved: delete_stale && self.chance(40),
            meddling,
            at: self.up_to(self.pace.within),
            ttl: [Some(30), Some(60), Some(90), None][self.rng.below(4)],
            retries: 2,
        }
    }

    fn blow(&mut self, calm: bool) -> Option<Blow> {
        let (short, away) = (
            self.up_to(self.pace.away.min(Duration::from_secs(3))),
            self.up_to(self.pace.away),
        );
        let mark = self.rng.below(100);
        let takeovers = self.pace.takeovers;
        Some(match mark {
            0..6 => Blow::Kill { back: short },
            6..9 => Blow::Terminate { back: short },
            9..13 => Blow::Freeze { away },
            13..16 => Blow::CrashDatabase,
            16..20 => Blow::CutDatabase,
            20..23 => Blow::DatabaseAway { away },
            // A Lease that cannot be renewed is lost after ten seconds, and with it the process.
            23..26 => Blow::ClusterAway {
                away: if calm { short } else { away },
            },
            _ if mark >= 100 - takeovers / 2 => Blow::Overtake,
            _ if mark >= 100 - takeovers => Blow::Failover,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(seed: u64, calm: bool) -> Vec<Batch> {
        let mut dice = Dice::new(seed, Pace::LONG, 100_000);
        (0..400).map(|_| dice.batch(calm)).collect()
    }

    #[test]
    fn a_seed_is_a_soak() {
        assert_eq!(batches(7, false), batches(7, false));
        assert_ne!(batches(7, false), batches(8, false));
    }

    #[test]
    fn everything_comes() {
        let all = batches(1, false);
        let blows: std::collections::BTreeSet<_> =
            all.iter().filter_map(|b| b.blow).map(|(_, b)| b.name()).collect();
        assert_eq!(blows.len(), 9, "{blows:?}");
        let wishes: Vec<&Wish> = all.iter().flat_map(|b| &b.wishes).collect();
        assert!(all.iter().any(|b| b.wishes.len() == 2) && all.iter().any(|b| b.midway.is_some()));
        assert!(wishes.iter().any(|w| w.dry_run) && wishes.iter().any(|w| w.approved));
        for meddling in [Meddling::Cancel, Meddling::Delete] {
            assert!(wishes.iter().any(|w| w.meddling == meddling));
        }
    }

    #[test]
    fn the_calm_leaves_the_process_alone() {
        let all = batches(1, true);
        assert!(
            all.iter()
                .filter_map(|b| b.blow)
                .all(|(_, blow)| !blow.is_rough())
        );
        assert!(all.iter().any(|b| b.blow.is_some()));
    }
}
