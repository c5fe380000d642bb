//! Replays the seeds and findings of `fuzz/` through the fuzz targets.

use std::fs;
use std::path::Path;

use super::{cookie, cron, device, envelope, retry_after};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 5] = [
    ("envelope", envelope),
    ("device", device),
    ("cookie", cookie),
    ("retry_after", retry_after),
    ("cron", cron),
];

#[test]
fn every_seed_passes() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (name, target) in TARGETS {
        let files = fs::read_dir(seeds.join(name)).unwrap();
        let mut replayed = 0;
        for file in files.map(Result::unwrap) {
            target(&fs::read(file.path()).unwrap());
            replayed += 1;
        }
        assert!(replayed >= 5, "{name} has only {replayed} seeds");
    }
    let folders = fs::read_dir(&seeds).unwrap().count();
    assert_eq!(
        folders,
        TARGETS.len(),
        "every folder of seeds must belong to a target"
    );
}

#[test]
fn every_target_has_seeds() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut found: Vec<String> = fs::read_dir(targets)
        .unwrap()
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    found.sort();
    let mut known = TARGETS.map(|(name, _)| name);
    known.sort_unstable();
    assert_eq!(found, known);
}
