//! Authenticates callers ([`Authorizer::authenticate`]) and authorizes them ([`Authorizer::authorize`]).
//!
//! Kubernetes decides both about its users. Supabase users are authenticated by their token and the table `admin_users`, and have one
//! configured role. Answers of Kubernetes and of the table, rejections included, are cached for seconds, so that a revoked permission soon
//! has no effect.

mod authorizer;
mod caller;
mod config;
mod kubernetes;
mod permission;
mod role;
mod session;
mod supabase;

pub use authorizer::Authorizer;
pub use caller::Caller;
pub use config::{Config, KubernetesConfig};
pub use permission::Permission;
pub use role::Role;
pub use session::{
    COOKIE as SESSION_COOKIE, FETCH_SITE, InvalidSessionKey, REVOKED_SESSIONS, Session, SessionConfig,
    SessionKey, Sessions, check_sign_in_site,
};
pub use supabase::{AdminUsers, ClientError, InvalidSupabaseConfig, Supabase, SupabaseConfig};
