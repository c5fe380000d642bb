//! The operator is killed at the effects of a run, before and after the server processes them.

use devenv::proxy::Moment;

use super::scenario::{Disruption, Scenario};
use super::{COMMIT, CONNECTION, EVENT, Extent, FINALIZER, LOGIN, STATUS, test_effects};

/// What runs of this kind always do.
fn required(scenario: Scenario) -> &'static [&'static str] {
    match scenario {
        Scenario::FirstRun => &[FINALIZER, STATUS, CONNECTION, EVENT, COMMIT, LOGIN],
        Scenario::CancelledInFetch | Scenario::DeletedInFetch => &[FINALIZER, STATUS, EVENT, COMMIT],
        _ => &[FINALIZER, STATUS, EVENT, COMMIT, LOGIN],
    }
}

async fn test_kills(extent: Extent, scenario: Scenario) {
    let disruptions = [Disruption::Kill(Moment::Before), Disruption::Kill(Moment::After)];
    test_effects(extent, scenario, &disruptions, 3, required(scenario)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_first_run() {
    test_kills(Extent::Sample, Scenario::FirstRun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_run_with_deletes() {
    test_kills(Extent::Sample, Scenario::WithDeletes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_dry_run() {
    test_kills(Extent::Sample, Scenario::DryRun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_cancelling() {
    test_kills(Extent::Sample, Scenario::CancelledInFetch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_deleting() {
    test_kills(Extent::Sample, Scenario::DeletedInFetch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_while_the_operator_is_down() {
    test_kills(Extent::Sample, Scenario::CancelledWhileDown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_while_the_operator_is_down() {
    test_kills(Extent::Sample, Scenario::DeletedWhileDown).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn killed_at_every_effect() {
    for scenario in [
        Scenario::FirstRun,
        Scenario::WithDeletes,
        Scenario::DryRun,
        Scenario::CancelledInFetch,
        Scenario::DeletedInFetch,
        Scenario::CancelledWhileDown,
        Scenario::DeletedWhileDown,
    ] {
        test_kills(Extent::Whole, scenario).await;
    }
}
