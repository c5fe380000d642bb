//! The pages of a table of 100,000 stations in Chromium: first paint, and the time until an interaction is shown.

use std::path::Path;

use devenv::Postgres;
use devenv::simulator::{Config, Simulator};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::Result;
use crate::report;
use crate::servers::Servers;

const STATIONS: usize = 100_000;
/// Must have 64 bytes or more.
const SESSION_KEY: [u8; 64] = [b'k'; 64];

/// Syncs the stations, and drives the pages.
pub async fn measure(postgres: &Postgres) -> Result<()> {
    let address = format!("127.0.0.1:{}", devenv::free_port()?);
    let key = Path::new(env!("CARGO_TARGET_TMPDIR")).join("session-key");
    std::fs::write(&key, SESSION_KEY)?;
    let variables = [
        ("TARANA_ADMIN_LISTEN", address.as_str()),
        ("TARANA_ADMIN_NAMESPACE", "default"),
        ("TARANA_ADMIN_CONNECTION", "pages"),
        (
            "TARANA_ADMIN_SESSION_KEY_FILE",
            key.to_str().ok_or("the path of the key is not UTF-8")?,
        ),
    ];
    let servers = Servers::start_with(postgres, &variables, async |_| Ok(())).await?;
    report::section(&format!("pages of {STATIONS} stations"));
    let tcs = Simulator::start(Config::with_base_nodes(STATIONS)).await?;
    servers.connect("pages", &tcs, 1000).await?;
    servers.run("pages", "pages-0", json!({})).await?.seconds()?;
    let token = servers.user_token("ann").await?;
    for (what, milliseconds) in drive(&format!("http://{address}"), &token).await? {
        report::figure(&what, format!("{milliseconds:.0} ms"));
    }
    Ok(())
}

/// Runs the script. Returns the name of each measurement and its median in milliseconds.
async fn drive(url: &str, token: &str) -> Result<Vec<(String, f64)>> {
    let mut command = Command::new("node");
    command
        .arg("speed.mjs")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser"))
        .kill_on_drop(true)
        .env("TARANA_CHROMIUM", devenv::chromium().await?)
        .env("TARANA_URL", url)
        .env("TARANA_VIEWER", token);
    let output = command.output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let measured: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let pairs = measured.iter().map(|one| {
        let what = one["what"].as_str()?.to_owned();
        Some((what, one["milliseconds"].as_f64()?))
    });
    pairs
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| "speed.mjs printed something else than measurements".into())
}
