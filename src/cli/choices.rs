//! The values among which a flag chooses.

use clap::ValueEnum;

/// Format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// A table for people.
    Table,
    /// A JSON document.
    Json,
}

/// Who authenticates callers of the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// Kubernetes, which also authorizes them.
    Kubernetes,
    /// Supabase, for users with an active row in `admin_users`. They have the role of --supabase-role.
    Supabase,
}
