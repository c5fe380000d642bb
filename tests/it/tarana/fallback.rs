//! `listing: Auto`: which faults cause a fallback, which do not, and how long it lasts.

use devenv::simulator::{Config as World, Endpoint, Fault as Trouble, Rule, Simulator};
use jiff::{SignedDuration, Timestamp};
use tarana_operator::fault::Reason;
use tarana_operator::station::Listing;
use tarana_operator::tarana::{Client, Config, ListingFallback};

use super::{assert_whole, config, fetch, simulator};

fn auto(sim: &Simulator) -> Client {
    let config = Config {
        listing: None,
        ..config(sim)
    };
    Client::new(config).unwrap()
}

fn status(endpoint: Endpoint, status: u16) -> Rule {
    Rule::on(endpoint, Trouble::Status { status, body: None })
}

#[tokio::test]
async fn a_listing_that_is_refused_is_replaced_and_that_is_remembered() {
    for refused in [400, 403, 404] {
        let sim = simulator(World::with_base_nodes(60)).await;
        sim.set_rules(vec![status(Endpoint::Search, refused)]);
        let client = auto(&sim);
        let fetched = fetch(&client).await.unwrap();
        assert_whole(&sim, &fetched);
        assert_eq!(fetched.listing, Listing::OperatorList);
        assert!(fetched.fallback_reason.unwrap().contains("RegionSearch"));
        let (listing, since) = client.listing();
        assert_eq!(listing, Listing::OperatorList);
        assert!(since.is_some());
        let asked = sim.counters().requests_to(Endpoint::Search);
        assert_eq!(
            fetch(&client).await.unwrap().fallback_reason,
            None,
            "reported once"
        );
        assert_eq!(
            sim.counters().requests_to(Endpoint::Search),
            asked,
            "not requested again"
        );
        assert_eq!(client.listing(), (listing, since));
    }
}

#[tokio::test]
async fn radio_search_is_the_last_fallback() {
    let sim = simulator(World::with_base_nodes(60)).await;
    sim.set_rules(vec![
        status(Endpoint::Search, 404),
        status(Endpoint::OperatorDevices, 403),
    ]);
    let client = auto(&sim);
    let fetched = fetch(&client).await.unwrap();
    assert_whole(&sim, &fetched);
    assert_eq!(fetched.listing, Listing::RadioSearch);
    sim.set_rules(vec![
        status(Endpoint::Search, 404),
        status(Endpoint::OperatorDevices, 403),
        status(Endpoint::Radios, 400),
    ]);
    let fault = fetch(&auto(&sim)).await.unwrap_err();
    assert_eq!(
        fault.reason,
        Reason::ApiRejected,
        "the fault of the best listing: {fault}"
    );
}

#[tokio::test]
async fn only_a_persistent_500_causes_a_fallback() {
    let sim = simulator(World::with_base_nodes(60)).await;
    sim.set_rules(vec![status(Endpoint::Search, 500)]);
    let client = auto(&sim);
    for _ in 0..2 {
        assert_eq!(fetch(&client).await.unwrap_err().reason, Reason::ApiUnavailable);
    }
    assert_eq!(fetch(&client).await.unwrap().listing, Listing::OperatorList);

    let client = auto(&sim);
    for _ in 0..2 {
        fetch(&client).await.unwrap_err();
        sim.clear_rules();
        assert_eq!(fetch(&client).await.unwrap().listing, Listing::RegionSearch);
        sim.set_rules(vec![status(Endpoint::Search, 500)]);
        fetch(&client).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_passing_or_partial_fault_causes_no_fallback() {
    for (rule, reason) in [
        (
            Rule::on(
                Endpoint::Search,
                Trouble::Throttle {
                    seconds: 3600,
                    as_date: false,
                },
            ),
            Reason::ApiThrottled,
        ),
        (
            Rule::on(Endpoint::Search, Trouble::Reset { after_bytes: None }),
            Reason::ApiUnreachable,
        ),
        (Rule::on(Endpoint::Search, Trouble::NoTotal), Reason::ApiChanged),
        (
            Rule::on(Endpoint::Search, Trouble::DropRows { rows: 2 }),
            Reason::FetchIncomplete,
        ),
        (status(Endpoint::Search, 401), Reason::SessionRejected),
        (status(Endpoint::Search, 403).region(1074), Reason::AccessDenied),
        (
            status(Endpoint::Search, 500).offset_from(10),
            Reason::ApiUnavailable,
        ),
        (status(Endpoint::Regions, 404), Reason::ApiRejected),
    ] {
        let sim = simulator(World::with_base_nodes(60)).await;
        sim.set_rules(vec![rule.clone()]);
        let client = auto(&sim);
        for _ in 0..4 {
            assert_eq!(fetch(&client).await.unwrap_err().reason, reason, "{rule:?}");
        }
        let others = sim.counters().requests_to(Endpoint::OperatorDevices)
            + sim.counters().requests_to(Endpoint::Radios);
        assert_eq!(others, 0, "{rule:?}");
    }
}

#[tokio::test]
async fn after_a_day_the_better_listing_is_tried_again() {
    let ago = |hours| {
        #[expect(
            clippy::disallowed_methods,
            reason = "the age of a fallback is wall-clock time"
        )]
        let now = Timestamp::now();
        ListingFallback {
            listing: Listing::RadioSearch,
            since: now - SignedDuration::from_hours(hours),
        }
    };
    let sim = simulator(World::with_base_nodes(60)).await;
    let client = auto(&sim);
    client.resume_fallback(ago(23));
    assert_eq!(fetch(&client).await.unwrap().listing, Listing::RadioSearch);
    client.resume_fallback(ago(25));
    assert_eq!(fetch(&client).await.unwrap().listing, Listing::RegionSearch);
    assert_eq!(client.listing(), (Listing::RegionSearch, None));
    // A listing that was given up before is given up again at the first failure.
    sim.set_rules(vec![status(Endpoint::Search, 500)]);
    client.resume_fallback(ago(25));
    assert_eq!(fetch(&client).await.unwrap().listing, Listing::OperatorList);
}

#[tokio::test]
async fn a_configured_listing_has_no_fallback() {
    let sim = simulator(World::with_base_nodes(60)).await;
    sim.set_rules(vec![status(Endpoint::Search, 404)]);
    let client = Client::new(config(&sim)).unwrap();
    assert_eq!(fetch(&client).await.unwrap_err().reason, Reason::ApiRejected);
    assert_eq!(client.listing(), (Listing::RegionSearch, None));
}
