//! Login, refresh, expiry, and rejection of sessions.

use std::time::Duration;

use devenv::simulator::{Config as World, Endpoint, Fault as Trouble, Rule, TokensIn};
use tarana_operator::fault::Reason;
use tarana_operator::tarana::{Client, Config};

use super::{assert_whole, config, fetch, search, simulator};

#[tokio::test]
async fn tokens_from_cookies_or_body() {
    for tokens_in in [TokensIn::Both, TokensIn::Cookies, TokensIn::Body] {
        let sim = simulator(World {
            tokens_in,
            ..World::with_base_nodes(20)
        })
        .await;
        let client = Client::new(config(&sim)).unwrap();
        assert_eq!(client.verify().await.unwrap().operator_id, 219);
        sim.expire_sessions(false);
        assert_whole(&sim, &fetch(&client).await.unwrap());
        let counters = sim.counters();
        assert_eq!((counters.logins, counters.refreshes), (1, 1), "{tokens_in:?}");
    }
}

#[tokio::test]
async fn concurrent_calls_share_one_login() {
    let sim = simulator(World {
        latency: Duration::from_millis(20),
        ..World::with_base_nodes(20)
    })
    .await;
    let client = Client::new(config(&sim)).unwrap();
    let calls = (0..8).map(|_| client.verify());
    for outcome in futures::future::join_all(calls).await {
        outcome.unwrap();
    }
    assert_eq!(sim.counters().logins, 1);
}

#[tokio::test]
async fn an_expired_session_is_renewed_during_a_fetch() {
    for refresh_too in [false, true] {
        let sim = simulator(World::with_base_nodes(60)).await;
        let client = Client::new(config(&sim)).unwrap();
        client.verify().await.unwrap();
        sim.expire_sessions(refresh_too);
        assert_whole(&sim, &fetch(&client).await.unwrap());
        let counters = sim.counters();
        let want = if refresh_too { (2, 0) } else { (1, 1) };
        assert_eq!((counters.logins, counters.refreshes), want);
    }
    let sim = simulator(World::with_base_nodes(60)).await;
    sim.set_rules(vec![search(Trouble::Expire).after(2).times(3)]);
    assert_whole(&sim, &fetch(&Client::new(config(&sim)).unwrap()).await.unwrap());
}

#[tokio::test]
async fn a_session_is_refreshed_before_it_expires() {
    let token_lifetime = Duration::from_mins(10);
    let sim = simulator(World {
        token_lifetime,
        ..World::with_base_nodes(20)
    })
    .await;
    let client = Client::new(config(&sim)).unwrap();
    client.verify().await.unwrap();
    let (step, mut elapsed) = (Duration::from_secs(20), Duration::ZERO);
    while sim.counters().refreshes == 0 {
        elapsed += step;
        assert!(elapsed < token_lifetime, "no refresh");
        advance_clock(step).await;
        client.verify().await.unwrap();
    }
    // One minute ahead.
    assert!(elapsed > Duration::from_mins(8), "refreshed after {elapsed:?}");
    let counters = sim.counters();
    assert_eq!((counters.logins, counters.refreshes), (1, 1));
    assert!(
        sim.requests().iter().all(|r| r.status == 200),
        "a call was rejected"
    );
}

/// Advances the clock of client and simulator, which share this runtime. Steps are shorter than the timeout of idle connections.
async fn advance_clock(step: Duration) {
    tokio::time::pause();
    tokio::time::advance(step).await;
    tokio::time::resume();
}

#[tokio::test]
async fn refused_credentials_are_left_alone() {
    let sim = simulator(World::with_base_nodes(20)).await;
    let client = Client::new(Config {
        password: "wrong".into(),
        ..config(&sim)
    })
    .unwrap();
    for _ in 0..3 {
        let fault = fetch(&client).await.unwrap_err();
        assert_eq!(fault.reason, Reason::AuthenticationFailed);
        assert!(fault.is_permanent());
        for part in ["spec.api.credentialsSecretRef", "15 min", "Secret"] {
            assert!(fault.message.contains(part), "{fault}");
        }
    }
    assert_eq!(sim.counters().failed_logins, 1);
    Client::new(config(&sim)).unwrap().verify().await.unwrap();
}

