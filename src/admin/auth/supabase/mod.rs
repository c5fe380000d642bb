#![doc = include_str!("README.md")]

mod authenticator;
mod config;
mod crypto;
mod fetch;
#[cfg(test)]
#[path = "tests/issuer.rs"]
mod issuer;
mod jwks;
mod jwt;
mod keys;
mod users;

pub use authenticator::Supabase;
pub use config::{InvalidSupabaseConfig, SupabaseConfig};
pub use fetch::ClientError;
pub use users::AdminUsers;
