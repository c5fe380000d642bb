#![doc = include_str!("README.md")]

mod access;
mod cursor;
mod databases;
mod limits;
mod listing;
mod objects;
mod problem;
mod read;
mod routes;
mod server;
mod start;
mod view;
mod who;

use std::sync::Arc;

use kube::Client;

use crate::cluster::Scope;
use databases::Databases;
use limits::Limits;
use objects::Objects;
use who::Access;

pub use server::{Config, Error, Tls, serve};

/// What every route needs.
#[derive(Debug)]
pub(crate) struct Admin {
    access: Access,
    objects: Objects,
    databases: Databases,
    limits: Limits,
    defaults: Defaults,
}

pub(crate) type App = Arc<Admin>;

/// What is meant where a request does not say.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The namespace.
    pub namespace: String,
    /// The connection in it.
    pub connection: String,
}

impl Admin {
    fn new(client: &Client, scopes: Arc<Vec<Scope>>, defaults: Defaults) -> Self {
        Self {
            access: Access::new(client.clone()),
            objects: Objects::new(client.clone(), scopes),
            databases: Databases::new(client.clone()),
            limits: Limits::new(),
            defaults,
        }
    }
}

/// What `/openapi.json` says.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::all().to_openapi()
}