/// Another program logs in with the same account again and again.
#[tokio::test]
async fn a_session_that_is_rejected_after_each_login_pauses_no_login() {
    let sim = simulator(World::with_base_nodes(20)).await;
    sim.set_rules(vec![search(Trouble::Status {
        status: 401,
        body: None,
    })]);
    let client = Client::new(Config {
        max_in_flight: 1,
        ..config(&sim)
    })
    .unwrap();
    let fault = fetch(&client).await.unwrap_err();
    assert_eq!(fault.reason, Reason::SessionRejected);
    assert!(
        !fault.is_permanent() && fault.message.contains("the same account"),
        "{fault}"
    );
    let counters = sim.counters();
    assert_eq!(
        (
            counters.logins,
            counters.refreshes,
            counters.requests_to(Endpoint::Search)
        ),
        (4, 1, 5),
        "one login before, then a refresh and three logins for the request"
    );
    sim.clear_rules();
    assert_whole(&sim, &fetch(&client).await.unwrap());
}

#[tokio::test]
async fn a_session_that_ends_every_few_requests_is_renewed_each_time() {
    let sim = simulator(World::with_base_nodes(60)).await;
    let offsets = [0, 10, 20, 30];
    let expiring = offsets.map(|offset| search(Trouble::Expire).offset(offset).once());
    sim.set_rules(expiring.to_vec());
    assert_whole(&sim, &fetch(&Client::new(config(&sim)).unwrap()).await.unwrap());
}

/// A change that does not concern the login continues its session, or the pause after a refused one.
#[tokio::test]
async fn a_new_client_with_the_same_login_does_not_log_in_again() {
    let sim = simulator(World::with_base_nodes(20)).await;
    let first = Client::new(config(&sim)).unwrap();
    first.verify().await.unwrap();
    let mut second = Client::new(Config {
        page_size: 7,
        ..config(&sim)
    })
    .unwrap();
    second.continue_session_of(&first);
    assert_whole(&sim, &fetch(&second).await.unwrap());
    assert_eq!(sim.counters().logins, 1);

    let wrong = || Config {
        password: "wrong".into(),
        ..config(&sim)
    };
    let refused = Client::new(wrong()).unwrap();
    refused.verify().await.unwrap_err();
    let mut same = Client::new(wrong()).unwrap();
    same.continue_session_of(&refused);
    assert_eq!(
        same.verify().await.unwrap_err().reason,
        Reason::AuthenticationFailed
    );
    assert_eq!(sim.counters().failed_logins, 1);
    let mut corrected = Client::new(config(&sim)).unwrap();
    corrected.continue_session_of(&refused);
    corrected.verify().await.unwrap();
}

#[tokio::test]
async fn a_challenge_is_for_a_person() {
    let sim = simulator(World::with_base_nodes(20)).await;
    sim.set_rules(vec![Rule::on(
        Endpoint::Login,
        Trouble::Challenge { result: None },
    )]);
    let client = Client::new(config(&sim)).unwrap();
    for _ in 0..2 {
        let fault = client.verify().await.unwrap_err();
        assert_eq!(fault.reason, Reason::AuthenticationChallenge, "{fault}");
        assert!(fault.message.contains("portal"), "{fault}");
    }
    assert_eq!(sim.counters().requests_to(Endpoint::Login), 1);
}

#[tokio::test]
async fn a_login_with_a_transient_fault_is_tried_again() {
    for (trouble, want) in [
        (
            Trouble::Status {
                status: 503,
                body: None,
            },
            Reason::ApiUnavailable,
        ),
        (Trouble::Reset { after_bytes: None }, Reason::ApiUnreachable),
        (Trouble::Html, Reason::ApiChanged),
    ] {
        let sim = simulator(World::with_base_nodes(20)).await;
        sim.set_rules(vec![Rule::on(Endpoint::Login, trouble).once()]);
        let client = Client::new(config(&sim)).unwrap();
        assert_eq!(client.verify().await.unwrap_err().reason, want);
        client.verify().await.unwrap();
    }
}
