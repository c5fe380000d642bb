//! schemathesis calls every route of the `OpenAPI` document with generated requests, and checks the responses against the document.

use std::path::Path;

use serde_json::json;
use tokio::process::Command;

use super::client::AdminClient;

/// The virtual environment that `make test` creates from `tests/contract/requirements.txt`.
const PROGRAM: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../contract/bin/st");
/// Generated requests per route.
const EXAMPLES: &str = "25";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,ignored_auth";

async fn check(admin: &AdminClient, token: Option<&str>) {
    assert!(
        Path::new(PROGRAM).exists(),
        "schemathesis is missing: run make contract"
    );
    let mut command = Command::new(PROGRAM);
    let location = format!("{}/openapi.json", admin.url);
    command
        .args(["run", &location, "--max-examples", EXAMPLES, "--checks", CHECKS])
        // The stream of events does not end.
        .args(["--exclude-path", "/api/v1/events"])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--seed",
            "1",
            "--no-shrink",
            "--no-color",
        ])
        .args(["--request-timeout", "60"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .kill_on_drop(true);
    if let Some(token) = token {
        command
            .arg("--header")
            .arg(format!("Authorization: Bearer {token}"));
    }
    let done = command.output().await.unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{out}\n{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_is_as_the_document_says() {
    let admin = AdminClient::with_connection().await;
    admin.env.run("first", json!({})).await;
    admin.schedule("nightly", json!({"schedule": "0 0 29 2 *"})).await;
    check(&admin, Some(&admin.approver)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_without_a_token_is_as_the_document_says() {
    let admin = AdminClient::start().await;
    check(&admin, None).await;
}
