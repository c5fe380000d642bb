//! What should not be sent, and what is not to be had.

use serde_json::{Value, json};
use uuid::Uuid;

use super::desk::{Answer, Desk, answer};

const SYNCS: &str = "/api/v1/syncs";

fn is_problem(answer: &Answer, status: u16, says: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let told = answer.json();
    assert_eq!(
        (&told["type"], &told["status"]),
        (&json!("about:blank"), &json!(status))
    );
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains(says), "{detail:?} does not say {says:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_none() {
    let desk = Desk::open().await;
    let send = async |type_: &str, body: Vec<u8>| {
        let request = desk.request("POST", SYNCS).bearer_auth(&desk.editor);
        answer(request.header("content-type", type_).body(body)).await
    };
    is_problem(&send("text/plain", b"{}".to_vec()).await, 415, "application/json");
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
    for (body, status, says) in cases {
        is_problem(&send("application/json", body.to_vec()).await, status, says);
    }
    assert!(desk.runs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_places_that_are_none() {
    let desk = Desk::open().await;
    let run = desk.w.run("run", json!({})).await;
    let id = run.metadata.uid.unwrap();
    for path in [
        SYNCS.to_owned(),
        "/api/v1/connections".into(),
        "/api/v1/schedules".into(),
    ] {
        is_problem(&desk.get(&desk.viewer, &path).await, 403, "in all namespaces");
    }
    is_problem(
        &desk.get(&desk.nobody, &format!("{SYNCS}/{id}")).await,
        404,
        "that you may get",
    );
    is_problem(
        &desk
            .get(&desk.viewer, &format!("{SYNCS}/{}", Uuid::new_v4()))
            .await,
        404,
        "that you may get",
    );
    is_problem(
        &desk.get(&desk.viewer, &format!("{SYNCS}/1%27%20or%201=1")).await,
        400,
        "UUID",
    );
    is_problem(
        &desk.get(&desk.viewer, "/api/v1/nothing").await,
        404,
        "/openapi.json",
    );
    let here = &desk.w.namespace;
    for (query, says) in [
        ("&cursor=AAAA", "cursor"),
        ("&limit=0", "limit"),
        ("&limit=x", "limit"),
        ("&phase=Done", "phase"),
        ("&x=1", "unknown field `x`"),
        ("&namespace=b", "duplicate field"),
    ] {
        is_problem(
            &desk
                .get(&desk.viewer, &format!("{SYNCS}?namespace={here}{query}"))
                .await,
            400,
            says,
        );
    }
    let bare = answer(desk.request("GET", SYNCS)).await;
    is_problem(&bare, 401, "Authorization: Bearer");
    assert_eq!(bare.header("www-authenticate"), "Bearer realm=\"tarana\"");
    let delete = answer(desk.request("DELETE", SYNCS).bearer_auth(&desk.editor)).await;
    assert_eq!(delete.status, 405, "{delete:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id_and_tells_a_browser_what_it_is() {
    let desk = Desk::closed().await;
    let answer = answer(desk.request("GET", "/healthz").header("x-request-id", "mine-1")).await;
    assert_eq!(answer.header("x-request-id"), "mine-1");
    assert_eq!(
        answer.header("content-security-policy"),
        "default-src 'none'; frame-ancestors 'none'"
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let odd = super::desk::answer(desk.request("GET", "/healthz").header("x-request-id", "a b\"")).await;
    assert!(Uuid::parse_str(odd.header("x-request-id")).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_told() {
    let desk = Desk::closed().await;
    desk.w
        .secret("tcs", &json!({"username": "u", "password": "p"}))
        .await;
    desk.w
        .secret(
            "database",
            &json!({"url": "postgres://nobody:geheim@127.0.0.1:1/none"}),
        )
        .await;
    desk.w.connection("default", json!({})).await;
    let path = "/api/admin/tarana/sync/status";
    let answer = crate::world::until("it is told", || async {
        let answer = desk.get(&desk.viewer, path).await;
        (answer.json()["error"].as_str().unwrap().contains("the database")).then_some(answer)
    })
    .await;
    assert_eq!(answer.status, 503);
    assert!(
        !answer.text.contains("geheim") && !answer.text.contains("127.0.0.1"),
        "{answer:?}"
    );
    // Runs are shown all the same, and what could not be read is named.
    let page = desk
        .get(&desk.viewer, &format!("{SYNCS}?namespace={}", desk.w.namespace))
        .await;
    let expected: Value = json!({"items": [], "unread": [format!("{}/default", desk.w.namespace)]});
    assert_eq!((page.status, page.json()), (200, expected));
}
