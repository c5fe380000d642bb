//! Tests of the simulator through HTTP, with a plain client: no cookie jar, no redirects, no decompression.

mod cli;
mod content;
mod control;
mod faults;
mod fleet;
mod listings;
mod session;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{Config, Simulator};

/// A simulator and a client with its session cookies.
struct Portal {
    sim: Simulator,
    http: Client,
    cookies: String,
}

const SEARCH: &str = "/api/nqs/v1/regions/devices/search";
const DEVICES: &str = "/api/nqs/v1/operators/219/devices";
const RADIOS: &str = "/api/tmq/v1/radios/search";
const REGIONS: &str = "/api/tni/v2/operators/219/regions";
const HIERARCHY: &str = "/api/nqs/v1/operators/219/network-hierarchy";
const USERS: &str = "/api/tcs/v1/users";
const LOGIN: &str = "/api/tcs/v1/user-auth/login";
const REFRESH: &str = "/api/tcs/v1/user-auth/refresh";

fn client() -> Client {
    // Fails if another test installed the provider first, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_gzip()
        .build()
        .unwrap()
}

/// `name=value` of every cookie that a response sets.
fn cookies(response: &Response) -> Vec<String> {
    let lines = response
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|line| line.to_str().unwrap());
    lines
        .map(|line| line.split(';').next().unwrap().to_owned())
        .collect()
}

impl Portal {
    /// A simulator without a session.
    async fn logged_out(config: Config) -> Self {
        Self {
            sim: Simulator::start(config).await.unwrap(),
            http: client(),
            cookies: String::new(),
        }
    }

    async fn logged_in(config: Config) -> Self {
        let mut portal = Self::logged_out(config).await;
        portal.log_in().await;
        portal
    }

    async fn log_in(&mut self) {
        let response = self.login().send().await.unwrap();
        assert_eq!(response.status(), 200);
        self.cookies = cookies(&response).join("; ");
    }

    fn login(&self) -> RequestBuilder {
        let config = self.sim.config();
        self.http
            .post(format!("{}{LOGIN}", self.sim.url()))
            .basic_auth(&config.username, Some(&config.password))
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.sim.url()))
            .header("cookie", &self.cookies)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.call(Method::GET, path)
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.call(Method::POST, path).body(body.to_string())
    }

    /// Requests a page of the base nodes of region 1073.
    fn search(&self, offset: usize, count: usize) -> RequestBuilder {
        self.search_in(1073, offset, count)
    }

    fn search_in(&self, region: i64, offset: usize, count: usize) -> RequestBuilder {
        let filter =
            json!({"type": "BN", "savedConfig": false, "reportedConfig": false, "reportedState": true});
        let body = json!({"ids": [region], "deviceFilter": filter});
        self.post(&format!("{SEARCH}?offset={offset}&count={count}"), &body)
    }

    fn radios(&self, offset: usize, limit: usize) -> RequestBuilder {
        let region = json!({"type": "hierarchy", "logicalOperator": "AND",
            "conditions": [{"field": "regionId", "operation": "EXIST", "values": [1073]}]});
        self.post(RADIOS, &json!({
            "query": {"deviceType": "BN", "pagination": {"offset": offset, "limit": limit},
                "sort": [{"field": "deviceId", "direction": "ASC"}],
                "conditions": [{"logicalOperator": "AND", "conditions": [region]}]},
            "outputSchema": {"deviceFields": ["/system/install/state/latitude", "/system/install/state/longitude",
                "/system/install/state/height", "/system/install/state/azimuth", "/radios/regulatory/state/band",
                "/system/state/hostname", "deviceStatus"]},
        }))
    }
}

/// Sends a request and returns status and JSON body.
async fn send(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (
        status,
        serde_json::from_str(&response.text().await.unwrap()).unwrap(),
    )
}

fn serials(items: &Value) -> Vec<String> {
    items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["serialNumber"].as_str().unwrap().to_owned())
        .collect()
}
