#![doc = include_str!("README.md")]

mod actions;
mod auth;
mod cloud_event;
mod create;
mod cursor;
mod defaults;
mod extract;
mod kind;
mod live;
mod middleware;
mod objects;
mod pools;
mod problem;
mod rate_limit;
mod requests;
mod response;
mod routes;
mod runs;
mod server;
mod state;

pub use auth::{
    Config as AuthConfig, InvalidSessionKey, InvalidSupabaseConfig, KubernetesConfig, Role, SessionConfig,
    SessionKey, SupabaseConfig,
};
pub use defaults::Defaults;
pub use routes::openapi;
pub use server::{Config, Error, Tls, serve};
