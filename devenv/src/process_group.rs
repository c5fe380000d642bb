//! A temporary folder and the servers that run in it. Both are removed, however this process ends.
//!
//! Two independent mechanisms guarantee it:
//! - Each server carries a parent-death signal ([`crate::spawner`]).
//! - Each group has a cleanup shell (`cleanup.sh`), a child in a process group of its own. It reads the servers' process ids
//!   from the parent pipe. The kernel closes that pipe when this process ends; the shell then stops the servers and removes
//!   the folder.
//!
//! Dropping a [`ProcessGroup`] closes the same pipe, so every test exercises the cleanup shell.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::error::{Error, Result};
use crate::spawner::{self, StopSignal, User};

const CLEANUP_SCRIPT: &str = include_str!("cleanup.sh");

/// How many lines of a log an error shows.
const LOG_TAIL_LINES: usize = 20;

/// The command line of a server, and how to stop it.
#[derive(Clone, Debug)]
pub(crate) struct ServerCommand {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) user: Option<User>,
    pub(crate) stop_signal: StopSignal,
}

/// A folder and its servers.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    folder: PathBuf,
    cleanup_shell: Child,
    /// Standard input of the cleanup shell. Closing it starts the cleanup.
    parent_pipe: Option<ChildStdin>,
    servers: Vec<(&'static str, Child)>,
}

/// The line `GONE <pid>` removes a server from the cleanup shell's list.
const GONE: &str = "GONE";

