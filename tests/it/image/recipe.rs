//! The recipe, with a small static program in place of the operator, whose release build takes too long for every change.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::process::Command;

use super::buildah::{Image, output_of};

const BINARY: &str = "/usr/local/bin/tarana-operator";

/// The folder that `packaging/lay-out.sh` writes, with the stand-in.
async fn files_with_stand_in(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let (program, sbom, files) = (
        folder.join("stand-in"),
        folder.join("sbom.json"),
        folder.join("files"),
    );
    let mut rustc = Command::new("rustc");
    rustc
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--edition", "2024", "-C", "target-feature=+crt-static"])
        .arg("-o")
        .args([&program, Path::new("tests/it/image/stand_in.rs")]);
    output_of(rustc).await;
    fs::write(&sbom, "{}").unwrap();
    let mut lay_out = Command::new("packaging/lay-out.sh");
    lay_out
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([&program, &sbom, &files]);
    output_of(lay_out).await;
    files
}

#[tokio::test]
async fn the_image_has_only_these_files_and_no_root_user() {
    let files = files_with_stand_in("image-recipe").await;
    let image = Image::build("recipe", &files).await;

    let config = image.config().await;
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(
        (&config["Entrypoint"], &config["Cmd"]),
        (&json!([BINARY]), &json!(["run"]))
    );
    let environment = config["Env"].as_array().unwrap();
    for variable in ["MIMALLOC_PURGE_DELAY=0", "MIMALLOC_ALLOW_THP=0"] {
        assert!(environment.contains(&json!(variable)), "{environment:?}");
    }
    for label in ["title", "description", "licenses"] {
        let value = &config["Labels"][format!("org.opencontainers.image.{label}")];
        assert!(
            value.as_str().is_some_and(|text| !text.is_empty()),
            "the image has no {label}"
        );
    }

    let listed = image.files().await;
    let mut found: Vec<(&str, &str)> = listed.iter().map(|line| mode_and_name(line)).collect();
    found.sort_unstable_by_key(|(_, name)| *name);
    let expected = [
        ("-rw-r--r--", "etc/ssl/certs/ca-certificates.crt"),
        ("-rwxr-xr-x", "usr/local/bin/tarana-operator"),
        ("-rw-r--r--", "usr/share/sbom/tarana-operator.cdx.json"),
    ];
    assert_eq!(found, expected);

    let container = image.container().await;
    let printed = image
        .buildah(&["run", "--isolation", "chroot", &container, BINARY, "run"])
        .await;
    let value = |name: &str| {
        printed
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
    };
    assert_eq!(value("arguments:"), "run");
    assert_eq!(value("Uid:"), "65532\t65532\t65532\t65532");
    assert_eq!(value("Gid:"), "65532\t65532\t65532\t65532");
    assert_eq!(value("CapEff:"), "0000000000000000");
    assert!(value("authorities:").parse::<usize>().unwrap() > 100, "{printed}");
    assert!(!printed.contains("written"), "{printed}");
}

/// The first and last column of a line of tar.
fn mode_and_name(line: &str) -> (&str, &str) {
    let mut columns = line.split_whitespace();
    (
        columns.next().unwrap(),
        columns.next_back().unwrap().trim_start_matches("./"),
    )
}
