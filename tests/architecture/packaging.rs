//! Rules: no banned crate is in the dependency tree; the image is built with the pinned toolchain and runs as the user that the chart expects.

use super::files::read;
use super::{BANNED, assert_no_violations};

#[test]
fn no_banned_crate_is_in_the_tree() {
    assert_no_violations(&banned(&read("Cargo.lock")));
    let unnamed = BANNED
        .iter()
        .filter(|name| !read("deny.toml").contains(&format!("\"{name}\"")));
    assert_no_violations(
        &unnamed
            .map(|name| format!("deny.toml does not ban {name}: keep BANNED and deny.toml equal"))
            .collect::<Vec<_>>(),
    );
}

fn banned(lock: &str) -> Vec<String> {
    let names = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    names
        .filter(|name| BANNED.contains(name))
        .map(|name| format!("Cargo.lock contains {name}: `cargo tree -i {name}` shows what requires it; disable that feature (rustls with ring is the one TLS provider)"))
        .collect()
}

#[test]
fn the_image_has_the_pinned_toolchain_and_the_user_of_the_chart() {
    let (toolchain, deployment) = (
        read("rust-toolchain.toml"),
        read("charts/tarana-operator/templates/deployment.yaml"),
    );
    assert_no_violations(&image_mismatches(&read("Dockerfile"), &toolchain, &deployment));
}

/// What the Dockerfile states differently from `rust-toolchain.toml` and the Deployment of the chart.
fn image_mismatches(dockerfile: &str, toolchain: &str, deployment: &str) -> Vec<String> {
    let channel = value_after(toolchain, "channel = ").trim_matches('"');
    let release = channel.rsplit_once('.').map_or(channel, |(release, _)| release);
    let user = value_after(deployment, "runAsUser: ");
    let group = value_after(deployment, "runAsGroup: ");
    [
        format!("ENV RUSTUP_TOOLCHAIN={channel}"),
        format!("FROM --platform=$BUILDPLATFORM rust:{release}-"),
        format!("USER {user}:{group}"),
    ]
    .into_iter()
    .filter(|line| !dockerfile.lines().any(|other| other.starts_with(line.as_str())))
    .map(|line| {
        format!("Dockerfile has no line `{line}`: keep it equal to rust-toolchain.toml and deployment.yaml")
    })
    .collect()
}

/// The rest of the first line that begins with `name`, or the empty string.
fn value_after<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.trim_start().strip_prefix(name))
        .unwrap_or_default()
        .trim()
}

#[test]
fn violations_are_detected() {
    let dockerfile = "FROM --platform=$BUILDPLATFORM rust:1.90-slim AS build\nENV RUSTUP_TOOLCHAIN=1.95.0\nUSER 65532:65532";
    let deployment = "        runAsUser: 65532\n        runAsGroup: 1000";
    let found = image_mismatches(dockerfile, "channel = \"1.95.0\"", deployment);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        banned(
            "[[package]]\nname = \"openssl-sys\"\nversion = \"0.9\"\n[[package]]\nname = \"openssl-probe\""
        )
        .len(),
        1
    );
}
