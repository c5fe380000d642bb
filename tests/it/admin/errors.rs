//! Invalid requests, missing objects and an unreachable database.

use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{AdminClient, Response, create_token, send};
use crate::environment::wait_until;

const SYNCS: &str = "/api/v1/syncs";

fn assert_problem(response: &Response, status: u16, detail_part: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), "application/problem+json");
    let body = response.json();
    assert_eq!(
        (&body["type"], &body["status"]),
        (&json!("about:blank"), &json!(status))
    );
    let detail = body["detail"].as_str().unwrap();
    assert!(
        detail.contains(detail_part),
        "{detail:?} does not contain {detail_part:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_bodies_are_rejected() {
    let admin = AdminClient::with_connection().await;
    let send = async |type_: &str, body: Vec<u8>| {
        let request = admin.request("POST", SYNCS).bearer_auth(&admin.approver);
        send(request.header("content-type", type_).body(body)).await
    };
    assert_problem(&send("text/plain", b"{}".to_vec()).await, 415, "application/json");
    let long = vec![b' '; 10 * 1024 * 1024];
    let cases: [(&[u8], u16, &str); 11] = [
        (b"{", 400, "EOF"),
        (b"[]", 400, "a JSON object"),
        (br#"{"dryrun": true}"#, 400, "unknown field `dryrun`"),
        (br#"{"dryRun": 1}"#, 400, "boolean"),
        (
            br#"{"dryRun": true, "dryRun": false}"#,
            400,
            "duplicate field `dryRun`",
        ),
        (b"{\"connection\": \"\xff\xfe\"}", 400, "unicode"),
        (&long, 413, "longer than"),
        (br#"{"connection": "<script>"}"#, 422, "connection"),
        (br#"{"backoffLimit": 1000}"#, 422, "backoffLimit"),
        (br#"{"approvedDeletes": 1}"#, 422, "approvedDeletes"),
        (
            br#"{"namespace": "kube-system"}"#,
            403,
            "create taranasyncs.tarana.dev in namespace kube-system",
        ),
    ];
    for (body, status, detail) in cases {
        assert_problem(&send("application/json", body.to_vec()).await, status, detail);
    }
    assert!(admin.runs().await.is_empty());
}

/// The empty one would be authorized as all namespaces.
async fn reject_invalid_namespaces(admin: &AdminClient) {
    for path in [SYNCS, "/api/v1/events", "/api/v1/me", "/api/v1/schedules"] {
        for namespace in ["", "A", "a/b"] {
            let path = format!("{path}?namespace={namespace}");
            assert_problem(&admin.get(&admin.viewer, &path).await, 400, "namespace: must be");
        }
    }
}

/// Tokens for the API server, and for another service.
async fn reject_foreign_audiences(admin: &AdminClient, path: &str) {
    for audience in ["https://kubernetes.default.svc", "other"] {
        let token = create_token(&admin.env, "viewer", audience).await;
        assert_problem(&admin.get(&token, path).await, 401, "--audience tarana-operator");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_tokens_and_paths_are_rejected() {
    let admin = AdminClient::with_connection().await;
    let run = admin.env.run("run", json!({})).await;
    let id = run.metadata.uid.unwrap();
    reject_invalid_namespaces(&admin).await;
    reject_foreign_audiences(&admin, &format!("{SYNCS}/{id}")).await;
    for path in [
        SYNCS.to_owned(),
        "/api/v1/connections".into(),
        "/api/v1/schedules".into(),
    ] {
        assert_problem(&admin.get(&admin.viewer, &path).await, 403, "in all namespaces");
    }
    assert_problem(
        &admin.get(&admin.no_roles, &format!("{SYNCS}/{id}")).await,
        404,
        "that you may get",
    );
    assert_problem(
        &admin
            .get(&admin.viewer, &format!("{SYNCS}/{}", Uuid::new_v4()))
            .await,
        404,
        "that you may get",
    );
    assert_problem(
        &admin
            .get(&admin.viewer, &format!("{SYNCS}/1%27%20or%201=1"))
            .await,
        400,
        "UUID",
    );
    assert_problem(
        &admin.get(&admin.viewer, "/api/v1/nothing").await,
        404,
        "/openapi.json",
    );
    let here = &admin.env.namespace;
    for (query, detail) in [
        ("&cursor=AAAA", "cursor"),
        ("&limit=0", "limit"),
        ("&limit=x", "limit"),
        ("&phase=Done", "phase"),
        ("&x=1", "unknown field `x`"),
        ("&namespace=b", "duplicate field"),
    ] {
        assert_problem(
            &admin
                .get(&admin.viewer, &format!("{SYNCS}?namespace={here}{query}"))
                .await,
            400,
            detail,
        );
    }
    let bare = send(admin.request("GET", SYNCS)).await;
    assert_problem(&bare, 401, "Authorization: Bearer");
    assert_eq!(bare.header("www-authenticate"), "Bearer realm=\"tarana\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_is_rejected_with_the_accepted_ones() {
    let admin = AdminClient::start().await;
    let delete = send(admin.request("DELETE", SYNCS).bearer_auth(&admin.editor)).await;
    assert_problem(&delete, 405, "Allow header");
    assert_eq!(delete.header("allow"), "GET,HEAD,POST");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_has_a_request_id_and_security_headers() {
    let admin = AdminClient::start().await;
    let response = send(admin.request("GET", "/healthz").header("x-request-id", "mine-1")).await;
    assert_eq!(response.header("x-request-id"), "mine-1");
    assert_eq!(
        response.header("content-security-policy"),
        "default-src 'none'; frame-ancestors 'none'"
    );
    assert_eq!(response.header("x-content-type-options"), "nosniff");
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("access-control-allow-origin"), "");
    let odd = super::client::send(admin.request("GET", "/healthz").header("x-request-id", "a b\"")).await;
    assert!(Uuid::parse_str(odd.header("x-request-id")).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_database_is_reported() {
    let admin = AdminClient::start().await;
    admin
        .env
        .secret("tcs", &json!({"username": "u", "password": "p"}))
        .await;
    admin
        .env
        .secret(
            "database",
            &json!({"url": "postgres://nobody:geheim@127.0.0.1:1/none"}),
        )
        .await;
    admin.env.connection("default", json!({})).await;
    let path = "/api/admin/tarana/sync/status";
    let response = wait_until("it is body", || async {
        let response = admin.get(&admin.viewer, path).await;
        (response.json()["error"]
            .as_str()
            .unwrap()
            .contains("the database"))
        .then_some(response)
    })
    .await;
    assert_eq!(response.status, 503);
    assert!(
        !response.text.contains("geheim") && !response.text.contains("127.0.0.1"),
        "{response:?}"
    );
    // Runs are listed, with the connections whose database was not read.
    let page = admin
        .get(
            &admin.viewer,
            &format!("{SYNCS}?namespace={}", admin.env.namespace),
        )
        .await;
    let expected: Value = json!({"items": [], "unread": [format!("{}/default", admin.env.namespace)]});
    assert_eq!((page.status, page.json()), (200, expected));
}
