//! The shell of a reader who follows the guide.

use std::path::{Path, PathBuf};

use devenv::ControlPlane;
use tokio::process::Command;

use super::guide::Block;

/// Executes blocks in the root of the repository. Exported variables are kept from block to block.
pub struct Session {
    folder: PathBuf,
    path: String,
    exports: String,
    replacements: Vec<(String, String)>,
}

impl Session {
    pub async fn new(plane: &ControlPlane, name: &str, replacements: Vec<(String, String)>) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("migration-{name}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(plane.kubeconfig(), folder.join("kubeconfig")).unwrap();
        let programs = [
            plane.kubectl().path,
            devenv::tools::helm().await.unwrap(),
            env!("CARGO_BIN_EXE_tarana-operator").into(),
        ];
        let folders: Vec<String> = programs
            .iter()
            .map(|program| program.parent().unwrap().display().to_string())
            .collect();
        Self {
            folder,
            path: folders.join(":"),
            exports: String::new(),
            replacements,
        }
    }

    /// Executes a block and returns its output.
    pub async fn run(&mut self, block: &Block) -> String {
        let mut text = block.text.clone();
        for (from, to) in &self.replacements {
            text = text.replace(from, to);
        }
        let script = if block.language == "sql" {
            let file = self.folder.join("block.sql");
            std::fs::write(&file, &text).unwrap();
            format!(
                "psql \"$OWNER_URL\" -X -v ON_ERROR_STOP=1 -f '{}'",
                file.display()
            )
        } else {
            text.clone()
        };
        let script = format!("export PATH={}:$PATH\n{}{script}", self.path, self.exports);
        let done = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("HOME", &self.folder)
            .env("KUBECONFIG", self.folder.join("kubeconfig"))
            .output()
            .await
            .unwrap();
        let output = String::from_utf8_lossy(&done.stdout).into_owned();
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{text}\n{output}\n{errors}");
        for line in text.lines().filter(|line| line.starts_with("export ")) {
            self.exports.push_str(line);
            self.exports.push('\n');
        }
        output
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
