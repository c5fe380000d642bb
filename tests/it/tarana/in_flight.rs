//! Requests in flight: as many as the server accepts, learned from a few rejections.

use std::time::Duration;

use devenv::simulator::{Config as World, Endpoint, Fault as Trouble, Rule, Simulator};
use tarana_operator::fault::Reason;
use tarana_operator::tarana::{Client, Config};

use super::{assert_whole, config, fetch, search, simulator};

fn overload(limit: usize, status: u16, retry_after: Option<u64>) -> Rule {
    let trouble = Trouble::Overload {
        limit,
        status,
        retry_after,
    };
    Rule::on(Endpoint::Any, trouble)
}

/// A slow server, on which requests overlap, and a client with this ceiling.
async fn setup(max_in_flight: u32) -> (Simulator, Client) {
    let sim = simulator(World {
        latency: Duration::from_millis(40),
        ..World::default()
    })
    .await;
    let client = Client::new(Config {
        max_in_flight,
        ..config(&sim)
    })
    .unwrap();
    (sim, client)
}

#[tokio::test]
async fn a_server_with_capacity_eight_is_used_at_eight() {
    for (status, retry_after) in [(429, None), (503, None), (429, Some(1))] {
        let (sim, client) = setup(64).await;
        let rule = overload(8, status, retry_after);
        sim.set_rules(vec![rule.clone()]);
        for _ in 0..3 {
            assert_whole(&sim, &fetch(&client).await.unwrap());
        }
        // The bound is for all three readings: each one keeps what the previous ones learned.
        let rejected = sim.counters().overloaded;
        assert!((1..=5).contains(&rejected), "{rejected} rejections by {rule:?}");
        tokio::time::timeout(Duration::from_mins(2), until_used_at(7, &rule, &sim, &client))
            .await
            .expect("seven or eight requests in flight");
        assert_eq!(
            sim.counters().overloaded,
            rejected,
            "another request was rejected"
        );
    }
}

/// Fetches until this many requests are in flight at once. On a busy machine answers wait in the client: then the server has
/// capacity left when it seems full, so the limit may be one lower, and slow answers lower it further for a while.
async fn until_used_at(level: usize, rule: &Rule, sim: &Simulator, client: &Client) {
    let mut reached = false;
    while !reached {
        // Accepted requests hang, so that they can be counted.
        sim.set_rules(vec![rule.clone(), search(Trouble::Hang { after_bytes: None })]);
        let observe = async {
            let hanging = sim.wait_until_hanging(level);
            reached = tokio::time::timeout(Duration::from_secs(5), hanging)
                .await
                .is_ok();
            sim.set_rules(vec![rule.clone()]);
            // A request that was accepted before may start to hang after the first release.
            sim.wait_until(|_| {
                sim.release_hanging();
                false
            })
            .await;
        };
        tokio::select! {
            fetched = fetch(client) => assert_whole(sim, &fetched.unwrap()),
            () = observe => unreachable!("only the fetch ends"),
        }
    }
}

#[tokio::test]
async fn a_small_ceiling_is_used_at_once_and_never_exceeded() {
    let (sim, client) = setup(4).await;
    client.verify().await.unwrap();
    sim.set_rules(vec![search(Trouble::Hang { after_bytes: None })]);
    let observe = async {
        sim.wait_until_hanging(4).await;
        sim.clear_rules();
        sim.release_hanging();
    };
    let (fetched, ()) = tokio::join!(fetch(&client), observe);
    assert_whole(&sim, &fetched.unwrap());
    assert_eq!(sim.counters().in_flight_max, 4);
}

#[tokio::test]
async fn a_server_with_a_capacity_below_four_is_used() {
    for capacity in 1..4 {
        let (sim, client) = setup(64).await;
        sim.set_rules(vec![overload(capacity, 503, None)]);
        assert_whole(&sim, &fetch(&client).await.unwrap());
        let rejected = sim.counters().overloaded;
        assert!(
            (1..=5).contains(&rejected),
            "{rejected} rejections at capacity {capacity}"
        );
    }
}

#[tokio::test]
async fn a_server_that_rejects_everything_ends_the_attempt_soon() {
    for (status, want) in [(503, Reason::ApiUnavailable), (429, Reason::ApiThrottled)] {
        let (sim, client) = setup(64).await;
        fetch(&client).await.unwrap();
        let before = sim.counters().requests_to(Endpoint::Any);
        sim.set_rules(vec![overload(0, status, None)]);
        assert_eq!(fetch(&client).await.unwrap_err().reason, want);
        sim.wait_until(|counters| counters.in_flight == 0).await;
        // All that were in flight, and a few single ones until concurrency is ruled out as the reason.
        let sent = sim.counters().requests_to(Endpoint::Any) - before;
        assert!(sent <= 2 * 64 + 5, "{sent} requests");
        sim.clear_rules();
        // The next reading succeeds.
        assert_whole(&sim, &fetch(&client).await.unwrap());
    }
}

#[tokio::test]
async fn a_long_retry_after_ends_the_attempt() {
    let (sim, client) = setup(64).await;
    sim.set_rules(vec![overload(2, 429, Some(30))]);
    let fault = fetch(&client).await.unwrap_err();
    assert_eq!(fault.reason, Reason::ApiThrottled);
    assert_eq!(fault.retry_after, Some(Duration::from_secs(30)));
    assert!(client.throttled_until().is_some());
}

#[tokio::test]
async fn a_request_is_sent_at_most_five_times() {
    let (sim, client) = setup(4).await;
    let trouble = Trouble::Status {
        status: 429,
        body: None,
    };
    sim.set_rules(vec![search(trouble).offset(0).region(1073)]);
    let fault = fetch(&client).await.unwrap_err();
    assert_eq!(fault.reason, Reason::ApiThrottled);
    let sent = sim
        .requests()
        .iter()
        .filter(|r| r.offset == Some(0) && r.regions.as_deref() == Some(&[1073]))
        .count();
    assert!((1..=5).contains(&sent), "sent {sent} times");
}
