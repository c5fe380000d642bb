//! Pure: what identifies a run in its log row.

use uuid::Uuid;

/// Why a run exists; the values of `trigger_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A schedule created it.
    Cron,
    /// A person or a program created it.
    Manual,
}

impl Trigger {
    /// The value in the column `trigger_type`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Manual => "manual",
        }
    }
}

/// What the log row records of a run from its creation.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// `metadata.uid` of the `TaranaSync`.
    pub id: Uuid,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Name of its `TaranaConnection`.
    pub connection: String,
    /// `metadata.uid` of its `TaranaConnection`.
    pub connection_uid: Uuid,
    /// The cluster, if it is known: `metadata.uid` of its namespace kube-system.
    pub cluster_uid: Option<Uuid>,
    /// Why it exists.
    pub trigger: Trigger,
    /// The application's user who requested it; recorded only if `admin_users` has that user.
    pub triggered_by: Option<Uuid>,
    /// Who requested it, as free text.
    pub actor: String,
    /// Whether it only plans.
    pub dry_run: bool,
    /// Whether it deletes stale rows.
    pub delete_stale: bool,
}
