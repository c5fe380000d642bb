//! Builds one Go module's tools with `go install`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Module, version};
use crate::environment;
use crate::error::{Error, Result};
use crate::household::last_lines;
use crate::keeper::{self, Farewell};

/// How often a person who waits is told something.
const REPORT: Duration = Duration::from_secs(10);

/// Builds into `partial` and, when all is there, gives it the name `programs`.
pub(super) fn install(module: &Module, partial: &Path, programs: &Path) -> Result<()> {
    let doing = || Error::io(format!("prepare {}", partial.display()));
    if partial.exists() {
        fs::remove_dir_all(partial).map_err(doing())?;
    }
    fs::create_dir_all(partial).map_err(doing())?;
    let name = format!("{} {}", module.name, version(module));
    eprintln!(
        "devenv: building {name} into {} (once per machine, {})",
        programs.display(),
        module.patience
    );
    go_install(module, &name, partial)?;
    for (built, wanted) in module.rename {
        fs::rename(partial.join(built), partial.join(wanted)).map_err(doing())?;
    }
    fs::rename(partial, programs).map_err(doing())
}

fn go_install(module: &Module, name: &str, into: &Path) -> Result<()> {
    let go = environment::program("go").ok_or_else(|| {
        let hint = "put Go in the PATH, or let KUBEBUILDER_ASSETS name a folder with etcd, kube-apiserver and kubectl";
        Error::Missing(format!("`go` is needed to build {name}; {hint}"))
    })?;
    let mut command = keeper::leashed(&go, Farewell::Kill, None);
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
    let doing = || Error::io(format!("build {name}"));
    let started = Instant::now();
    let mut go = keeper::spawn(command).map_err(doing())?;
    let said = go
        .stderr
        .take()
        .map(|stderr| follow(stderr, name, started))
        .unwrap_or_default();
    let status = go.wait().map_err(doing())?;
    if !status.success() {
        return Err(Error::Command {
            program: format!("go install, for {name}"),
            status: status.to_string(),
            output: last_lines(&said),
        });
    }
    eprintln!("devenv: {name} is built ({} s)", started.elapsed().as_secs());
    Ok(())
}

/// Counts the packages that Go tells of, reports now and then, and returns all it said.
fn follow(stderr: ChildStderr, name: &str, started: Instant) -> String {
    let (mut said, mut packages, mut reported) = (String::new(), 0_u32, started);
    for line in BufReader::new(stderr)
        .lines()
        .map_while(Result::<_, std::io::Error>::ok)
    {
        packages += u32::from(!line.contains(' '));
        if reported.elapsed() >= REPORT {
            reported = Instant::now();
            eprintln!(
                "devenv: {name}: {packages} packages, {} s: {line}",
                started.elapsed().as_secs()
            );
        }
        said.push_str(&line);
        said.push('\n');
    }
    said
}
