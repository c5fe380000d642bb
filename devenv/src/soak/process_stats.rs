//! Reads a process's memory, threads and file descriptors from `/proc`.

use std::fs;

use crate::error::{Error, Result};

/// The resources of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProcessStats {
    /// Resident memory in bytes: current and peak.
    pub(super) resident: u64,
    pub(super) peak: u64,
    pub(super) threads: u64,
    pub(super) descriptors: u64,
}

/// Reads the resources of a process.
pub(super) fn read_process_stats(pid: u32) -> Result<ProcessStats> {
    let folder = format!("/proc/{pid}");
    let status =
        fs::read_to_string(format!("{folder}/status")).map_err(Error::io(format!("read {folder}/status")))?;
    let descriptors = fs::read_dir(format!("{folder}/fd")).map_err(Error::io(format!("read {folder}/fd")))?;
    Ok(ProcessStats {
        resident: parse_field(&status, "VmRSS:") * 1024,
        peak: parse_field(&status, "VmHWM:") * 1024,
        threads: parse_field(&status, "Threads:"),
        descriptors: descriptors.count() as u64,
    })
}

/// The number of a line such as `VmRSS:   12345 kB`, in the file's unit; 0 without such a line.
fn parse_field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Describes the machine: `AMD EPYC × 2, 23 GiB`.
pub(super) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{} × {cores}, {} GiB",
        model.unwrap_or("unknown").trim_start_matches([' ', '\t', ':']),
        parse_field(&memory, "MemTotal:") >> 20
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_is_readable() {
        let stats = read_process_stats(std::process::id()).unwrap();
        assert!(stats.resident > 1 << 20 && stats.peak >= stats.resident);
        assert!(stats.threads > 0 && stats.descriptors > 2);
        assert_eq!(parse_field("VmRSS:\t  12 kB\n", "VmRSS:"), 12);
    }
}
