//! A client of the pages.

use reqwest::RequestBuilder;

use super::client::{AdminClient, Response};

pub const BASE_STATIONS: &str = "/admin/coverage/base-stations";
pub const LIVE: &str = "/admin/coverage/live";
pub const SYNC: &str = "/admin/coverage/sync";
pub const MAP: &str = "/admin/coverage/map";
pub const MAP_TILES: &str = "/admin/coverage/map/tiles.pmtiles";
pub const RUNS: &str = "/admin/coverage/runs";
pub const SCHEDULES: &str = "/admin/coverage/schedules";
pub const RUN_SCHEDULE: &str = "/admin/coverage/schedules/run";
pub const SUSPEND: &str = "/admin/coverage/schedules/suspend";
pub const RESUME: &str = "/admin/coverage/schedules/resume";
pub const CONNECTIONS: &str = "/admin/coverage/connections";
pub const ME: &str = "/admin/me";
pub const RERUN: &str = "/admin/coverage/rerun";
pub const APPROVE: &str = "/admin/coverage/approve";
pub const CANCEL: &str = "/admin/coverage/cancel";
pub const SIGN_IN: &str = "/admin/sign-in";
pub const SIGN_OUT: &str = "/admin/sign-out";

/// A browser without JavaScript, which shows redirects.
pub struct Browser<'a> {
    admin: &'a AdminClient,
    http: reqwest::Client,
    cookie: Option<String>,
}

impl<'a> Browser<'a> {
    pub fn new(admin: &'a AdminClient) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip();
        Self {
            admin,
            http: http.build().unwrap(),
            cookie: None,
        }
    }

    pub async fn signed_in(admin: &'a AdminClient, token: &str) -> Self {
        let mut browser = Self::new(admin);
        let response = browser.post(SIGN_IN, &[("token", token)]).await;
        assert_eq!(
            (response.status, response.header("location")),
            (303, BASE_STATIONS),
            "{response:?}"
        );
        let cookie = response.header("set-cookie");
        for attribute in ["; HttpOnly", "; Secure", "; SameSite=Strict"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        browser.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        browser
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.admin.url));
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Response {
        read(self.request("GET", path)).await
    }

    /// Sends a form as the operator's own page does.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        read(form(self.request("POST", path), fields).header("sec-fetch-site", "same-origin")).await
    }

    /// The hidden field of the forms on the page.
    pub async fn csrf_token(&self) -> String {
        let page = self.get(BASE_STATIONS).await;
        let (_, rest) = page.text.split_once("name=\"csrf_token\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

pub fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(pairs.join("&"))
}

/// Sends the request. Every page has a strict Content-Security-Policy and is not cached.
pub async fn read(request: RequestBuilder) -> Response {
    let response = super::client::send(request).await;
    if response.header("content-type").starts_with("text/html") {
        let policy = response.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self' 'nonce-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(response.header("cache-control"), "no-store");
    }
    response
}
