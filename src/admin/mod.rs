#![doc = include_str!("README.md")]

mod actions;
mod auth;
mod authorized;
mod base_url;
mod clock;
mod cloud_event;
mod config;
mod connections;
mod cors;
mod create;
mod cursor;
mod defaults;
mod extract;
mod kind;
mod live;
mod map_query;
mod map_tiles;
mod map_view;
mod middleware;
mod objects;
mod pools;
mod problem;
mod process;
mod public_url;
mod rate_limit;
mod records;
mod repeat;
mod requests;
mod response;
mod rights;
mod routes;
mod runs;
mod schedules;
mod served_certificate;
mod server;
mod sign_in;
mod sink_test;
mod slots;
mod state;
mod station_map;
mod station_query;
mod stations;
mod timeline;
mod ui;

pub use auth::{
    Config as AuthConfig, InvalidSessionKey, InvalidSupabaseConfig, KubernetesConfig, REVOKED_SESSIONS, Role,
    SessionConfig, SessionKey, SupabaseConfig,
};
pub use config::{Config, Tls};
pub use cors::{AllowedOrigins, InvalidOrigin};
pub use defaults::Defaults;
pub use map_tiles::{InvalidMapTiles, MapTiles};
pub use process::Process;
pub use public_url::{InvalidPublicUrl, PublicUrl};
pub use routes::openapi;
pub use server::{Error, serve};
