#![doc = include_str!("README.md")]

mod auth;
mod create;
mod cursor;
mod extract;
mod kind;
mod live;
mod middleware;
mod objects;
mod pools;
mod problem;
mod rate_limit;
mod response;
mod routes;
mod runs;
mod server;
mod state;

pub use routes::openapi;
pub use server::{Config, Error, Tls, serve};
pub use state::Defaults;
