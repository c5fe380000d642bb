//! The operator is killed at every effect, at both moments.

use devenv::wires::Moment;

use super::scenario::{Blow, Scenario};
use super::{COMMIT, CONNECTION, EVENT, FINALIZER, LOGIN, STATUS, matrix};

async fn killed(scenario: Scenario, expected: &[&'static str]) {
    let blows = [Blow::Kill(Moment::Before), Blow::Kill(Moment::After)];
    matrix(scenario, &blows, 3, expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_first_run_of_all() {
    let expected = [FINALIZER, STATUS, CONNECTION, EVENT, COMMIT, LOGIN];
    killed(Scenario::FromNothing, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_run_with_deletes() {
    let expected = [FINALIZER, STATUS, EVENT, COMMIT, LOGIN];
    killed(Scenario::WithDeletes, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_dry_run() {
    killed(Scenario::Dry, &[FINALIZER, STATUS, EVENT, COMMIT, LOGIN]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_run_that_is_being_cancelled() {
    killed(Scenario::Cancelling, &[FINALIZER, STATUS, EVENT, COMMIT]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_run_that_is_being_deleted() {
    killed(Scenario::Deleting, &[FINALIZER, STATUS, EVENT, COMMIT]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_run_that_is_cancelled_while_nobody_works() {
    let expected = [FINALIZER, STATUS, EVENT, COMMIT, LOGIN];
    killed(Scenario::CancelledMeanwhile, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_run_that_is_deleted_while_nobody_works() {
    let expected = [FINALIZER, STATUS, EVENT, COMMIT, LOGIN];
    killed(Scenario::DeletedMeanwhile, &expected).await;
}