impl ProcessGroup {
    /// Creates an empty folder with mode 0700 and starts its cleanup shell.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be created or the shell cannot be started.
    pub(crate) fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("tarana-devenv-{}", random_hex()));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(Error::io(format!("create {}", folder.display())))?;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", CLEANUP_SCRIPT, "tarana-devenv-cleanup"])
            .arg(&folder)
            .current_dir("/")
            .process_group(0);
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // No parent-death signal: the cleanup shell must outlive this process.
        let mut cleanup_shell = shell.spawn().map_err(|source| {
            let _ = fs::remove_dir(&folder);
            Error::Io {
                what: "start the cleanup shell".into(),
                source,
            }
        })?;
        let parent_pipe = cleanup_shell.stdin.take();
        Ok(Self {
            folder,
            cleanup_shell,
            parent_pipe,
            servers: Vec::new(),
        })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The effective user id of this process, read from the folder that it created.
    pub(crate) fn current_uid(&self) -> Result<u32> {
        Ok(fs::metadata(&self.folder)
            .map_err(self.folder_error("read the owner of"))?
            .uid())
    }

    /// Gives the folder to another user, for servers that refuse to run as root.
    pub(crate) fn chown_folder(&self, user: User) -> Result<()> {
        chown(&self.folder, Some(user.uid), Some(user.gid)).map_err(self.folder_error("chown"))
    }

    /// Writes a file into the folder and returns its path.
    pub(crate) fn write_file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
        Ok(path)
    }

    /// Starts a server in the folder and writes its output to `<name>.log`. The server gets a process group of its own, so
    /// that Ctrl-C in the terminal reaches only this process.
    ///
    /// # Errors
    /// [`Error::Io`] when the program cannot be started.
    pub(crate) fn start(&mut self, command: ServerCommand) -> Result<()> {
        let ServerCommand {
            name,
            program,
            args,
            user,
            stop_signal,
        } = command;
        let log = File::create(self.log_path(name)).map_err(self.folder_error("create a log in"))?;
        let mut command = spawner::child_command(&program, stop_signal, user);
        command
            .args(args)
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::null());
        command
            .stdout(log.try_clone().map_err(self.folder_error("create a log in"))?)
            .stderr(log);
        let server = spawner::spawn(command).map_err(Error::io(format!("start {}", program.display())))?;
        let line = format!("{} {}\n", stop_signal.name(), server.id());
        self.servers.push((name, server));
        self.notify_cleanup_shell(&line)
    }

    /// Stops a server, waits for its end, and keeps its files.
    ///
    /// # Errors
    /// [`Error::Io`] when the server cannot be signalled or awaited.
    pub(crate) fn stop(&mut self, name: &str, stop_signal: StopSignal) -> Result<()> {
        let Some(index) = self.servers.iter().position(|(known, _)| *known == name) else {
            return Ok(());
        };
        let (_, mut server) = self.servers.remove(index);
        let kill = format!("kill -s {} {}", stop_signal.name(), server.id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        sent.and_then(|_| server.wait())
            .map_err(Error::io(format!("stop {name}")))?;
        self.notify_cleanup_shell(&format!("{GONE} {}\n", server.id()))
    }

    fn notify_cleanup_shell(&mut self, line: &str) -> Result<()> {
        let written = self
            .parent_pipe
            .as_mut()
            .map_or(Ok(()), |pipe| pipe.write_all(line.as_bytes()));
        written.map_err(self.folder_error("notify the cleanup shell of"))
    }

    /// Checks that all servers are running.
    ///
    /// # Errors
    /// [`Error::Ended`] for the first one that has exited.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        for (name, server) in &mut self.servers {
            if let Some(status) = server
                .try_wait()
                .map_err(Error::io(format!("read the state of {name}")))?
            {
                let tail = log_tail(&self.folder.join(format!("{name}.log")));
                return Err(Error::Ended {
                    name,
                    status: status.to_string(),
                    tail,
                });
            }
        }
        Ok(())
    }

    /// The last lines of every server's log.
    pub(crate) fn log_tails(&self) -> String {
        let one =
            |(name, _): &(&'static str, Child)| format!("--- {name}\n{}", log_tail(&self.log_path(name)));
        self.servers.iter().map(one).collect::<Vec<_>>().join("\n")
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn folder_error(&self, verb: &str) -> impl FnOnce(std::io::Error) -> Error {
        Error::io(format!("{verb} {}", self.folder.display()))
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        drop(self.parent_pipe.take());
        if matches!(self.cleanup_shell.try_wait(), Ok(Some(status)) if !status.success()) {
            // The cleanup shell was killed: clean up here.
            for (_, server) in &mut self.servers {
                let _ = server.kill();
            }
            let _ = fs::remove_dir_all(&self.folder);
        }
        // The cleanup shell polls until the servers are gone; as their parent, reap them first.
        for (_, server) in &mut self.servers {
            let _ = server.wait();
        }
        let _ = self.cleanup_shell.wait();
    }
}

/// The last lines of a log file; empty when the file cannot be read.
pub(crate) fn log_tail(log: &Path) -> String {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    last_lines(&text)
}

/// The last lines of a text, as many as an error shows.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

/// 32 random hexadecimal digits.
pub(crate) fn random_hex() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_sleep(group: &mut ProcessGroup) -> u32 {
        let program = PathBuf::from("/bin/sleep");
        let command = ServerCommand {
            name: "sleep",
            program,
            args: vec!["1000".into()],
            user: None,
            stop_signal: StopSignal::Kill,
        };
        group.start(command).unwrap();
        group.servers[0].1.id()
    }

    #[test]
    fn drop_stops_the_servers_and_removes_the_folder() {
        let mut group = ProcessGroup::new().unwrap();
        let (folder, pid) = (group.folder().to_owned(), start_sleep(&mut group));
        assert!(folder.is_dir() && group.check_running().is_ok());
        drop(group);
        assert!(!folder.exists() && !Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_stopped_server_can_be_started_again() {
        let mut group = ProcessGroup::new().unwrap();
        let pid = start_sleep(&mut group);
        group.stop("sleep", StopSignal::Kill).unwrap();
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        start_sleep(&mut group);
        group.check_running().unwrap();
    }

    #[test]
    fn a_server_outlives_the_thread_that_started_it() {
        let mut group = ProcessGroup::new().unwrap();
        let mut group = std::thread::spawn(move || {
            start_sleep(&mut group);
            group
        })
        .join()
        .unwrap();
        group.check_running().unwrap();
    }

    #[test]
    fn drop_cleans_up_when_the_cleanup_shell_was_killed() {
        let mut group = ProcessGroup::new().unwrap();
        let (folder, pid) = (group.folder().to_owned(), start_sleep(&mut group));
        group.cleanup_shell.kill().unwrap();
        group.cleanup_shell.wait().unwrap();
        drop(group);
        assert!(!folder.exists() && !Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn an_exited_server_is_reported_with_its_status_and_log() {
        let mut group = ProcessGroup::new().unwrap();
        let args = vec!["-c".into(), "echo alas; exit 3".into()];
        let command = ServerCommand {
            name: "shell",
            program: "/bin/sh".into(),
            args,
            user: None,
            stop_signal: StopSignal::Kill,
        };
        group.start(command).unwrap();
        group.servers[0].1.wait().unwrap();
        let message = group.check_running().unwrap_err().to_string();
        assert!(
            message.contains("shell ended (exit status: 3)") && message.contains("alas"),
            "{message}"
        );
    }
}
