//! The wires are cut, stall and are slow at every effect; the operator stays and goes on by itself.

use devenv::wires::Moment;

use super::scenario::{Blow, Scenario};
use super::{COMMIT, CONNECTION, EVENT, FINALIZER, LOGIN, STATUS, matrix};

const ALL: [&str; 5] = [FINALIZER, STATUS, EVENT, COMMIT, LOGIN];

#[tokio::test(flavor = "multi_thread")]
async fn cut_in_the_first_run_of_all() {
    let blows = [Blow::Cut(Moment::Before), Blow::Cut(Moment::After)];
    let expected = [FINALIZER, STATUS, CONNECTION, EVENT, COMMIT, LOGIN];
    matrix(Scenario::FromNothing, &blows, 4, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_in_a_run_with_deletes() {
    let blows = [Blow::Cut(Moment::Before), Blow::Cut(Moment::After)];
    matrix(Scenario::WithDeletes, &blows, 4, &ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_in_a_run_with_deletes() {
    let blows = [Blow::Slow(Moment::Before), Blow::Slow(Moment::After)];
    matrix(Scenario::WithDeletes, &blows, 4, &ALL).await;
}

/// Most of the time nothing happens at all: many worlds cost little.
#[tokio::test(flavor = "multi_thread")]
async fn stalled_in_a_run_with_deletes() {
    let blows = [Blow::Stall(Moment::Before), Blow::Stall(Moment::After)];
    matrix(Scenario::WithDeletes, &blows, 12, &ALL).await;
}
