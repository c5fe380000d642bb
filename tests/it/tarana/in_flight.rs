//! How many requests are under way at once: as many as the server takes, found out for a few refusals.

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

/// A server that takes its time, so that requests meet there, and a client that may ask for much.
async fn stage(max_in_flight: u32) -> (Simulator, Client) {
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
async fn a_server_that_takes_eight_is_used_at_eight() {
    for (status, retry_after) in [(429, None), (503, None), (429, Some(1))] {
        let (sim, client) = stage(64).await;
        let rule = overload(8, status, retry_after);
        sim.script(vec![rule.clone()]);
        for _ in 0..3 {
            assert_whole(&sim, &fetch(&client).await.unwrap());
        }
        // In all three: what one reading has learnt, the next one knows.
        let refused = sim.counters().overloaded;
        assert!((1..=5).contains(&refused), "{refused} refusals of {rule:?}");
        // All who are let in hang, so that they can be counted. Where the machine is so busy that answers wait in the client,
        // the server had room when it seemed full, and the limit may end one below.
        sim.script(vec![rule, search(Trouble::Hang { after_bytes: None })]);
        let observe = async {
            tokio::time::timeout(Duration::from_mins(1), sim.until_hanging(7))
                .await
                .expect("seven or eight under way");
            sim.clear();
            // One that is on its way to hang comes after the first release.
            let forever = sim.until(|_| {
                sim.release();
                false
            });
            forever.await;
        };
        tokio::select! {
            fetched = fetch(&client) => assert_whole(&sim, &fetched.unwrap()),
            () = observe => panic!("only the fetch ends"),
        }
        assert_eq!(sim.counters().overloaded, refused, "and not one more was sent");
    }
}

#[tokio::test]
async fn a_small_ceiling_is_used_at_once_and_never_passed() {
    let (sim, client) = stage(4).await;
    client.verify().await.unwrap();
    sim.script(vec![search(Trouble::Hang { after_bytes: None })]);
    let observe = async {
        sim.until_hanging(4).await;
        sim.clear();
        sim.release();
    };
    let (fetched, ()) = tokio::join!(fetch(&client), observe);
    assert_whole(&sim, &fetched.unwrap());
    assert_eq!(sim.counters().in_flight_max, 4);
}

#[tokio::test]
async fn a_server_that_takes_fewer_than_four() {
    for takes in 1..4 {
        let (sim, client) = stage(64).await;
        sim.script(vec![overload(takes, 503, None)]);
        assert_whole(&sim, &fetch(&client).await.unwrap());
        let refused = sim.counters().overloaded;
        assert!((1..=5).contains(&refused), "{refused} refusals at {takes}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_everything_is_left_alone_soon() {
    for (status, want) in [(503, Reason::ApiUnavailable), (429, Reason::ApiThrottled)] {
        let (sim, client) = stage(64).await;
        fetch(&client).await.unwrap();
        let before = sim.counters().of(Endpoint::Any);
        sim.script(vec![overload(0, status, None)]);
        assert_eq!(fetch(&client).await.unwrap_err().reason, want);
        sim.until(|counters| counters.in_flight == 0).await;
        // As many as were under way, and some one by one until it was clear that the number is not the reason.
        let asked = sim.counters().of(Endpoint::Any) - before;
        assert!(asked <= 2 * 64 + 5, "{asked} requests");
        sim.clear();
        // It was no lesson: the next reading is as swift as the last.
        assert_whole(&sim, &fetch(&client).await.unwrap());
    }
}

#[tokio::test]
async fn a_long_wait_ends_the_attempt() {
    let (sim, client) = stage(64).await;
    sim.script(vec![overload(2, 429, Some(30))]);
    let fault = fetch(&client).await.unwrap_err();
    assert_eq!(fault.reason, Reason::ApiThrottled);
    assert_eq!(fault.retry_after, Some(Duration::from_secs(30)));
    assert!(client.throttled_until().is_some());
}

#[tokio::test]
async fn a_request_is_not_sent_again_for_ever() {
    let (sim, client) = stage(4).await;
    // Refused whoever else is there, and told to come back soon: five times in all.
    let trouble = Trouble::Status {
        status: 429,
        body: None,
    };
    sim.script(vec![search(trouble).offset(0).region(1073)]);
    let fault = fetch(&client).await.unwrap_err();
    assert_eq!(fault.reason, Reason::ApiThrottled);
    let sent = sim
        .requests()
        .iter()
        .filter(|r| r.offset == Some(0) && r.regions.as_deref() == Some(&[1073]))
        .count();
    assert!((1..=5).contains(&sent), "sent {sent} times");
}
