//! Reads the API server's audit log: one line per completed request, without bodies.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};

/// One completed request. A field is empty when the request had no such part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The client's `User-Agent`, such as `kubectl/v1.36.3 (linux/amd64) kubernetes/...`.
    pub user_agent: String,
    /// The authenticated user.
    pub user: User,
    /// The requested object; empty for requests such as `/readyz`.
    pub object_ref: ObjectRef,
    /// The response.
    pub response_status: ResponseStatus,
}

/// The user of a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct User {
    /// Such as `admin` or `system:serviceaccount:<namespace>:<name>`.
    pub username: String,
}

/// The object of a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectRef {
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

/// The response to a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResponseStatus {
    /// The HTTP status; 0 when none was sent.
    pub code: u16,
}

impl Entry {
    /// Whether the request is a write.
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }
}

/// Reads all entries, oldest first. Skips a line that is still being written.
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
    fn a_half_written_line_is_skipped() {
        let folder = std::env::temp_dir().join(format!("audit-{}", crate::process_group::random_hex()));
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
