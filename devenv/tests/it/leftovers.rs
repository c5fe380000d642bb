//! However a process ends, the servers that it started are stopped and their folders removed.
//!
//! The process is `devenv up`, or this test binary running one of the ignored tests. It gets a temporary folder of its own,
//! by which its servers are found.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use devenv::{ControlPlane, Postgres};

/// A process with its own temporary folder. It prints a line when its servers are running.
struct Starter {
    child: Child,
    folder: PathBuf,
    /// Kept open so that writes to it do not fail.
    _stdout: BufReader<ChildStdout>,
}

impl Starter {
    fn start(name: &str, mut command: Command, ready: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("leftovers-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // PostgreSQL's user must be able to traverse the folder.
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
            "{name} did not print `{ready}`"
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

    /// Waits until neither a process nor a folder is left.
    fn assert_nothing_left(mut self) {
        self.child.wait().unwrap();
        let left = || {
            (
                processes(&self.folder),
                fs::read_dir(&self.folder).unwrap().count(),
            )
        };
        wait_until(
            || left() == (Vec::new(), 0),
            || format!("processes and number of folders: {:#?}", left()),
        );
        fs::remove_dir(&self.folder).unwrap();
    }
}

fn wait_until(done: impl Fn() -> bool, left: impl Fn() -> String) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !done() {
        assert!(Instant::now() < deadline, "left after 15 s: {}", left());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// All processes whose command line names the folder or that work in it: every server and cleanup shell.
fn pids(folder: &Path) -> impl Iterator<Item = u32> {
    let belongs = |pid: &u32| {
        let here = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
        here || command_line(*pid).contains(folder.to_str().unwrap())
    };
    let all = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    all.filter(belongs).collect::<Vec<_>>().into_iter()
}

fn processes(folder: &Path) -> Vec<String> {
    pids(folder)
        .map(command_line)
        .filter(|line| !line.is_empty())
        .collect()
}

/// The process's command line; empty for a zombie.
fn command_line(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline"))
        .unwrap_or_default()
        .replace('\0', " ")
}

fn process_name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn up_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devenv"));
    command.arg("up");
    command
}

fn test_command(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]);
    command
}

#[test]
fn nothing_is_left_after_sigkill() {
    let starter = Starter::start("kill", up_command(), "DATABASE_URL");
    // Three servers, PostgreSQL with its workers, and two cleanup shells.
    let running = processes(&starter.folder);
    assert!(running.len() >= 6, "{running:#?}");
    starter.signal("KILL");
    starter.assert_nothing_left();
}

/// The parent-death signal alone stops all servers. The folder stays, because the cleanup shell removes it.
#[test]
fn no_server_is_left_when_the_cleanup_shells_are_killed_first() {
    let mut starter = Starter::start("cleanup-shells", up_command(), "DATABASE_URL");
    for shell in pids(&starter.folder).filter(|pid| process_name(*pid) == "sh") {
        assert!(
            Command::new("kill")
                .args(["-s", "KILL", &shell.to_string()])
                .status()
                .unwrap()
                .success()
        );
    }
    starter.signal("KILL");
    starter.child.wait().unwrap();
    for folder in fs::read_dir(&starter.folder).unwrap() {
        wait_until(
            || processes(&starter.folder).is_empty(),
            || format!("{:#?}", processes(&starter.folder)),
        );
        fs::remove_dir_all(folder.unwrap().path()).unwrap();
    }
    starter.assert_nothing_left();
}

#[test]
fn nothing_is_left_after_a_shutdown_signal() {
    for signal in ["INT", "TERM"] {
        let mut starter = Starter::start(signal, up_command(), "DATABASE_URL");
        starter.signal(signal);
        assert!(starter.child.wait().unwrap().success());
        starter.assert_nothing_left();
    }
}

#[test]
fn nothing_is_left_after_a_panic() {
    let starter = Starter::start("panic", test_command("leftovers::start_and_panic"), "running");
    starter.assert_nothing_left();
}

#[test]
fn nothing_is_left_of_shared_servers() {
    let starter = Starter::start("shared", test_command("leftovers::start_shared"), "running");
    starter.assert_nothing_left();
}

#[tokio::test]
#[ignore = "run by nothing_is_left_after_a_panic in a process of its own"]
async fn start_and_panic() {
    let (_plane, _postgres) = tokio::try_join!(ControlPlane::start(), Postgres::start()).unwrap();
    println!("running");
    panic!("expected by the test");
}

#[tokio::test]
#[ignore = "run by nothing_is_left_of_shared_servers in a process of its own"]
async fn start_shared() {
    tokio::try_join!(ControlPlane::shared(), Postgres::shared()).unwrap();
    println!("running");
}
