//! The command lines of `initdb` and `postgres`.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::Settings;
use crate::error::{Error, Result};
use crate::household::{Household, Launch, last_lines};
use crate::keeper::{self, Farewell, User};

/// The superuser's name.
pub(super) const SUPERUSER: &str = "tarana";

/// More than PostgreSQL's 100, since many tests share one server.
const CONNECTIONS: &str = "300";

/// Makes the data folder, with a superuser who has this password.
pub(super) async fn initialise(
    household: &Household,
    programs: &Path,
    user: Option<User>,
    password: &str,
) -> Result<()> {
    let secret = household.write("password", password)?;
    if let Some(User { uid, gid }) = user {
        chown(&secret, Some(uid), Some(gid)).map_err(Error::io("hand over the password"))?;
    }
    let initdb = programs.join("initdb");
    let mut command = Command::from(keeper::leashed(&initdb, Farewell::Kill, user));
    command.arg(format!("--pgdata={}/data", household.folder().display()));
    command
        .arg(format!("--username={SUPERUSER}"))
        .arg(format!("--pwfile={}", secret.display()));
    // The password goes in clear over the loopback: the server compares it, and a debug build need not
    // compute SCRAM's 4,096 rounds for every connection.
    command.args([
        "--auth=password",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
    ]);
    command
        .current_dir(household.folder())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command
        .output()
        .await
        .map_err(Error::io(format!("run {}", initdb.display())))?;
    fs::remove_file(&secret).map_err(Error::io("remove the password"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Command {
        program: "initdb".into(),
        status: output.status.to_string(),
        output: last_lines(&String::from_utf8_lossy(&output.stderr)),
    })
}

/// The server on this port of the loopback address, without a socket in the file system.
pub(super) fn server(
    programs: &Path,
    folder: &Path,
    user: Option<User>,
    port: u16,
    settings: &Settings,
) -> Launch {
    let mut values = vec![
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        ("unix_socket_directories", String::new()),
        ("max_connections", CONNECTIONS.to_owned()),
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
    Launch {
        name: "postgres",
        program: programs.join("postgres"),
        args,
        user,
        farewell: Farewell::Quit,
    }
}

/// Debian's user for PostgreSQL, or else nobody.
pub(super) fn unprivileged_user() -> Result<User> {
    let users = fs::read_to_string("/etc/passwd").map_err(Error::io("read /etc/passwd"))?;
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| user(&users, name))
        .ok_or_else(|| {
            Error::Missing(
                "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`".into(),
            )
        })
}

/// The ids of that user, from the text of `/etc/passwd`.
fn user(users: &str, name: &str) -> Option<User> {
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
    fn users_are_found_by_their_whole_name() {
        let users = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:7::/:\npostgres:x:105:110::/var/lib/postgresql:/bin/bash\n";
        let found = user(users, "postgres").unwrap();
        assert_eq!((found.uid, found.gid), (105, 110));
        assert!(user(users, "nobody").is_none());
    }

    #[test]
    fn only_a_server_for_the_bin_skips_the_disk() {
        let args = |durable| {
            let settings = Settings {
                durable,
                extra: vec![("work_mem".into(), "8MB".into())],
            };
            server(Path::new("/bin"), Path::new("/x"), None, 1, &settings).args
        };
        let skips = |args: &[String]| args.iter().any(|arg| arg == "fsync=off");
        assert!(skips(&args(false)) && !skips(&args(true)));
        assert_eq!(args(true).last().map(String::as_str), Some("work_mem=8MB"));
    }
}
