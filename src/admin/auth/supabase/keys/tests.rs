use crate::admin::auth::supabase::issuer::{KeySetServer, SigningKey};
use futures::future::join_all;

use super::*;

const QUICK: Intervals = Intervals {
    refresh: Duration::from_millis(200),
    pause: Duration::from_millis(100),
    max_age: Duration::from_mins(1),
    max_wait: Duration::from_secs(10),
};

fn cache(server: &KeySetServer, intervals: Intervals) -> KeyCache {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fetcher = KeySetFetcher::new(
        format!("{}/auth/v1/.well-known/jwks.json", server.url())
            .parse()
            .unwrap(),
    )
    .unwrap();
    KeyCache {
        intervals,
        ..KeyCache::new(fetcher)
    }
}

/// Runs a test next to the task that fetches.
async fn with(cache: &KeyCache, test: impl Future<Output = ()>) {
    tokio::select! {
        () = cache.run() => panic!("ended"),
        () = test => {}
    }
}

/// Asks until the answer fulfills the condition.
async fn until(cache: &KeyCache, id: &str, condition: impl Fn(&Result<VerificationKey, KeyError>) -> bool) {
    let asking = async {
        while !condition(&cache.find(id).await) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), asking).await.expect("in time");
}

fn is_unknown(answer: &Result<VerificationKey, KeyError>) -> bool {
    matches!(answer, Err(KeyError::Unknown))
}

#[tokio::test]
async fn simultaneous_first_requests_share_one_fetch() {
    let key = SigningKey::ec("a");
    let server = KeySetServer::start(&[&key]).await;
    let cache = cache(&server, INTERVALS);
    with(&cache, async {
        assert_eq!(server.requests(), 0, "fetched before it is needed");
        let found = join_all((0..50).map(|_| cache.find("a"))).await;
        assert!(found.iter().all(Result::is_ok), "{found:?}");
        assert_eq!(server.requests(), 1);
    })
    .await;
}

#[tokio::test]
async fn random_key_ids_do_not_flood_the_issuer() {
    let key = SigningKey::ec("a");
    let server = KeySetServer::start(&[&key]).await;
    let cache = cache(&server, INTERVALS);
    with(&cache, async {
        cache.find("a").await.unwrap();
        for round in 0..500 {
            assert!(is_unknown(&cache.find(&format!("random-{round}")).await));
        }
        assert_eq!(server.requests(), 1);
        cache.find("a").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_request_that_ends_early_does_not_stop_the_fetch() {
    let key = SigningKey::ec("a");
    let server = KeySetServer::start(&[&key]).await;
    let cache = cache(&server, INTERVALS);
    with(&cache, async {
        for _ in 0..20 {
            drop(timeout(Duration::ZERO, cache.find("random")).await);
        }
        cache.find("a").await.unwrap();
        assert_eq!(server.requests(), 1);
    })
    .await;
}

#[tokio::test]
async fn rotated_keys_appear_and_revoked_ones_disappear() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::rsa("new"));
    let server = KeySetServer::start(&[&old]).await;
    let cache = cache(&server, QUICK);
    with(&cache, async {
        cache.find("old").await.unwrap();
        server.serve_keys(&[&old, &new]);
        until(&cache, "new", Result::is_ok).await;
        cache.find("old").await.unwrap();
        // No token asks for an unknown key now: the periodic refresh removes the old one.
        server.serve_keys(&[&new]);
        until(&cache, "old", is_unknown).await;
        cache.find("new").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_last_keys_outlive_an_outage_for_a_while() {
    let key = SigningKey::ec("a");
    let server = KeySetServer::start(&[&key]).await;
    let max_age = Duration::from_secs(10);
    let cache = cache(&server, Intervals { max_age, ..QUICK });
    with(&cache, async {
        cache.find("a").await.unwrap();
        server.respond(500, "");
        let requests = server.requests();
        while server.requests() < requests + 2 {
            cache.find("a").await.expect("a key of the last good set");
            sleep(Duration::from_millis(10)).await;
        }
        until(&cache, "a", |found| {
            matches!(found, Err(KeyError::Unavailable(_)))
        })
        .await;
        server.serve_keys(&[&key]);
        until(&cache, "a", Result::is_ok).await;
    })
    .await;
}

#[tokio::test]
async fn each_failure_is_named() {
    let server = KeySetServer::start(&[]).await;
    let usable = SigningKey::ec("a").jwk().to_string();
    let large = format!(r#"{{"keys": [{usable}], "x": "{}"}}"#, "x".repeat(300_000));
    for (status, body, part) in [
        (500, "", "answers 500"),
        (302, "", "answers 302"),
        (200, "", "not a JSON Web Key Set"),
        (200, "<html>", "not a JSON Web Key Set"),
        (200, "[]", "not a JSON Web Key Set"),
        (200, r#"{"keys": {}}"#, "not a JSON Web Key Set"),
        (200, large.as_str(), "larger than"),
        (200, r#"{"keys": []}"#, "--supabase-jwt-secret-file"),
    ] {
        server.respond(status, body);
        let cache = cache(&server, QUICK);
        with(&cache, async {
            let Err(KeyError::Unavailable(message)) = cache.find("a").await else {
                panic!("{body}")
            };
            assert!(
                message.contains(part) && message.contains(&server.url()),
                "{message}"
            );
        })
        .await;
    }
    let cache = cache(&server, QUICK);
    drop(server);
    with(&cache, async {
        // The port is closed a moment after the server is dropped.
        until(
            &cache,
            "a",
            |found| matches!(found, Err(KeyError::Unavailable(message)) if message.contains("no connection")),
        )
        .await;
    })
    .await;
}
