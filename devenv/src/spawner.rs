//! Starts child processes that end with this process.
//!
//! On Linux a child can request a signal for the death of its parent (`PR_SET_PDEATHSIG`). "Parent" means the *thread* that
//! forked: a child started from a test's thread would be killed when that test ends. Therefore one thread, which lives as
//! long as the process, starts all children. `setpriv` of util-linux makes the request between fork and exec, because Rust
//! would need `unsafe` for it. Without `setpriv` (macOS), only the cleanup shell of [`crate::process_group`] stops the servers.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use crate::environment;

type Job = Box<dyn FnOnce() + Send>;

static SETPRIV: LazyLock<Option<PathBuf>> = LazyLock::new(|| environment::find_program("setpriv"));

static SPAWNER: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
    let (sender, jobs) = channel::<Job>();
    // If the thread cannot be started, the receiver is dropped and every `spawn` returns an error.
    drop(
        thread::Builder::new()
            .name("devenv-spawner".into())
            .spawn(move || jobs.into_iter().for_each(|job| job())),
    );
    Mutex::new(sender)
});

/// The signal that stops a process at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StopSignal {
    /// SIGKILL.
    Kill,
    /// SIGQUIT: PostgreSQL's immediate shutdown, which also stops its workers and frees the shared memory.
    Quit,
}

impl StopSignal {
    /// The name that `kill` and `setpriv` take.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
        }
    }
}

/// An unprivileged user to run a program as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A command whose process gets the signal when this process ends. It runs as the given user, if any.
pub(crate) fn child_command(program: &Path, stop_signal: StopSignal, user: Option<User>) -> Command {
    let Some(setpriv) = SETPRIV.as_ref() else {
        let mut command = Command::new(program);
        if let Some(user) = user {
            use std::os::unix::process::CommandExt;
            command.uid(user.uid).gid(user.gid);
        }
        return command;
    };
    let mut command = Command::new(setpriv);
    if let Some(User { uid, gid }) = user {
        command.args([
            format!("--reuid={uid}"),
            format!("--regid={gid}"),
            "--clear-groups".into(),
        ]);
    }
    command
        .args(["--pdeathsig", stop_signal.name(), "--"])
        .arg(program);
    command
}

/// Starts the command from the spawner thread.
///
/// # Errors
/// The system's error when the program cannot be started.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    let (result, results) = channel();
    let job: Job = Box::new(move || drop(result.send(command.spawn())));
    let thread_ended = || io::Error::other("the spawner thread has ended");
    SPAWNER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send(job)
        .map_err(|_| thread_ended())?;
    results.recv().map_err(|_| thread_ended())?
}
