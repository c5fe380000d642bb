//! Embeds the files of the pages: generates a table of `ui/dist`, which `make ui` writes.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the pages' files are served.
const ROUTE: &str = "/admin/assets";

/// Media types by file extension.
const MEDIA_TYPES: [(&str, &str); 5] = [
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
];

/// A file of `ui/dist`.
struct Asset {
    /// Name without the content hash, such as `page.css`.
    name: String,
    /// Path of the file.
    path: String,
    file_name: String,
    media_type: &'static str,
}

fn main() -> ExitCode {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    match generate(&dist) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn generate(dist: &Path) -> Result<(), String> {
    let missing = || "ui/dist is missing: run make ui, which needs Node.js 20 or newer and npm".to_owned();
    let entries = fs::read_dir(dist).map_err(|_| missing())?;
    let files = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = files.filter(|file| extension(file) != "gz").collect();
    files.sort();
    let assets: Vec<Asset> = files.iter().map(|file| asset(file)).collect::<Result<_, _>>()?;
    if assets.is_empty() {
        return Err(missing());
    }
    #[expect(clippy::disallowed_methods, reason = "cargo passes the folder only this way")]
    let out = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: cargo runs this program")?;
    let table = Path::new(&out).join("assets.rs");
    fs::write(&table, code(&assets)).map_err(|error| format!("cannot write {}: {error}", table.display()))
}

fn extension(file: &Path) -> &str {
    file.extension()
        .and_then(|text| text.to_str())
        .unwrap_or_default()
}

/// The file `name.hash.extension`.
fn asset(file: &Path) -> Result<Asset, String> {
    let unexpected = || format!("{} is not a file of make ui: delete it", file.display());
    let file_name = file
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(unexpected)?;
    let parts: Vec<&str> = file_name.split('.').collect();
    let [name, _, extension] = parts[..] else {
        return Err(unexpected());
    };
    let (_, media_type) = MEDIA_TYPES
        .into_iter()
        .find(|(known, _)| *known == extension)
        .ok_or_else(unexpected)?;
    Ok(Asset {
        name: format!("{name}.{extension}"),
        file_name: file_name.to_owned(),
        path: file.to_str().ok_or_else(unexpected)?.to_owned(),
        media_type,
    })
}

/// The table, and the macro `asset!("page.css")`, which is the path of an asset.
fn code(assets: &[Asset]) -> String {
    let (mut table, mut paths) = (String::new(), String::new());
    for Asset {
        name,
        path,
        file_name,
        media_type,
    } in assets
    {
        let compressed = format!("{path}.gz");
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "    Asset {{ file_name: {file_name:?}, media_type: {media_type:?}, bytes: include_bytes!({path:?}), gzip: include_bytes!({compressed:?}) }},"
        );
        let _ = writeln!(
            paths,
            "    ({name:?}) => {{ {:?} }};",
            format!("{ROUTE}/{file_name}")
        );
    }
    format!("static ASSETS: &[Asset] = &[\n{table}];\n\nmacro_rules! asset {{\n{paths}}}\n")
}
