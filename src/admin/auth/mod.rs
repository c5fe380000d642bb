//! Authenticates callers ([`Authorizer::authenticate`]) and authorizes them ([`Authorizer::authorize`]).
//!
//! Kubernetes decides both. Its answers, rejections included, are cached for seconds, so that a revoked permission soon has
//! no effect.

mod authorizer;
mod caller;
mod kubernetes;
mod permission;

pub use authorizer::Authorizer;
pub use caller::Caller;
pub use permission::Permission;
