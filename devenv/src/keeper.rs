//! Starts processes that die with this one.
//!
//! On Linux a child can ask to be sent a signal when its parent dies (`PR_SET_PDEATHSIG`). "Parent" means the
//! *thread* that forked: a child that was started from a test's thread would be killed at the end of that
//! test, though others still use it. So one thread, which ends only with the process, does all the starting.
//! The request itself is made by `setpriv` of util-linux between fork and exec, because in Rust it would need
//! `unsafe`. Where there is no
//! `setpriv` (macOS) only the reaper of [`crate::household`] stands guard.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use crate::environment;

type Job = Box<dyn FnOnce() + Send>;

static SETPRIV: LazyLock<Option<PathBuf>> = LazyLock::new(|| environment::program("setpriv"));

static KEEPER: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
    let (sender, jobs) = channel::<Job>();
    // Without a thread the receiver is dropped, and every request says so.
    drop(
        thread::Builder::new()
            .name("devenv-keeper".into())
            .spawn(move || jobs.into_iter().for_each(|job| job())),
    );
    Mutex::new(sender)
});

/// How a process wants to be told to end at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Farewell {
    /// It may be killed.
    Kill,
    /// PostgreSQL: an immediate shutdown, which takes its workers along and frees the shared memory.
    Quit,
}

impl Farewell {
    /// The signal's name as `kill` and `setpriv` read it.
    pub(crate) fn signal(self) -> &'static str {
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

/// A command line that ends with its parent and, where a user is given, runs as that user.
pub(crate) fn leashed(program: &std::path::Path, farewell: Farewell, user: Option<User>) -> Command {
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
        .args(["--pdeathsig", farewell.signal(), "--"])
        .arg(program);
    command
}

/// Starts the command from the thread that lives as long as this process.
///
/// # Errors
/// What the system says when it cannot start the program.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    let (answer, answers) = channel();
    let job: Job = Box::new(move || drop(answer.send(command.spawn())));
    let gone = || io::Error::other("the thread that starts processes is gone");
    KEEPER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send(job)
        .map_err(|_| gone())?;
    answers.recv().map_err(|_| gone())?
}
