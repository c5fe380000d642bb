//! Pure: a batch as a list of deeds, each at its time.

use std::time::Duration;

use super::batch::{Batch, Blow, Meddling};

/// A Lease that is not renewed is free after 15 s; the next one looks for it every few.
const TAKEOVER: Duration = Duration::from_secs(24);
/// How long the one who was overtaken has to find out, before it is told to go.
const FINDS_OUT: Duration = Duration::from_secs(4);
/// How long a second operator has to be there, before the first one falls.
const STANDS_BY: Duration = Duration::from_secs(2);

/// One thing that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// `spec.cancel` of the so-maniest run.
    Cancel(usize),
    /// Its object is deleted.
    Delete(usize),
    /// SIGKILL of the leader.
    Kill,
    /// SIGTERM of the leader.
    Terminate,
    /// The one that fell is started again.
    Restart,
    /// A second operator is started.
    StandBy,
    /// SIGSTOP of the leader.
    Freeze,
    /// SIGCONT.
    Thaw,
    /// The one that was overtaken is told to go.
    Retire,
    CrashDatabase,
    CutDatabase,
    DatabaseAway(bool),
    ClusterAway(bool),
}

/// In the order of their times, counted from when the runs were asked for.
pub(super) fn deeds(batch: &Batch) -> Vec<(Duration, Deed)> {
    let mut deeds = Vec::new();
    for (number, wish) in batch.wishes.iter().enumerate() {
        match wish.meddling {
            Meddling::Let => {}
            Meddling::Cancel => deeds.push((wish.at, Deed::Cancel(number))),
            Meddling::Delete => deeds.push((wish.at, Deed::Delete(number))),
        }
    }
    if let Some((at, blow)) = batch.blow {
        deeds.extend(of(at, blow));
    }
    deeds.sort_by_key(|(at, _)| *at);
    deeds
}

fn of(at: Duration, blow: Blow) -> Vec<(Duration, Deed)> {
    let later = |by: Duration| at + by;
    match blow {
        Blow::Kill { back } => vec![(at, Deed::Kill), (later(back), Deed::Restart)],
        Blow::Terminate { back } => vec![(at, Deed::Terminate), (later(back), Deed::Restart)],
        Blow::Freeze { away } => vec![(at, Deed::Freeze), (later(away), Deed::Thaw)],
        Blow::Overtake => vec![
            (Duration::ZERO, Deed::StandBy),
            (at, Deed::Freeze),
            (later(TAKEOVER), Deed::Thaw),
            (later(TAKEOVER + FINDS_OUT), Deed::Retire),
        ],
        Blow::Failover => vec![(Duration::ZERO, Deed::StandBy), (at.max(STANDS_BY), Deed::Kill)],
        Blow::CrashDatabase => vec![(at, Deed::CrashDatabase)],
        Blow::CutDatabase => vec![(at, Deed::CutDatabase)],
        Blow::DatabaseAway { away } => vec![
            (at, Deed::DatabaseAway(true)),
            (later(away), Deed::DatabaseAway(false)),
        ],
        Blow::ClusterAway { away } => vec![
            (at, Deed::ClusterAway(true)),
            (later(away), Deed::ClusterAway(false)),
        ],
    }
}

/// By so much longer than its deadline may a run take that met this: nobody ends a run while nobody is there.
pub(super) fn excuse(batch: &Batch) -> Duration {
    let recovers = Duration::from_secs(10);
    match batch.blow.map(|(_, blow)| blow) {
        None => Duration::ZERO,
        Some(Blow::Kill { back } | Blow::Terminate { back }) => back + recovers,
        Some(Blow::Freeze { away } | Blow::DatabaseAway { away }) => away + recovers,
        // The process may have to begin anew, and to wait for its Lease.
        Some(Blow::ClusterAway { away }) => away + recovers * 3,
        Some(Blow::Overtake | Blow::Failover) => TAKEOVER + recovers,
        Some(Blow::CrashDatabase | Blow::CutDatabase) => recovers,
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::Dice;
    use super::*;

    #[test]
    fn deeds_come_in_time_and_what_goes_comes_back() {
        let mut batch = Dice::quiet();
        assert_eq!(deeds(&batch), []);
        batch.wishes[0].meddling = Meddling::Cancel;
        batch.wishes[0].at = Duration::from_secs(9);
        for (blow, last) in [
            (Blow::Kill { back: TAKEOVER }, Deed::Restart),
            (Blow::Freeze { away: TAKEOVER }, Deed::Thaw),
            (Blow::Overtake, Deed::Retire),
            (Blow::ClusterAway { away: TAKEOVER }, Deed::ClusterAway(false)),
            (Blow::DatabaseAway { away: TAKEOVER }, Deed::DatabaseAway(false)),
        ] {
            batch.blow = Some((Duration::from_secs(1), blow));
            let deeds = deeds(&batch);
            assert!(deeds.is_sorted_by_key(|(at, _)| *at), "{deeds:?}");
            assert!(deeds.iter().any(|(_, deed)| *deed == Deed::Cancel(0)));
            assert_eq!(deeds.last().map(|(_, deed)| *deed), Some(last));
        }
    }
}
