//! Wall around what is shipped: the crates in the tree.

use super::files::read;
use super::{BANNED, assert_none};

#[test]
fn no_banned_crate_is_in_the_tree() {
    assert_none(&banned(&read("Cargo.lock")));
    let unnamed = BANNED
        .iter()
        .filter(|name| !read("deny.toml").contains(&format!("\"{name}\"")));
    assert_none(
        &unnamed
            .map(|name| format!("deny.toml does not ban {name}: BANNED and deny.toml say the same"))
            .collect::<Vec<_>>(),
    );
}

fn banned(lock: &str) -> Vec<String> {
    let names = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    names
        .filter(|name| BANNED.contains(name))
        .map(|name| format!("Cargo.lock holds {name}: `cargo tree -i {name}` tells who asks for it; turn that feature off (rustls with ring is the one TLS provider)"))
        .collect()
}

#[test]
fn this_wall_can_fail() {
    assert_eq!(
        banned(
            "[[package]]\nname = \"openssl-sys\"\nversion = \"0.9\"\n[[package]]\nname = \"openssl-probe\""
        )
        .len(),
        1
    );
}
