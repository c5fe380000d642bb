//! Builds the programs of one Go module with `go install`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Module, version};
use crate::environment;
use crate::error::{Error, Result};
use crate::process_group::last_lines;
use crate::spawner::{self, StopSignal};

/// How often the progress is reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Builds into `partial` and renames it to `bin` when it is complete.
pub(super) fn install(module: &Module, partial: &Path, bin: &Path) -> Result<()> {
    let prepare_error = || Error::io(format!("prepare {}", partial.display()));
    if partial.exists() {
        fs::remove_dir_all(partial).map_err(prepare_error())?;
    }
    fs::create_dir_all(partial).map_err(prepare_error())?;
    let name = format!("{} {}", module.name, version(module));
    eprintln!(
        "devenv: building {name} into {} (once per machine, {})",
        bin.display(),
        module.build_time
    );
    go_install(module, &name, partial)?;
    for (built, wanted) in module.rename {
        fs::rename(partial.join(built), partial.join(wanted)).map_err(prepare_error())?;
    }
    fs::rename(partial, bin).map_err(prepare_error())
}

fn go_install(module: &Module, name: &str, into: &Path) -> Result<()> {
    let go = environment::find_program("go").ok_or_else(|| {
        let hint =
            "put Go in the PATH, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl";
        Error::Missing(format!("`go` is needed to build {name}; {hint}"))
    })?;
    let mut command = spawner::child_command(&go, StopSignal::Kill, None);
    let flags = format!("-ldflags={}", (module.ldflags)(version(module)));
    command.args([
        "install",
        "-v",
        "-mod=readonly",
        "-buildvcs=false",
        &flags,
        "tool",
    ]);
    command
        .current_dir(module.folder)
        .env("GOBIN", into)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off");
    run(command, name)
}

fn run(mut command: Command, name: &str) -> Result<()> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let build_error = || Error::io(format!("build {name}"));
    let started = Instant::now();
    let mut go = spawner::spawn(command).map_err(build_error())?;
    let log = go
        .stderr
        .take()
        .map(|stderr| report_progress(stderr, name, started))
        .unwrap_or_default();
    let status = go.wait().map_err(build_error())?;
    if !status.success() {
        return Err(Error::Command {
            program: format!("go install, for {name}"),
            status: status.to_string(),
            output: last_lines(&log),
        });
    }
    eprintln!("devenv: {name} is built ({} s)", started.elapsed().as_secs());
    Ok(())
}

/// Counts the packages that Go reports, prints the progress at intervals, and returns the whole output.
fn report_progress(stderr: ChildStderr, name: &str, started: Instant) -> String {
    let (mut log, mut packages, mut reported) = (String::new(), 0_u32, started);
    for line in BufReader::new(stderr)
        .lines()
        .map_while(Result::<_, std::io::Error>::ok)
    {
        packages += u32::from(!line.contains(' '));
        if reported.elapsed() >= REPORT_INTERVAL {
            reported = Instant::now();
            eprintln!(
                "devenv: {name}: {packages} packages, {} s: {line}",
                started.elapsed().as_secs()
            );
        }
        log.push_str(&line);
        log.push('\n');
    }
    log
}
