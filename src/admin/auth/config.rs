//! Pure: which callers are authenticated, and by whom.

use super::session::SessionConfig;
use super::supabase::SupabaseConfig;

/// Who authenticates callers. With neither, every request is rejected.
#[derive(Clone, Debug)]
pub struct Config {
    /// Kubernetes, for its tokens.
    pub kubernetes: Option<KubernetesConfig>,
    /// Supabase, for the access tokens of its users.
    pub supabase: Option<SupabaseConfig>,
    /// Browser sessions; `None` for none.
    pub sessions: Option<SessionConfig>,
}

/// Authentication by Kubernetes.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// Audience of the callers' tokens; `None` for that of the API server itself.
    pub audience: Option<String>,
}
