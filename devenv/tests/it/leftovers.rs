//! However the process ends that started the servers, they end too, and so do their folders.
//!
//! The process is `devenv up`, or this test binary itself running one of the ignored tests. What it started
//! is found by the temporary folder of its own that each gets.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use devenv::{ControlPlane, Postgres};

/// A process with a temporary folder of its own; it says on standard output when its servers run.
struct Starter {
    child: Child,
    folder: PathBuf,
    /// Kept open: nobody's words should fail for want of a listener.
    _stdout: BufReader<ChildStdout>,
}

impl Starter {
    fn start(name: &str, mut command: Command, ready: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("leftovers-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // PostgreSQL's user has to get through.
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
        command
            .env("TMPDIR", &folder)
            .env_remove("DATABASE_URL")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines = stdout.by_ref().lines().map_while(Result::ok);
        assert!(
            lines.any(|line| line.contains(ready)),
            "{name} did not say `{ready}`"
        );
        Self {
            child,
            folder,
            _stdout: stdout,
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits until neither process nor folder is left.
    fn leaves_nothing(mut self) {
        self.child.wait().unwrap();
        let left = || {
            (
                processes(&self.folder),
                fs::read_dir(&self.folder).unwrap().count(),
            )
        };
        until(
            || left() == (Vec::new(), 0),
            || format!("processes and number of folders: {:#?}", left()),
        );
        fs::remove_dir(&self.folder).unwrap();
    }
}

fn until(done: impl Fn() -> bool, left: impl Fn() -> String) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !done() {
        assert!(Instant::now() < deadline, "left after 15 s: {}", left());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// All processes that name the folder or work in it, which is every server and the reapers.
fn pids(folder: &Path) -> impl Iterator<Item = u32> {
    let about = |pid: &u32| {
        let here = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
        here || command_line(*pid).contains(folder.to_str().unwrap())
    };
    let all = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    all.filter(about).collect::<Vec<_>>().into_iter()
}

fn processes(folder: &Path) -> Vec<String> {
    pids(folder)
        .map(command_line)
        .filter(|line| !line.is_empty())
        .collect()
}

/// Empty for what is gone and only waits for its parent to notice.
fn command_line(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline"))
        .unwrap_or_default()
        .replace('\0', " ")
}

fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn up() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devenv"));
    command.arg("up");
    command
}

fn this_binary(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]);
    command
}

#[test]
fn nothing_is_left_of_what_is_killed() {
    let starter = Starter::start("kill", up(), "DATABASE_URL");
    // Three servers, PostgreSQL with its workers, and two reapers.
    let running = processes(&starter.folder);
    assert!(running.len() >= 6, "{running:#?}");
    starter.signal("KILL");
    starter.leaves_nothing();
}

/// The other guard alone: a folder stays, since nobody is left to remove it, but no process does.
#[test]
fn no_server_is_left_when_the_reapers_are_killed_first() {
    let mut starter = Starter::start("reapers", up(), "DATABASE_URL");
    for reaper in pids(&starter.folder).filter(|pid| name(*pid) == "sh") {
        assert!(
            Command::new("kill")
                .args(["-s", "KILL", &reaper.to_string()])
                .status()
                .unwrap()
                .success()
        );
    }
    starter.signal("KILL");
    starter.child.wait().unwrap();
    for folder in fs::read_dir(&starter.folder).unwrap() {
        until(
            || processes(&starter.folder).is_empty(),
            || format!("{:#?}", processes(&starter.folder)),
        );
        fs::remove_dir_all(folder.unwrap().path()).unwrap();
    }
    starter.leaves_nothing();
}

#[test]
fn nothing_is_left_after_a_polite_end() {
    for signal in ["INT", "TERM"] {
        let mut starter = Starter::start(signal, up(), "DATABASE_URL");
        starter.signal(signal);
        assert!(starter.child.wait().unwrap().success());
        starter.leaves_nothing();
    }
}

#[test]
fn nothing_is_left_after_a_panic() {
    let starter = Starter::start("panic", this_binary("leftovers::starts_and_panics"), "running");
    starter.leaves_nothing();
}

#[test]
fn nothing_is_left_of_what_a_process_shared() {
    let starter = Starter::start("shared", this_binary("leftovers::starts_and_shares"), "running");
    starter.leaves_nothing();
}

#[tokio::test]
#[ignore = "run by nothing_is_left_after_a_panic in a process of its own"]
async fn starts_and_panics() {
    let (_plane, _postgres) = tokio::try_join!(ControlPlane::start(), Postgres::start()).unwrap();
    println!("running");
    panic!("as it should");
}

#[tokio::test]
#[ignore = "run by nothing_is_left_of_what_a_process_shared in a process of its own"]
async fn starts_and_shares() {
    tokio::try_join!(ControlPlane::shared(), Postgres::shared()).unwrap();
    println!("running");
}
