//! The configuration of the admin API.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::auth;
use super::cors::AllowedOrigins;
use super::defaults::Defaults;
use super::map_tiles::MapTiles;
use super::public_url::PublicUrl;
use crate::webhook::AddressPolicy;

/// Configuration of the admin API.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listen address.
    pub listen: SocketAddr,
    /// Certificate and key; `None` serves plain HTTP, for a proxy in the same pod or a laptop.
    pub tls: Option<Tls>,
    /// How callers are authenticated.
    pub auth: auth::Config,
    /// Namespace and connection of requests that name none.
    pub defaults: Defaults,
    /// Base of all links.
    pub public_url: PublicUrl,
    /// The tiles behind the map.
    pub map_tiles: Option<MapTiles>,
    /// Which addresses the event sinks may have.
    pub sink_addresses: AddressPolicy,
    /// Other origins whose pages may call the API.
    pub allowed_origins: AllowedOrigins,
}

/// PEM files of a certificate chain and its key. They are reloaded when they change.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}
