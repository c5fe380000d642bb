//! Pure: translates a batch into a list of timed actions.

use std::time::Duration;

use super::batch::{Batch, Disruption, UserAction};
use super::plan::Pace;

/// A Lease expires 15 s after its last renewal; the standby polls for it every few seconds.
const TAKEOVER: Duration = Duration::from_secs(24);
/// How long a deposed leader has to notice before it is terminated.
const DEPOSED_GRACE: Duration = Duration::from_secs(4);
/// How long a standby has to be running before the leader is killed.
const STANDBY_WARMUP: Duration = Duration::from_secs(2);

/// One action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Sets `spec.cancel` of the nth run.
    Cancel(usize),
    /// Deletes the object of the nth run.
    Delete(usize),
    /// SIGKILL of the leader.
    Kill,
    /// SIGTERM of the leader.
    Terminate,
    /// Restarts the operator that was killed or terminated.
    Restart,
    /// Starts a second operator.
    StartStandby,
    /// SIGSTOP of the leader.
    Freeze,
    /// SIGCONT of the stopped operator.
    Thaw,
    /// SIGTERM of the deposed leader.
    TerminateDeposed,
    CrashDatabase,
    TerminateConnections,
    SetDatabaseUnreachable(bool),
    SetApiServerUnreachable(bool),
    /// Sets the clock of the operators, in seconds ahead of the real time.
    SetClock(i64),
}

/// The actions of a batch in order of time, counted from the creation of the runs.
pub(super) fn timed_actions(batch: &Batch) -> Vec<(Duration, Action)> {
    let mut actions = Vec::new();
    for (number, request) in batch.requests.iter().enumerate() {
        match request.user_action {
            UserAction::None => {}
            UserAction::Cancel => actions.push((request.acts_at, Action::Cancel(number))),
            UserAction::Delete => actions.push((request.acts_at, Action::Delete(number))),
        }
    }
    if let Some((at, disruption)) = batch.disruption {
        actions.extend(disruption_actions(at, disruption));
    }
    actions.sort_by_key(|(at, _)| *at);
    actions
}

fn disruption_actions(at: Duration, disruption: Disruption) -> Vec<(Duration, Action)> {
    let later = |by: Duration| at + by;
    match disruption {
        Disruption::Kill { restart_after } => {
            vec![(at, Action::Kill), (later(restart_after), Action::Restart)]
        }
        Disruption::Terminate { restart_after } => {
            vec![(at, Action::Terminate), (later(restart_after), Action::Restart)]
        }
        Disruption::Freeze { duration } => vec![(at, Action::Freeze), (later(duration), Action::Thaw)],
        Disruption::Depose => vec![
            (Duration::ZERO, Action::StartStandby),
            (at, Action::Freeze),
            (later(TAKEOVER), Action::Thaw),
            (later(TAKEOVER + DEPOSED_GRACE), Action::TerminateDeposed),
        ],
        Disruption::Failover => vec![
            (Duration::ZERO, Action::StartStandby),
            (at.max(STANDBY_WARMUP), Action::Kill),
        ],
        Disruption::CrashDatabase => vec![(at, Action::CrashDatabase)],
        Disruption::TerminateConnections => vec![(at, Action::TerminateConnections)],
        Disruption::DatabaseOutage { duration } => vec![
            (at, Action::SetDatabaseUnreachable(true)),
            (later(duration), Action::SetDatabaseUnreachable(false)),
        ],
        Disruption::ApiServerOutage { duration } => vec![
            (at, Action::SetApiServerUnreachable(true)),
            (later(duration), Action::SetApiServerUnreachable(false)),
        ],
        Disruption::StepClock { offset } => vec![(at, Action::SetClock(offset))],
    }
}

/// By how much a run may exceed its deadline because of the disruption: no operator ends a run while none is running.
pub(super) fn extra_time(batch: &Batch, pace: &Pace) -> Duration {
    let recovery = Duration::from_secs(10);
    match batch.disruption.map(|(_, disruption)| disruption) {
        None => Duration::ZERO,
        Some(Disruption::Kill { restart_after } | Disruption::Terminate { restart_after }) => {
            restart_after + recovery
        }
        Some(Disruption::Freeze { duration } | Disruption::DatabaseOutage { duration }) => {
            duration + recovery
        }
        // The operator may have to restart and to wait for its Lease.
        Some(Disruption::ApiServerOutage { duration }) => duration + recovery * 3,
        Some(Disruption::Depose | Disruption::Failover) => TAKEOVER + recovery,
        Some(Disruption::CrashDatabase | Disruption::TerminateConnections) => recovery,
        // A clock that steps back from the one end to the other prolongs the run by as much.
        Some(Disruption::StepClock { .. }) => pace.max_clock_offset * 2 + recovery,
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::BatchGenerator;
    use super::*;

    #[test]
    fn actions_are_in_order_and_every_disruption_is_reverted() {
        let mut batch = BatchGenerator::without_faults();
        assert_eq!(timed_actions(&batch), []);
        batch.requests[0].user_action = UserAction::Cancel;
        batch.requests[0].acts_at = Duration::from_secs(9);
        for (disruption, last) in [
            (
                Disruption::Kill {
                    restart_after: TAKEOVER,
                },
                Action::Restart,
            ),
            (Disruption::Freeze { duration: TAKEOVER }, Action::Thaw),
            (Disruption::Depose, Action::TerminateDeposed),
            (
                Disruption::ApiServerOutage { duration: TAKEOVER },
                Action::SetApiServerUnreachable(false),
            ),
            (
                Disruption::DatabaseOutage { duration: TAKEOVER },
                Action::SetDatabaseUnreachable(false),
            ),
        ] {
            batch.disruption = Some((Duration::from_secs(1), disruption));
            let actions = timed_actions(&batch);
            assert!(actions.is_sorted_by_key(|(at, _)| *at), "{actions:?}");
            assert!(actions.iter().any(|(_, action)| *action == Action::Cancel(0)));
            assert_eq!(actions.last().map(|(_, action)| *action), Some(last));
        }
    }
}
