//! Every failure of the transport and of the API has its reason, and no fault shows a secret.

use std::time::{Duration, Instant};

use devenv::simulator::{
    Config as World, CutLength, Endpoint, ErrorShape, Fault as Trouble, Rule, Transport,
};
use tarana_operator::fault::Reason;
use tarana_operator::tarana::{Client, Config};

use super::{assert_whole, config, fetch, reason, search, simulator, under};

fn status(status: u16) -> Trouble {
    Trouble::Status { status, body: None }
}

#[tokio::test]
async fn troubles_and_their_reasons() {
    let rbac = Trouble::Status {
        status: 403,
        body: Some("RBAC: access denied".into()),
    };
    for (trouble, want) in [
        (status(400), Reason::ApiRejected),
        (status(403), Reason::AccessDenied),
        (rbac, Reason::AccessDenied),
        (status(404), Reason::ApiRejected),
        (status(500), Reason::ApiUnavailable),
        (status(503), Reason::ApiUnavailable),
        (
            Trouble::Throttle {
                seconds: 6,
                as_date: false,
            },
            Reason::ApiThrottled,
        ),
        (
            Trouble::ErrorUnder200 {
                shape: ErrorShape::Nqs,
            },
            Reason::ApiUnavailable,
        ),
        (
            Trouble::ErrorUnder200 {
                shape: ErrorShape::Tmq,
            },
            Reason::ApiUnavailable,
        ),
        (
            Trouble::ErrorUnder200 {
                shape: ErrorShape::Both,
            },
            Reason::ApiUnavailable,
        ),
    ] {
        expect(trouble, want).await;
    }
}

#[tokio::test]
async fn a_read_that_fails_once_is_repeated_whatever_the_answer_was() {
    let cut = |length| Trouble::Cut { bytes: 200, length };
    for trouble in [
        status(302),
        status(400),
        status(403),
        status(404),
        status(409),
        status(413),
        status(418),
        status(425),
        status(500),
        status(502),
        status(503),
        status(504),
        Trouble::Html,
        Trouble::Redirect { to: None },
        Trouble::MissingItems,
        Trouble::NoTotal,
        Trouble::Reset { after_bytes: None },
        cut(CutLength::Right),
        cut(CutLength::Wrong),
        cut(CutLength::Chunked),
        Trouble::ErrorUnder200 {
            shape: ErrorShape::Nqs,
        },
    ] {
        for endpoint in [Endpoint::Search, Endpoint::Regions] {
            let rule = Rule::on(endpoint, trouble.clone()).once();
            let (sim, fetched) = under(vec![rule.clone()]).await;
            let fetched = fetched.unwrap_or_else(|fault| panic!("{rule:?}: {fault}"));
            assert_whole(&sim, &fetched);
            assert!(sim.rules()[0].fired > 0, "{rule:?}");
        }
    }
}

#[tokio::test]
async fn a_fault_says_how_often_it_was_seen() {
    let (sim, outcome) = under(vec![search(status(403)).region(1073).offset(0)]).await;
    let fault = outcome.unwrap_err();
    assert!(fault.message.contains("it failed 4 times in a row"), "{fault}");
    drop(sim);
}

/// Asserts the reason of a fetch under this fault on the first pages.
async fn expect(trouble: Trouble, want: Reason) {
    let found = reason(search(trouble.clone()).offset(0)).await;
    assert_eq!(found, want, "{trouble:?}");
}

#[tokio::test]
async fn answers_that_cannot_be_read_and_their_reasons() {
    let cut = |length| Trouble::Cut { bytes: 200, length };
    for (trouble, want) in [
        (Trouble::Html, Reason::ApiChanged),
        (Trouble::Redirect { to: None }, Reason::ApiChanged),
        (Trouble::MissingItems, Reason::ApiChanged),
        (Trouble::NoTotal, Reason::ApiChanged),
        (Trouble::EndlessBody, Reason::ResponseTooLarge),
        (Trouble::HugeBody { bytes: 65 << 20 }, Reason::ResponseTooLarge),
        (Trouble::Reset { after_bytes: None }, Reason::ApiUnreachable),
        (
            Trouble::Reset {
                after_bytes: Some(200),
            },
            Reason::ApiUnreachable,
        ),
        (cut(CutLength::Right), Reason::ApiUnreachable),
        (cut(CutLength::Wrong), Reason::ApiUnreachable),
        (cut(CutLength::Chunked), Reason::ApiUnreachable),
    ] {
        expect(trouble, want).await;
    }
}

