//! Runs commands as a person types them, and shows them with what they say.

use std::io::IsTerminal;
use std::process::Stdio;

use devenv::{Error, Result};
use serde_json::Value;
use tokio::process::Command;

/// A shell in the root of the repository, with the exports of this cluster.
pub(super) struct Shell {
    exports: Vec<(&'static str, String)>,
    /// Folders that come first in its PATH.
    tools: String,
    colour: bool,
}

/// How a shown command should come out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Well,
    Anyhow,
}

impl Shell {
    pub(super) fn new(exports: Vec<(&'static str, String)>, tools: String) -> Self {
        Self {
            exports,
            tools,
            colour: std::io::stdout().is_terminal(),
        }
    }

    /// What to put into another terminal for the commands to work there too.
    pub(super) fn exports(&self) -> String {
        let lines = self
            .exports
            .iter()
            .map(|(name, value)| format!("export {name}='{value}'\n"));
        lines.collect::<String>() + &format!("export PATH=\"{}:$PATH\"\n", self.tools)
    }

    /// A heading.
    pub(super) fn chapter(&self, title: &str) {
        println!("\n{}", self.bold(&format!("== {title}")));
    }

    /// Shows a command and what it says; it must end well.
    pub(super) async fn show(&self, command: &str) -> Result<()> {
        self.shown(command, Ends::Well).await
    }

    /// Shows a command whose exit code is part of its answer.
    pub(super) async fn show_anyhow(&self, command: &str) -> Result<()> {
        self.shown(command, Ends::Anyhow).await
    }

    async fn shown(&self, command: &str, ends: Ends) -> Result<()> {
        println!("\n{}", self.bold(&format!("$ {command}")));
        // One stream, so that lines come in the order in which they were said.
        let (well, said) = self.run(&format!("{{ {command}\n}} 2>&1")).await?;
        print!("{}", said.trim_end_matches('\n').to_owned() + "\n");
        if well || ends == Ends::Anyhow {
            Ok(())
        } else {
            Err(Error::Unexpected(
                "the last command should have succeeded".to_owned(),
            ))
        }
    }

    /// An object as the API server has it.
    pub(super) async fn object(&self, name: &str) -> Result<Value> {
        let (_, said) = self.run(&format!("kubectl get {name} --output json")).await?;
        serde_json::from_str(&said)
            .map_err(|error| Error::Unexpected(format!("{name} cannot be read: {error}")))
    }

    /// What one query answers, in psql's plainest form.
    pub(super) async fn query(&self, sql: &str) -> Result<String> {
        let command =
            format!("psql \"$DATABASE_URL\" --no-psqlrc --tuples-only --no-align --command \"{sql}\"");
        let (_, said) = self.run(&command).await?;
        Ok(said.trim().to_owned())
    }

    /// Whether it ended well, and its standard output.
    async fn run(&self, command: &str) -> Result<(bool, String)> {
        let doing = |source| Error::Io {
            what: format!("run `{command}`"),
            source,
        };
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("PATH=\"{}:$PATH\"\n{command}", self.tools))
            .envs(self.exports.iter().map(|(name, value)| (*name, value.as_str())))
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        let output = shell.output().await.map_err(doing)?;
        Ok((
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        ))
    }

    fn bold(&self, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[1m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A paragraph.
pub(super) fn say(text: &str) {
    println!("\n{text}");
}
