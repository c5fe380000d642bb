//! Renders a page with its Content-Security-Policy.

use std::fmt;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use uuid::Uuid;

use super::account::Account;
use super::address::{Pair, address, connection_pairs};
use super::assets::{PAGE_ASSETS, PageAssets};
use super::return_path;
use crate::admin::defaults::Defaults;
use crate::admin::problem::Problem;
use crate::admin::station_query::ConnectionQuery;

/// A number that is used once: scripts and htmx's attributes of a page have it.
#[derive(Clone, Copy, Debug)]
pub struct Nonce(Uuid);

impl Nonce {
    /// A new one.
    pub fn new() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

/// A part of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    BaseStations,
    Map,
    Runs,
    Schedules,
    Connections,
}

impl Section {
    const ALL: [Self; 5] = [
        Self::BaseStations,
        Self::Map,
        Self::Runs,
        Self::Schedules,
        Self::Connections,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::BaseStations => "Base stations",
            Self::Map => "Map",
            Self::Runs => "Syncs",
            Self::Schedules => "Schedules",
            Self::Connections => "Connections",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::BaseStations => return_path::START,
            Self::Map => return_path::MAP,
            Self::Runs => return_path::RUNS,
            Self::Schedules => return_path::SCHEDULES,
            Self::Connections => return_path::CONNECTIONS,
        }
    }
}

/// A link of the navigation.
#[derive(Clone, Debug)]
pub struct NavigationLink {
    pub title: &'static str,
    pub address: String,
    pub is_current: bool,
}

/// What every page has.
#[derive(Clone, Debug)]
pub struct Layout {
    pub title: &'static str,
    pub nonce: Nonce,
    /// `None` if nobody is signed in.
    pub account: Option<Account>,
    pub assets: PageAssets,
    /// The part of the navigation that is the page.
    section: Option<Section>,
    /// The parameters of the connection to which the navigation leads.
    connection: Vec<Pair>,
}

impl Layout {
    /// The layout of a page that is not in the navigation, which leads to the default connection.
    pub fn new(title: &'static str, account: Option<Account>) -> Self {
        Self {
            title,
            nonce: Nonce::new(),
            account,
            assets: PAGE_ASSETS,
            section: None,
            connection: Vec::new(),
        }
    }

    /// The same for a page that is a part of the navigation.
    pub fn in_section(self, section: Section) -> Self {
        Self {
            section: Some(section),
            ..self
        }
    }

    /// The same for a page of a connection: the navigation leads to its other pages.
    pub fn of_connection(self, defaults: &Defaults, query: &ConnectionQuery) -> Self {
        Self {
            connection: connection_pairs(defaults, query),
            ..self
        }
    }

    /// The same, with the parameters of the connection.
    pub fn with_connection(self, connection: Vec<Pair>) -> Self {
        Self { connection, ..self }
    }

    /// The links of the navigation.
    pub fn navigation(&self) -> [NavigationLink; Section::ALL.len()] {
        Section::ALL.map(|section| NavigationLink {
            title: section.title(),
            address: address(section.path(), &self.connection),
            is_current: self.section == Some(section),
        })
    }

    /// Address of the connection's own page.
    pub fn connection_link(&self) -> String {
        address(return_path::CONNECTIONS, &self.connection)
    }
}

/// The response with a page. `nonce` is that of its layout.
pub fn render(status: StatusCode, nonce: Nonce, page: &impl Template) -> Result<Response, Problem> {
    render_with_images(status, nonce, page, None)
}

/// The same for a page that also loads images from this source, in the terms of a Content-Security-Policy.
pub fn render_with_images(
    status: StatusCode,
    nonce: Nonce,
    page: &impl Template,
    image_source: Option<&str>,
) -> Result<Response, Problem> {
    let images = image_source
        .map(|source| format!(" {source}"))
        .unwrap_or_default();
    let html = page.render();
    let html = html.map_err(|error| Problem::internal("a page cannot be rendered", &error))?;
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:{images}; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::try_from(policy)
        .map_err(|error| Problem::internal("a Content-Security-Policy is invalid", &error))?;
    Ok((status, [(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response())
}
