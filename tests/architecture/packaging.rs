//! Rule: no banned crate is in the dependency tree.

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
fn violations_are_detected() {
    assert_eq!(
        banned(
            "[[package]]\nname = \"openssl-sys\"\nversion = \"0.9\"\n[[package]]\nname = \"openssl-probe\""
        )
        .len(),
        1
    );
}
