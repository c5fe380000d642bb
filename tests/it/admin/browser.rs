//! The pages in a real browser: runs `tests/browser`.

use std::path::{Path, PathBuf};

use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::process::Command;

use super::client::{AdminClient, create_service_account};
use crate::environment::{TestEnvironment, phase, wait_until};
use crate::servers;
use tarana_operator::admin::MapTiles;
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::Phase;

/// The tests of a table without stations.
const EMPTY: &str = "empty.test.mjs";
/// The tests of a map with a tile server.
const TILES: &str = "tiles.test.mjs";
/// The tests that need another table or configuration than the others.
const OTHERS: [&str; 3] = [EMPTY, TILES, "tile_file.test.mjs"];

async fn node(admin: &AdminClient, arguments: &[String]) {
    run(command(admin, arguments).await).await;
}

/// The command that runs Node.js in `tests/browser` with the environment that `harness.mjs` expects.
pub async fn command(admin: &AdminClient, arguments: &[String]) -> Command {
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
    let changed = "select coalesce(min(serial), '') from tarana_sync_changes where op = 'update' and applied";
    let changed: String = sqlx::query_scalar(changed)
        .fetch_one(&admin.env.db)
        .await
        .unwrap();
    let totals = json!({"stations": stations, "online": online, "connections": connections});
    let chromium = devenv::chromium().await.expect("Chromium");
    let plane = servers::plane().await;
    let mut command = Command::new("node");
    command
        .args(arguments)
        .current_dir(folder())
        .kill_on_drop(true)
        .env("TARANA_URL", &admin.url)
        .env("TARANA_VIEWER", &admin.viewer)
        .env("TARANA_NOBODY", &admin.no_roles)
        .env("TARANA_EDITOR", &admin.editor)
        .env("TARANA_APPROVER", &admin.approver)
        .env("TARANA_DATABASE", &admin.env.database_url)
        .env("TARANA_NAMESPACE", &admin.env.namespace)
        .env("TARANA_KUBECTL", &plane.tools().kubectl)
        .env("TARANA_KUBECONFIG", plane.kubeconfig())
        .env("TARANA_SIMULATOR", admin.env.tcs.url())
        .env(
            "TARANA_HANG",
            serde_json::to_string(&[servers::hanging_search()]).unwrap(),
        )
        .env("TARANA_CHANGED", changed)
        .env("TARANA_TOTALS", totals.to_string())
        .env("TARANA_CHROMIUM", chromium);
    command
}

/// Runs a command, which must succeed.
pub async fn run(mut command: Command) {
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

/// The files with tests of a table with stations, in their order.
fn test_files() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut tests: Vec<String> = names
        .filter(|name| name.ends_with(".test.mjs") && !OTHERS.contains(&name.as_str()))
        .collect();
    // The last ones change the stations.
    tests.sort();
    tests
}

/// Stations whose names are scripts, read from right to left, or are as long as the vendor's API allows.
async fn insert_unusual_stations(admin: &AdminClient) {
    let long = "W".repeat(4000);
    let rows = [
        ("ODD-SCRIPT", "<script>alert(1)</script>", "script-host"),
        (
            "ODD-RTL",
            "\u{5ea}\u{5d7}\u{5e0}\u{5d4} 7 \u{202e}abc",
            "rtl-host",
        ),
        ("ODD-LONG", long.as_str(), long.as_str()),
    ];
    for (serial, site, hostname) in rows {
        let insert = "insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng, market, device_status, active_connections)
                      values ($1, $2, $3, -30.5, 25.25, 'Odd \"& Sons', 1, 1234)";
        let insert = sqlx::query(insert).bind(serial).bind(hostname).bind(site);
        insert.execute(&admin.env.db).await.unwrap();
    }
}

/// A schedule whose next slot is half a day away, and whose last slots ended in different ways.
async fn create_schedule(admin: &AdminClient) {
    let hour = "select ((extract(hour from now() at time zone 'Europe/Berlin') + 12)::int % 24)::bigint";
    let hour = admin.env.number(hour).await;
    let spec = json!({"schedule": format!("0 {hour} * * *"), "timeZone": "Europe/Berlin",
        "template": {"spec": {"connectionRef": {"name": "default"}}}});
    admin.schedule("nightly", spec).await;
    let schedules: Api<TaranaSyncSchedule> = Api::namespaced(admin.env.client.clone(), &admin.env.namespace);
    wait_until("the schedule has its first slot", || async {
        let status = schedules.get("nightly").await.unwrap().status;
        status.and_then(|status| status.next_schedule_time)
    })
    .await;
    let slot = |day: u8, outcome: &str, reason: &str, sync: Option<&str>| json!({"time": format!("2026-03-0{day}T01:00:00Z"), "outcome": outcome, "reason": reason, "sync": sync});
    let slots = [
        slot(4, "Ran", "RunCreated", Some("nightly-29543100")),
        slot(3, "Skipped", "RunActive", Some("first")),
        slot(2, "Missed", "SlotMissed", None),
        slot(1, "Skipped", "Suspended", None),
    ];
    let patch = Patch::Merge(json!({"status": {"recentSlots": slots}}));
    schedules
        .patch_status("nightly", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_work_in_a_browser() {
    let admin = AdminClient::with_connection().await;
    admin.env.run("first", json!({})).await;
    admin.env.tcs.drift(1.0);
    admin.env.run("second", json!({})).await;
    admin.env.tcs.set_rules(vec![servers::hanging_search()]);
    let late = admin.env.run("late", json!({"activeDeadlineSeconds": 1})).await;
    assert_eq!(phase(&late), Phase::Failed);
    admin.env.tcs.clear_rules();
    admin.env.tcs.release_hanging();
    insert_unusual_stations(&admin).await;
    create_schedule(&admin).await;
    admin.env.connection("east", json!({"suspend": true})).await;
    let leaver = create_service_account(&admin.env, "leaver", &["viewer", "editor"]).await;
    let tests = ["--test", "--test-concurrency=1"].map(str::to_owned);
    let mut command = command(&admin, &[tests.to_vec(), test_files()].concat()).await;
    command.env("TARANA_LEAVER", leaver);
    run(command).await;
    #[expect(clippy::disallowed_methods, reason = "a switch for developers")]
    if std::env::var_os("SCREENSHOTS").is_some() {
        node(&admin, &["screenshots.mjs".to_owned()]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_is_explained_in_a_browser() {
    let admin = AdminClient::with_connection().await;
    node(&admin, &["--test", EMPTY].map(str::to_owned)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tile_server_is_the_background_of_the_map_in_a_browser() {
    // Not the host of the pages, whose cookies are for all ports.
    let tiles = format!("http://localhost:{}", servers::free_address().port());
    let url = format!("{tiles}/{{z}}/{{x}}/{{y}}.png?key=a");
    let env = TestEnvironment::bare(servers::tcs_with(4)).await;
    let admin = AdminClient::start_configured(env, |config| {
        config.map_tiles = MapTiles::from_flags(&url, None, "© <b>Them").unwrap();
    })
    .await;
    admin.create_connection().await;
    admin.env.run("first", json!({})).await;
    let mut command = command(&admin, &["--test", TILES].map(str::to_owned)).await;
    command.env("TARANA_TILES", tiles);
    run(command).await;
}
