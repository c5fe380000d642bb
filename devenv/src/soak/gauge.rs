//! Reads what a process holds, as Linux tells it.

use std::fs;

use crate::error::{Error, Result};

/// What a process holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Bytes, now and at most.
    pub(super) resident: u64,
    pub(super) highest: u64,
    pub(super) threads: u64,
    pub(super) descriptors: u64,
}

/// Looks at a process.
pub(super) fn held(pid: u32) -> Result<Held> {
    let folder = format!("/proc/{pid}");
    let status =
        fs::read_to_string(format!("{folder}/status")).map_err(Error::io(format!("read {folder}/status")))?;
    let descriptors = fs::read_dir(format!("{folder}/fd")).map_err(Error::io(format!("read {folder}/fd")))?;
    Ok(Held {
        resident: number(&status, "VmRSS:") * 1024,
        highest: number(&status, "VmHWM:") * 1024,
        threads: number(&status, "Threads:"),
        descriptors: descriptors.count() as u64,
    })
}

/// `VmRSS:   12345 kB`, in the file's own unit; 0 where there is no such line.
fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Prints what it runs on: `AMD EPYC × 2, 23 GiB`.
pub(super) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{} × {cores}, {} GiB",
        model.unwrap_or("unknown").trim_start_matches([' ', '\t', ':']),
        number(&memory, "MemTotal:") >> 20
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sees_itself() {
        let held = held(std::process::id()).unwrap();
        assert!(held.resident > 1 << 20 && held.highest >= held.resident);
        assert!(held.threads > 0 && held.descriptors > 2);
        assert_eq!(number("VmRSS:\t  12 kB\n", "VmRSS:"), 12);
    }
}
