//! The pages in a real browser: runs `tests/browser`.

use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::process::Command;

use super::client::AdminClient;

/// Runs Node.js in `tests/browser` with the environment that `harness.mjs` expects.
async fn node(admin: &AdminClient, arguments: &[String]) {
    let stations = admin
        .env
        .number("select count(*) from tarana_base_stations")
        .await;
    let online = admin
        .env
        .number("select count(*) from tarana_base_stations where device_status = 1")
        .await;
    let connections = admin
        .env
        .number("select coalesce(sum(active_connections), 0)::bigint from tarana_base_stations")
        .await;
    let totals = json!({"stations": stations, "online": online, "connections": connections});
    let chromium = devenv::chromium().await.expect("Chromium");
    let mut command = Command::new("node");
    command
        .args(arguments)
        .current_dir(folder())
        .kill_on_drop(true)
        .env("TARANA_URL", &admin.url)
        .env("TARANA_VIEWER", &admin.viewer)
        .env("TARANA_NOBODY", &admin.no_roles)
        .env("TARANA_TOTALS", totals.to_string())
        .env("TARANA_CHROMIUM", chromium);
    let output = command
        .output()
        .await
        .expect("node: install Node.js 20 or newer and npm, and run make ui");
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{error}");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

/// The files with tests.
fn test_files() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".test.mjs")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_work_in_a_browser() {
    let admin = AdminClient::with_connection().await;
    admin.env.run("first", json!({})).await;
    let tests = ["--test", "--test-concurrency=1"].map(str::to_owned);
    node(&admin, &[tests.to_vec(), test_files()].concat()).await;
    #[expect(clippy::disallowed_methods, reason = "a switch for developers")]
    if std::env::var_os("SCREENSHOTS").is_some() {
        node(&admin, &["screenshots.mjs".to_owned()]).await;
    }
}
