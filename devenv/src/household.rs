//! A temporary folder with the servers that live in it, and the promise that both go.
//!
//! Two guards hold the promise. Each server carries a parent-death signal ([`crate::keeper`]). And each
//! household has a reaper: a small shell, in a process group of its own, that reads the servers' ids from a
//! pipe. However this process ends, the system closes the pipe; the reaper then ends the servers and removes
//! the folder. Dropping a household uses the same way out, so it is the way that every test takes.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::error::{Error, Result};
use crate::keeper::{self, Farewell, User};

const REAPER: &str = include_str!("reaper.sh");

/// How many lines of a log an error shows.
const TAIL: usize = 20;

/// A server to be started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) user: Option<User>,
    pub(crate) farewell: Farewell,
}

/// A folder and its servers.
#[derive(Debug)]
pub(crate) struct Household {
    folder: PathBuf,
    reaper: Child,
    /// Closing it is the sign to clean up.
    leash: Option<ChildStdin>,
    servers: Vec<(&'static str, Child)>,
}

/// What the reaper is told of a server that need not be ended any more.
const GONE: &str = "GONE";

impl Household {
    /// Makes an empty folder, readable by nobody else, and starts its reaper.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be made or the shell not be started.
    pub(crate) fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("tarana-devenv-{}", random()));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(Error::io(format!("make {}", folder.display())))?;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", REAPER, "tarana-devenv-reaper"])
            .arg(&folder)
            .current_dir("/")
            .process_group(0);
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // No parent-death signal here: the reaper must outlive us, if only for a moment.
        let mut reaper = shell.spawn().map_err(|source| {
            let _ = fs::remove_dir(&folder);
            Error::Io {
                what: "start the reaper".into(),
                source,
            }
        })?;
        let leash = reaper.stdin.take();
        Ok(Self {
            folder,
            reaper,
            leash,
            servers: Vec::new(),
        })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The user id that this process works under: the owner of what it makes.
    pub(crate) fn own_uid(&self) -> Result<u32> {
        Ok(fs::metadata(&self.folder).map_err(self.here("look at"))?.uid())
    }

    /// Hands the folder to another user, for servers that refuse to run as root.
    pub(crate) fn hand_to(&self, user: User) -> Result<()> {
        chown(&self.folder, Some(user.uid), Some(user.gid)).map_err(self.here("hand over"))
    }

