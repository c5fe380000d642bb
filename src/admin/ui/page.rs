//! Renders a page with its Content-Security-Policy.

use std::fmt;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use uuid::Uuid;

use super::account::Account;
use super::assets::{PAGE_ASSETS, PageAssets};
use crate::admin::problem::Problem;

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
    Runs,
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
    pub section: Option<Section>,
}

impl Layout {
    /// Whether this is the page of the base stations.
    pub fn is_base_stations(&self) -> bool {
        self.section == Some(Section::BaseStations)
    }

    /// Whether this is the history of the syncs.
    pub fn is_runs(&self) -> bool {
        self.section == Some(Section::Runs)
    }

    /// The layout of a page that is not in the navigation.
    pub fn new(title: &'static str, account: Option<Account>) -> Self {
        Self {
            title,
            nonce: Nonce::new(),
            account,
            assets: PAGE_ASSETS,
            section: None,
        }
    }
}

/// The response with a page. `nonce` is that of its layout.
pub fn render(status: StatusCode, nonce: Nonce, page: &impl Template) -> Result<Response, Problem> {
    let html = page.render();
    let html = html.map_err(|error| Problem::internal("a page cannot be rendered", &error))?;
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::try_from(policy)
        .map_err(|error| Problem::internal("a Content-Security-Policy is invalid", &error))?;
    Ok((status, [(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response())
}
