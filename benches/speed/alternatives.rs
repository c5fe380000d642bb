//! Alternatives to the operator: the programs of `benches/others/`.

use std::path::PathBuf;
use std::process::Stdio;

use devenv::simulator::Simulator;
use serde::Deserialize;
use tokio::process::Command;

use crate::Result;
use crate::report::Report;
use crate::servers::target_folder;

/// One program.
#[derive(Clone, Copy)]
pub struct Program {
    pub name: &'static str,
    file: &'static str,
    /// The schema of its table.
    pub schema: &'static str,
    /// Rounds at 100,000 rows.
    pub rounds: usize,
}

/// All programs.
pub const ALL: [Program; 3] = [
    Program {
        name: "script, COPY and MERGE",
        file: "copy_merge.py",
        schema: "public",
        rounds: 3,
    },
    Program {
        name: "dlt, merge",
        file: "dlt_merge.py",
        schema: "dlt",
        rounds: 2,
    },
    Program {
        name: "row by row",
        file: "row_by_row.py",
        schema: "public",
        rounds: 1,
    },
];

/// The Python environment, if it exists.
pub struct Alternatives {
    python: Option<PathBuf>,
}

/// The report of a program.
#[derive(Debug, Deserialize)]
pub struct ProgramResult {
    pub outcome: String,
    pub seconds: f64,
    pub peak_bytes: u64,
    pub error: Option<String>,
}

impl ProgramResult {
    /// The seconds of a successful run.
    pub fn seconds(&self) -> Result<f64> {
        match &self.error {
            None => Ok(self.seconds),
            Some(error) => Err(error.clone().into()),
        }
    }
}

impl Alternatives {
    /// Finds the Python environment and prints its versions, or reports that it is missing.
    pub fn find(report: &mut Report) -> Self {
        let python = target_folder()
            .ok()
            .flatten()
            .map(|dir| dir.join("others/bin/python"));
        let python = python.filter(|p| p.is_file());
        let versions = "import sys; from importlib.metadata import version as v; \
            print(sys.version.split()[0] + ',', ', '.join(f'{p} {v(p)}' for p in ('dlt', 'psycopg2-binary', 'asyncpg', 'aiohttp')))";
        let output = python
            .as_ref()
            .and_then(|p| std::process::Command::new(p).args(["-c", versions]).output().ok())
            .filter(|output| output.status.success());
        if let Some(output) = output {
            println!("Python      {}", String::from_utf8_lossy(&output.stdout).trim());
            return Self { python };
        }
        report.missing("alternatives are not measured: no Python with requirements in target/others (python3, venv and pip are needed; `make bench` sets it up)");
        Self { python: None }
    }

    /// The programs that can be run.
    pub fn all(&self) -> &'static [Program] {
        if self.python.is_some() { &ALL } else { &[] }
    }

    /// Runs one program.
    pub async fn run(
        &self,
        program: Program,
        tcs: &Simulator,
        database: &str,
        arguments: &[&str],
    ) -> Result<ProgramResult> {
        let python = self.python.as_ref().ok_or("no Python")?;
        let config = tcs.config();
        let root = env!("CARGO_MANIFEST_DIR");
        let state = target_folder()?.ok_or("no target folder")?.join("others/state");
        let output = Command::new(python)
            .arg(format!("{root}/benches/others/{}", program.file))
            .arg("--state")
            .arg(state)
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TCS_URL", tcs.url())
            .env("TCS_USERNAME", &config.username)
            .env("TCS_PASSWORD", &config.password)
            .env("TCS_OPERATOR_ID", config.operator_id.to_string())
            .env("DATABASE_URL", database)
            .stdin(Stdio::null())
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().unwrap_or_default();
        serde_json::from_str(line).map_err(|_| {
            let error = String::from_utf8_lossy(&output.stderr);
            format!(
                "{}: {}",
                program.file,
                error.lines().last().unwrap_or("no output")
            )
            .into()
        })
    }
}