#[tokio::test]
async fn harmless_oddities_are_accepted() {
    for trouble in [
        Trouble::ByteOrderMark,
        Trouble::Gzip,
        Trouble::HugeBody { bytes: 1 << 20 },
        Trouble::Latency { ms: 20 },
    ] {
        let (sim, fetched) = under(vec![search(trouble)]).await;
        assert_whole(&sim, &fetched.unwrap());
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = simulator(World::with_base_nodes(1)).await;
    let to = Some(format!("{}/login", elsewhere.url()));
    let (_sim, outcome) = under(vec![search(Trouble::Redirect { to })]).await;
    assert_eq!(outcome.unwrap_err().reason, Reason::ApiChanged);
    assert_eq!(elsewhere.counters().requests_to(Endpoint::Any), 0);
}

#[tokio::test]
async fn silence_ends_in_time() {
    for trouble in [
        Trouble::Hang { after_bytes: None },
        Trouble::Hang {
            after_bytes: Some(100),
        },
        Trouble::SlowBody {
            chunk: 1,
            every_ms: 50,
        },
    ] {
        let sim = simulator(World::with_base_nodes(60)).await;
        sim.set_rules(vec![search(trouble.clone()).after(2)]);
        let request_timeout = Duration::from_millis(300);
        let client = Client::new(Config {
            request_timeout,
            ..config(&sim)
        })
        .unwrap();
        // Without the request timeout none of these answers ends within a minute.
        let fault = tokio::time::timeout(Duration::from_mins(1), fetch(&client))
            .await
            .unwrap_or_else(|_| panic!("{trouble:?} did not end"))
            .unwrap_err();
        assert_eq!(fault.reason, Reason::ApiUnreachable, "{trouble:?}");
        assert!(
            fault.message.contains("spec.api.requestTimeoutSeconds"),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn after_429_nothing_goes_out_until_then() {
    for as_date in [false, true] {
        let sim = simulator(World::with_base_nodes(60)).await;
        sim.set_rules(vec![
            search(Trouble::Throttle {
                seconds: 600,
                as_date,
            })
            .once(),
        ]);
        let client = Client::new(config(&sim)).unwrap();
        let fault = fetch(&client).await.unwrap_err();
        assert_eq!(fault.reason, Reason::ApiThrottled);
        assert!(!fault.is_permanent());
        let wait = fault.retry_after.unwrap();
        assert!((598..=601).contains(&wait.as_secs()), "{wait:?}");
        assert!(client.throttled_until().unwrap() > Instant::now() + Duration::from_mins(5));
        sim.wait_until(|counters| counters.in_flight == 0).await;
        let before = sim.counters().requests_to(Endpoint::Any);
        let second = client.verify().await.unwrap_err();
        assert_eq!(second.reason, Reason::ApiThrottled);
        assert!(second.retry_after.unwrap() <= Duration::from_secs(601));
        assert_eq!(sim.counters().requests_to(Endpoint::Any), before);
    }
}

#[tokio::test]
async fn a_short_hold_is_waited_for() {
    for as_date in [false, true] {
        let (sim, fetched) = under(vec![search(Trouble::Throttle { seconds: 2, as_date }).once()]).await;
        assert_whole(&sim, &fetched.unwrap());
    }
    let sim = simulator(World::with_base_nodes(60)).await;
    let seconds = Trouble::Throttle {
        seconds: 1,
        as_date: false,
    };
    // A login is never sent again by itself; the next call waits for the pause.
    sim.set_rules(vec![Rule::on(Endpoint::Login, seconds).once()]);
    let client = Client::new(config(&sim)).unwrap();
    assert_eq!(fetch(&client).await.unwrap_err().reason, Reason::ApiThrottled);
    assert_whole(&sim, &fetch(&client).await.unwrap());
    assert_eq!(client.throttled_until(), None);
}

#[tokio::test]
async fn nobody_there() {
    let sim = simulator(World::with_base_nodes(1)).await;
    let config = config(&sim);
    sim.stop().await;
    for (base_url, says) in [
        (config.base_url.clone(), "refused the connection"),
        ("http://no-such-host.invalid".to_owned(), "cannot be resolved"),
    ] {
        let client = Client::new(Config {
            base_url,
            ..config.clone()
        })
        .unwrap();
        let fault = client.verify().await.unwrap_err();
        assert_eq!(fault.reason, Reason::ApiUnreachable);
        assert!(
            fault.message.contains(says) && fault.message.contains("spec.api.url"),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn tls_is_verified() {
    let sim = simulator(World {
        transport: Transport::SelfSigned,
        ..World::with_base_nodes(5)
    })
    .await;
    let other = simulator(World {
        transport: Transport::SelfSigned,
        ..World::with_base_nodes(5)
    })
    .await;
    let ca = |s: &devenv::simulator::Simulator| s.ca_pem().map(|pem| pem.as_bytes().to_vec());
    for ca_pem in [None, ca(&other)] {
        let client = Client::new(Config {
            ca_pem,
            ..config(&sim)
        })
        .unwrap();
        let fault = client.verify().await.unwrap_err();
        assert_eq!(fault.reason, Reason::ApiTlsFailed, "{fault}");
        assert!(fault.message.contains("spec.api.caSecretRef"), "{fault}");
    }
    let client = Client::new(Config {
        ca_pem: ca(&sim),
        ..config(&sim)
    })
    .unwrap();
    assert_whole(&sim, &fetch(&client).await.unwrap());
    let base_url = sim.url().replace("127.0.0.1", "127.0.0.2");
    let client = Client::new(Config {
        base_url,
        ca_pem: ca(&sim),
        ..config(&sim)
    })
    .unwrap();
    assert!(client.verify().await.is_err(), "another host");
    let plain = simulator(World::with_base_nodes(1)).await;
    let base_url = plain.url().replace("http:", "https:");
    let fault = Client::new(Config {
        base_url,
        ..config(&plain)
    })
    .unwrap()
    .verify()
    .await
    .unwrap_err();
    assert_eq!(fault.reason, Reason::ApiTlsFailed, "{fault}");
}

#[tokio::test]
async fn one_region_of_several_is_refused() {
    let (sim, outcome) = under(vec![search(status(403)).region(1073)]).await;
    let fault = outcome.unwrap_err();
    assert_eq!(fault.reason, Reason::AccessDenied);
    assert!(fault.message.contains("1073"), "{fault}");
    drop(sim);
}

#[tokio::test]
async fn no_fault_shows_a_secret() {
    let canary = "c4n4ry-p4ssword";
    for (endpoint, trouble) in [
        (Endpoint::Login, status(500)),
        (Endpoint::Login, status(401)),
        (Endpoint::Login, Trouble::Html),
        (
            Endpoint::Search,
            Trouble::Status {
                status: 400,
                body: Some(format!("{{\"{canary}\":1}}")),
            },
        ),
        (
            Endpoint::Search,
            Trouble::Status {
                status: 200,
                body: Some(canary.into()),
            },
        ),
        (
            Endpoint::Search,
            Trouble::Reset {
                after_bytes: Some(10),
            },
        ),
    ] {
        let sim = simulator(World {
            password: canary.into(),
            ..World::with_base_nodes(5)
        })
        .await;
        sim.set_rules(vec![Rule::on(endpoint, trouble)]);
        let client = Client::new(config(&sim)).unwrap();
        let fault = fetch(&client).await.unwrap_err();
        assert!(
            !format!("{fault:?} {fault} {client:?}").contains(canary),
            "{fault}"
        );
        assert!(!fault.message.contains('\n'));
    }
}
