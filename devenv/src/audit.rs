//! The API server's audit log: who did what, one line per finished request, without bodies.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};

/// One finished request. Texts are empty where the request had no such part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// What the client called itself, such as `kubectl/v1.36.3 (linux/amd64) kubernetes/...`.
    pub user_agent: String,
    /// Who it was.
    pub user: User,
    /// What it was about; empty for requests such as `/readyz`.
    pub object_ref: Object,
    /// What was answered.
    pub response_status: Answer,
}

/// Who made a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct User {
    /// Such as `admin` or `system:serviceaccount:<namespace>:<name>`.
    pub username: String,
}

/// What a request was about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Object {
    /// The plural, such as `taranasyncs`.
    pub resource: String,
    /// Such as `status`.
    pub subresource: String,
    /// Empty for cluster-wide objects.
    pub namespace: String,
    /// Empty for lists and for creations.
    pub name: String,
    /// Empty for the core group.
    pub api_group: String,
}

/// What a request was answered with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// The HTTP status; 0 where none was sent.
    pub code: u16,
}

impl Entry {
    /// Whether the request asked for a change.
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }
}

/// Reads all entries so far, oldest first. A line that is still being written is left out.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read.
pub fn read(log: &Path) -> Result<Vec<Entry>> {
    let text = fs::read_to_string(log).map_err(Error::io(format!("read {}", log.display())))?;
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_line_is_left_out() {
        let folder = std::env::temp_dir().join(format!("audit-{}", crate::household::random()));
        let line = r#"{"verb":"patch","userAgent":"x/1","objectRef":{"resource":"pods","apiGroup":""},"responseStatus":{"code":200}}"#;
        fs::write(&folder, format!("{line}\n{{\"verb\":\"cre")).unwrap();
        let entries = read(&folder).unwrap();
        fs::remove_file(&folder).unwrap();
        assert_eq!(entries.len(), 1);
        assert!(
            entries[0].is_write() && entries[0].user_agent == "x/1" && entries[0].response_status.code == 200
        );
    }
}
