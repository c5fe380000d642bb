//! Requests of pages of other origins.

use serde_json::json;
use tarana_operator::admin::AllowedOrigins;

use super::client::{AdminClient, Response, send, with_json};
use crate::environment::TestEnvironment;
use crate::servers;

const ALLOWED: &str = "https://app.example.org";
const ALLOW_ORIGIN: &str = "access-control-allow-origin";

async fn preflight(admin: &AdminClient, origin: &str) -> Response {
    let request = admin.request("OPTIONS", "/api/v1/syncs").header("origin", origin);
    send(request.header("access-control-request-method", "POST").header(
        "access-control-request-headers",
        "authorization,content-type,idempotency-key",
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pages_of_configured_origins_may_call() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let admin = AdminClient::start_configured(env, |config| {
        config.allowed_origins = AllowedOrigins::parse(&[ALLOWED.to_owned()]).unwrap();
    })
    .await;
    let allowed = preflight(&admin, ALLOWED).await;
    assert_eq!(
        (allowed.status, allowed.header(ALLOW_ORIGIN)),
        (200, ALLOWED),
        "{allowed:?}"
    );
    assert_eq!(allowed.header("access-control-allow-methods"), "GET,POST,DELETE");
    assert!(
        allowed
            .header("access-control-allow-headers")
            .contains("authorization"),
        "{allowed:?}"
    );
    // A cookie would let a page act as whoever is signed in.
    assert_eq!(allowed.header("access-control-allow-credentials"), "");
    assert!(allowed.header("vary").contains("origin"), "{allowed:?}");
    for origin in [
        "https://evil.example.org",
        "http://app.example.org",
        "https://app.example.org.evil.org",
        "null",
    ] {
        let refused = preflight(&admin, origin).await;
        assert_eq!(refused.header(ALLOW_ORIGIN), "", "{origin}: {refused:?}");
    }
    // An error has to be readable, too.
    let post = admin.request("POST", "/api/v1/syncs").header("origin", ALLOWED);
    let unauthenticated = send(with_json(post, &json!({}))).await;
    assert_eq!(
        (unauthenticated.status, unauthenticated.header(ALLOW_ORIGIN)),
        (401, ALLOWED)
    );
    assert!(
        unauthenticated
            .header("access-control-expose-headers")
            .contains("x-request-id"),
        "{unauthenticated:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_configured_origins_no_page_may_call() {
    let admin = AdminClient::start().await;
    let preflight = preflight(&admin, ALLOWED).await;
    assert_eq!(
        (preflight.status, preflight.header(ALLOW_ORIGIN)),
        (405, ""),
        "{preflight:?}"
    );
}
