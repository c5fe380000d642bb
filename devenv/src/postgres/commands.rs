//! The command lines of `initdb` and `postgres`.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::PostgresSettings;
use crate::error::{Error, Result};
use crate::process_group::{ProcessGroup, ServerCommand, last_lines};
use crate::spawner::{self, StopSignal, User};

/// The superuser.
pub(super) const SUPERUSER: &str = "tarana";

/// PostgreSQL's default of 100 is too low for the tests that share one server.
const MAX_CONNECTIONS: &str = "300";

/// Creates the data folder with a superuser of this password.
pub(super) async fn init_data_folder(
    group: &ProcessGroup,
    programs: &Path,
    user: Option<User>,
    password: &str,
) -> Result<()> {
    let secret = group.write_file("password", password)?;
    if let Some(User { uid, gid }) = user {
        chown(&secret, Some(uid), Some(gid)).map_err(Error::io("chown the password file"))?;
    }
    let initdb = programs.join("initdb");
    let mut command = Command::from(spawner::child_command(&initdb, StopSignal::Kill, user));
    command.arg(format!("--pgdata={}/data", group.folder().display()));
    command
        .arg(format!("--username={SUPERUSER}"))
        .arg(format!("--pwfile={}", secret.display()));
    // Plain-text passwords are enough on the loopback. SCRAM's 4,096 rounds per connection are slow in a debug build.
    command.args([
        "--auth=password",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
    ]);
    command
        .current_dir(group.folder())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command
        .output()
        .await
        .map_err(Error::io(format!("run {}", initdb.display())))?;
    fs::remove_file(&secret).map_err(Error::io("remove the password file"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Command {
        program: "initdb".into(),
        status: output.status.to_string(),
        output: last_lines(&String::from_utf8_lossy(&output.stderr)),
    })
}

/// The server's command line: this port of the loopback address, no Unix socket.
pub(super) fn server(
    programs: &Path,
    folder: &Path,
    user: Option<User>,
    port: u16,
    settings: &PostgresSettings,
) -> ServerCommand {
    let mut values = vec![
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        ("unix_socket_directories", String::new()),
        ("max_connections", MAX_CONNECTIONS.to_owned()),
        ("timezone", "UTC".to_owned()),
        ("log_timezone", "UTC".to_owned()),
    ];
    if !settings.durable {
        let off = ["fsync", "synchronous_commit", "full_page_writes"];
        values.extend(off.map(|name| (name, "off".to_owned())));
    }
    values.extend(
        settings
            .extra
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    let data = vec!["-D".to_owned(), format!("{}/data", folder.display())];
    let flags = values
        .into_iter()
        .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]);
    let args = data.into_iter().chain(flags).collect();
    ServerCommand {
        name: "postgres",
        program: programs.join("postgres"),
        args,
        user,
        stop_signal: StopSignal::Quit,
    }
}

/// Debian's user `postgres`, or else `nobody`.
pub(super) fn unprivileged_user() -> Result<User> {
    let users = fs::read_to_string("/etc/passwd").map_err(Error::io("read /etc/passwd"))?;
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| find_user(&users, name))
        .ok_or_else(|| {
            Error::Missing("PostgreSQL does not run as root: create a user `postgres` or `nobody`".into())
        })
}

/// The user's ids in the text of `/etc/passwd`.
fn find_user(users: &str, name: &str) -> Option<User> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let _ = fields.next().filter(|field| *field == name)?;
        let mut ids = fields.skip(1).take(2).map_while(|field| field.parse().ok());
        Some(User {
            uid: ids.next()?,
            gid: ids.next()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_user_compares_the_whole_name() {
        let users = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:7::/:\npostgres:x:105:110::/var/lib/postgresql:/bin/bash\n";
        let found = find_user(users, "postgres").unwrap();
        assert_eq!((found.uid, found.gid), (105, 110));
        assert!(find_user(users, "nobody").is_none());
    }

    #[test]
    fn only_a_durable_server_syncs_to_disk() {
        let args = |durable| {
            let settings = PostgresSettings {
                durable,
                extra: vec![("work_mem".into(), "8MB".into())],
            };
            server(Path::new("/bin"), Path::new("/x"), None, 1, &settings).args
        };
        let skips_fsync = |args: &[String]| args.iter().any(|arg| arg == "fsync=off");
        assert!(skips_fsync(&args(false)) && !skips_fsync(&args(true)));
        assert_eq!(args(true).last().map(String::as_str), Some("work_mem=8MB"));
    }
}