    /// Writes a file of the folder and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
        Ok(path)
    }

    /// Starts a server in the folder, in a process group of its own (a Ctrl-C in the terminal is for us, not
    /// for it), with its output in `<name>.log`.
    ///
    /// # Errors
    /// [`Error::Io`] when its program cannot be started.
    pub(crate) fn start(&mut self, launch: Launch) -> Result<()> {
        let Launch {
            name,
            program,
            args,
            user,
            farewell,
        } = launch;
        let log = File::create(self.log(name)).map_err(self.here("log into"))?;
        let mut command = keeper::leashed(&program, farewell, user);
        command
            .args(args)
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::null());
        command
            .stdout(log.try_clone().map_err(self.here("log into"))?)
            .stderr(log);
        let server = keeper::spawn(command).map_err(Error::io(format!("start {}", program.display())))?;
        let line = format!("{} {}\n", farewell.signal(), server.id());
        self.servers.push((name, server));
        self.tell(&line)
    }

    /// Ends a server by its farewell, waits until it is gone, and leaves its files.
    ///
    /// # Errors
    /// [`Error::Io`] when the system does not let us.
    pub(crate) fn stop(&mut self, name: &str, farewell: Farewell) -> Result<()> {
        let Some(at) = self.servers.iter().position(|(known, _)| *known == name) else {
            return Ok(());
        };
        let (_, mut server) = self.servers.remove(at);
        let signal = format!("kill -s {} {}", farewell.signal(), server.id());
        let sent = Command::new("sh").args(["-c", &signal]).status();
        sent.and_then(|_| server.wait())
            .map_err(Error::io(format!("stop {name}")))?;
        self.tell(&format!("{GONE} {}\n", server.id()))
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let told = self
            .leash
            .as_mut()
            .map_or(Ok(()), |leash| leash.write_all(line.as_bytes()));
        told.map_err(self.here("tell the reaper of"))
    }

    /// Sees that all servers still run.
    ///
    /// # Errors
    /// [`Error::Ended`] for the first that does not.
    pub(crate) fn check(&mut self) -> Result<()> {
        for (name, server) in &mut self.servers {
            if let Some(status) = server
                .try_wait()
                .map_err(Error::io(format!("look after {name}")))?
            {
                let tail = tail(&self.folder.join(format!("{name}.log")));
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
    pub(crate) fn tails(&self) -> String {
        let one = |(name, _): &(&'static str, Child)| format!("--- {name}\n{}", tail(&self.log(name)));
        self.servers.iter().map(one).collect::<Vec<_>>().join("\n")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn here(&self, verb: &str) -> impl FnOnce(std::io::Error) -> Error {
        Error::io(format!("{verb} {}", self.folder.display()))
    }
}

impl Drop for Household {
    fn drop(&mut self) {
        drop(self.leash.take());
        if matches!(self.reaper.try_wait(), Ok(Some(status)) if !status.success()) {
            // Somebody ended the reaper: do its work here.
            for (_, server) in &mut self.servers {
                let _ = server.kill();
            }
            let _ = fs::remove_dir_all(&self.folder);
        }
        // The reaper waits for the servers, and they are gone only when their parent has taken notice.
        for (_, server) in &mut self.servers {
            let _ = server.wait();
        }
        let _ = self.reaper.wait();
    }
}

/// The last lines of a file; nothing where there is none.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    last_lines(&text)
}

/// The last lines of a text, as many as an error shows.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// 32 hexadecimal digits that nobody guesses.
pub(crate) fn random() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Ports that nobody listened on a moment ago, all different.
///
/// # Errors
/// [`Error::Io`] when the system has none.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let fail = || Error::io("find a free port");
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(fail())?;
        *port = listener.local_addr().map_err(fail())?.port();
        held.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(household: &mut Household) -> u32 {
        let program = PathBuf::from("/bin/sleep");
        let launch = Launch {
            name: "sleep",
            program,
            args: vec!["1000".into()],
            user: None,
            farewell: Farewell::Kill,
        };
        household.start(launch).unwrap();
        household.servers[0].1.id()
    }

    #[test]
    fn dropping_ends_the_servers_and_removes_the_folder() {
        let mut household = Household::new().unwrap();
        let (folder, pid) = (household.folder().to_owned(), sleeper(&mut household));
        assert!(folder.is_dir() && household.check().is_ok());
        drop(household);
        assert!(!folder.exists() && !Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn one_that_is_stopped_is_gone_and_can_come_again() {
        let mut household = Household::new().unwrap();
        let pid = sleeper(&mut household);
        household.stop("sleep", Farewell::Kill).unwrap();
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        sleeper(&mut household);
        household.check().unwrap();
    }

    #[test]
    fn a_server_outlives_the_thread_that_asked_for_it() {
        let mut household = Household::new().unwrap();
        let mut household = std::thread::spawn(move || {
            sleeper(&mut household);
            household
        })
        .join()
        .unwrap();
        household.check().unwrap();
    }

    #[test]
    fn a_lost_reaper_is_replaced_on_drop() {
        let mut household = Household::new().unwrap();
        let (folder, pid) = (household.folder().to_owned(), sleeper(&mut household));
        household.reaper.kill().unwrap();
        household.reaper.wait().unwrap();
        drop(household);
        assert!(!folder.exists() && !Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_server_that_ends_is_told_with_its_last_words() {
        let mut household = Household::new().unwrap();
        let args = vec!["-c".into(), "echo alas; exit 3".into()];
        let launch = Launch {
            name: "shell",
            program: "/bin/sh".into(),
            args,
            user: None,
            farewell: Farewell::Kill,
        };
        household.start(launch).unwrap();
        household.servers[0].1.wait().unwrap();
        let told = household.check().unwrap_err().to_string();
        assert!(
            told.contains("shell ended (exit status: 3)") && told.contains("alas"),
            "{told}"
        );
    }

    #[test]
    fn ports_differ() {
        let [a, b, c] = free_ports::<3>().unwrap();
        assert!(a != b && b != c && a != c);
    }
}
