//! Connections are cut, stalled and slow at the effects of a run. The operator keeps running and recovers by itself.

use devenv::proxy::Moment;

use super::scenario::{Disruption, Scenario};
use super::{COMMIT, CONNECTION, EVENT, Extent, FINALIZER, LOGIN, STATUS, test_effects, test_effects_named};

const REQUIRED: [&str; 5] = [FINALIZER, STATUS, EVENT, COMMIT, LOGIN];

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_in_the_first_run() {
    let disruptions = [Disruption::Cut(Moment::Before), Disruption::Cut(Moment::After)];
    let required = [FINALIZER, STATUS, CONNECTION, EVENT, COMMIT, LOGIN];
    test_effects(Extent::Sample, Scenario::FirstRun, &disruptions, 6, &required).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_in_a_run_with_deletes() {
    let disruptions = [Disruption::Cut(Moment::Before), Disruption::Cut(Moment::After)];
    test_effects(Extent::Sample, Scenario::WithDeletes, &disruptions, 6, &REQUIRED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_slow_in_a_run_with_deletes() {
    let disruptions = [Disruption::Slow(Moment::Before), Disruption::Slow(Moment::After)];
    test_effects(Extent::Sample, Scenario::WithDeletes, &disruptions, 6, &REQUIRED).await;
}

/// Many test beds, because a case mostly waits.
#[tokio::test(flavor = "multi_thread")]
async fn connections_stalled_in_a_run_with_deletes() {
    let disruptions = [
        Disruption::Stall(Moment::Before),
        Disruption::Stall(Moment::After),
    ];
    test_effects(Extent::Sample, Scenario::WithDeletes, &disruptions, 8, &REQUIRED).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn commits_stalled_in_a_run_with_deletes() {
    let disruptions = [
        Disruption::StallCommit(Moment::Before),
        Disruption::StallCommit(Moment::After),
    ];
    test_effects_named(Scenario::WithDeletes, &disruptions, 8, COMMIT).await;
}

/// Cuts, then stalls the connection at each effect of runs of this kind.
async fn test_connections(scenario: Scenario, required: &[&'static str]) {
    let cuts = [Disruption::Cut(Moment::Before), Disruption::Cut(Moment::After)];
    let stalls = [
        Disruption::Stall(Moment::Before),
        Disruption::Stall(Moment::After),
    ];
    test_effects(Extent::Whole, scenario, &cuts, 4, required).await;
    test_effects(Extent::Whole, scenario, &stalls, 8, required).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn connections_disrupted_in_the_first_run() {
    let required = [FINALIZER, STATUS, CONNECTION, EVENT, COMMIT, LOGIN];
    test_connections(Scenario::FirstRun, &required).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn connections_disrupted_in_a_run_with_deletes() {
    let slow = [Disruption::Slow(Moment::Before), Disruption::Slow(Moment::After)];
    test_connections(Scenario::WithDeletes, &REQUIRED).await;
    test_effects(Extent::Whole, Scenario::WithDeletes, &slow, 6, &REQUIRED).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn connections_disrupted_in_a_dry_run() {
    test_connections(Scenario::DryRun, &REQUIRED).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn connections_disrupted_while_cancelling() {
    test_connections(Scenario::CancelledInFetch, &[FINALIZER, STATUS, EVENT, COMMIT]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn connections_disrupted_while_deleting() {
    test_connections(Scenario::DeletedInFetch, &[FINALIZER, STATUS, EVENT, COMMIT]).await;
}
