//! The machine and the versions of a measurement.

use std::process::Command;

use devenv::Postgres;
use sqlx::{Connection as _, PgConnection};

use crate::Result;

/// Prints processor, memory, PostgreSQL, compiler, and the command to repeat the measurement.
pub async fn print(postgres: &Postgres) -> Result<()> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map_or("unknown processor", |m| m.trim_start_matches([' ', '\t', ':']));
    let memory = read("/proc/meminfo");
    let kib: u64 = memory
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "machine     {model} × {cores}, {} GiB, Linux {}",
        kib >> 20,
        read("/proc/sys/kernel/osrelease").trim()
    );
    let mut admin = PgConnection::connect(postgres.url()).await?;
    let server: String = sqlx::query_scalar("SHOW server_version")
        .fetch_one(&mut admin)
        .await?;
    println!("PostgreSQL  {server}, settings of initdb, fsync on");
    if let Ok(rustc) = Command::new("rustc").arg("--version").output() {
        println!("compiler    {}", String::from_utf8_lossy(&rustc.stdout).trim());
    }
    println!("repeat      make bench");
    Ok(())
}
