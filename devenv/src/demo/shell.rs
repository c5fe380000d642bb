//! Runs shell commands and prints them with their output.

use std::io::IsTerminal;
use std::process::Stdio;

use devenv::{Error, Result};
use serde_json::Value;
use tokio::process::Command;

/// A shell in the root of the repository, with the environment's exports.
pub(super) struct Shell {
    exports: Vec<(&'static str, String)>,
    /// The folders at the head of its PATH.
    path: String,
    colour: bool,
}

/// Whether a command must succeed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExitCode {
    MustBeZero,
    Any,
}

impl Shell {
    pub(super) fn new(exports: Vec<(&'static str, String)>, path: String) -> Self {
        Self {
            exports,
            path,
            colour: std::io::stdout().is_terminal(),
        }
    }

    /// The `export` lines that make the commands work in another terminal.
    pub(super) fn exports(&self) -> String {
        let lines = self
            .exports
            .iter()
            .map(|(name, value)| format!("export {name}='{value}'\n"));
        lines.collect::<String>() + &format!("export PATH=\"{}:$PATH\"\n", self.path)
    }

    /// Prints a heading.
    pub(super) fn print_heading(&self, title: &str) {
        println!("\n{}", self.bold(&format!("== {title}")));
    }

    /// Prints a command, runs it and prints its output. The command must succeed.
    pub(super) async fn run(&self, command: &str) -> Result<()> {
        self.run_and_print(command, ExitCode::MustBeZero).await
    }

    /// Like [`Self::run`], for a command that may fail.
    pub(super) async fn run_any_exit(&self, command: &str) -> Result<()> {
        self.run_and_print(command, ExitCode::Any).await
    }

    async fn run_and_print(&self, command: &str, required: ExitCode) -> Result<()> {
        println!("\n{}", self.bold(&format!("$ {command}")));
        // stderr goes to stdout to keep the order of the lines.
        let (succeeded, output) = self.capture(&format!("{{ {command}\n}} 2>&1")).await?;
        print!("{}", output.trim_end_matches('\n').to_owned() + "\n");
        if succeeded || required == ExitCode::Any {
            Ok(())
        } else {
            Err(Error::Unexpected("the last command failed".to_owned()))
        }
    }

    /// Reads an object from the API server.
    pub(super) async fn get_object(&self, name: &str) -> Result<Value> {
        let (_, output) = self.capture(&format!("kubectl get {name} --output json")).await?;
        serde_json::from_str(&output)
            .map_err(|error| Error::Unexpected(format!("{name} cannot be read: {error}")))
    }

    /// Runs a query and returns psql's unaligned output.
    pub(super) async fn query(&self, sql: &str) -> Result<String> {
        let command =
            format!("psql \"$DATABASE_URL\" --no-psqlrc --tuples-only --no-align --command \"{sql}\"");
        let (_, output) = self.capture(&command).await?;
        Ok(output.trim().to_owned())
    }

    /// Runs a command without printing it. Returns whether it succeeded, and its standard output.
    async fn capture(&self, command: &str) -> Result<(bool, String)> {
        let run_error = |source| Error::Io {
            what: format!("run `{command}`"),
            source,
        };
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("PATH=\"{}:$PATH\"\n{command}", self.path))
            .envs(self.exports.iter().map(|(name, value)| (*name, value.as_str())))
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        let output = shell.output().await.map_err(run_error)?;
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

/// Prints a paragraph.
pub(super) fn print_paragraph(text: &str) {
    println!("\n{text}");
}
