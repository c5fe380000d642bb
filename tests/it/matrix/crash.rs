//! The operator is killed at every effect, before and after the server processes it.

use devenv::proxy::Moment;

use super::scenario::{Disruption, Scenario};
use super::{COMMIT, CONNECTION, EVENT, FINALIZER, LOGIN, STATUS, test_all_effects};

async fn test_kills(scenario: Scenario, required: &[&'static str]) {
    let disruptions = [Disruption::Kill(Moment::Before), Disruption::Kill(Moment::After)];
    test_all_effects(scenario, &disruptions, 3, required).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_first_run() {
    let required = [FINALIZER, STATUS, CONNECTION, EVENT, COMMIT, LOGIN];
    test_kills(Scenario::FirstRun, &required).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_run_with_deletes() {
    let required = [FINALIZER, STATUS, EVENT, COMMIT, LOGIN];
    test_kills(Scenario::WithDeletes, &required).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_dry_run() {
    test_kills(Scenario::DryRun, &[FINALIZER, STATUS, EVENT, COMMIT, LOGIN]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_cancelling() {
    test_kills(Scenario::CancelledInFetch, &[FINALIZER, STATUS, EVENT, COMMIT]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_deleting() {
    test_kills(Scenario::DeletedInFetch, &[FINALIZER, STATUS, EVENT, COMMIT]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_while_the_operator_is_down() {
    let required = [FINALIZER, STATUS, EVENT, COMMIT, LOGIN];
    test_kills(Scenario::CancelledWhileDown, &required).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_while_the_operator_is_down() {
    let required = [FINALIZER, STATUS, EVENT, COMMIT, LOGIN];
    test_kills(Scenario::DeletedWhileDown, &required).await;
}
