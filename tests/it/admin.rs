//! The admin API over HTTP, with tokens of the real API server.

mod actions;
mod authorization;
mod availability;
mod browser;
pub mod client;
mod cloudevents;
mod contract;
mod cors;
mod debug;
mod errors;
mod events;
mod geojson;
#[path = "../../src/admin/auth/supabase/tests/issuer.rs"]
mod issuer;
mod kml;
mod legacy;
mod links;
mod lists;
mod map;
mod page_client;
mod page_forms;
mod pages;
pub mod sessions;
mod sink;
mod slots;
mod snapshots;
mod stations;
mod supabase;
mod syncs;
mod tile_file;
mod timeline;
mod tls;
mod waterfall;
