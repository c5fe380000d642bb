//! What a stranger would want to see before trusting the simulator. The client here is a bare one: no cookie jar, no
//! redirects, no decompression, nothing that would hide what is on the wire.

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

/// A client that is logged in, and what it was told.
struct Portal {
    sim: Simulator,
    http: Client,
    cookies: String,
}

/// Every endpoint behind the session, each with a call that an honest server answers.
const SEARCH: &str = "/api/nqs/v1/regions/devices/search";
const DEVICES: &str = "/api/nqs/v1/operators/219/devices";
const RADIOS: &str = "/api/tmq/v1/radios/search";
const REGIONS: &str = "/api/tni/v2/operators/219/regions";
const HIERARCHY: &str = "/api/nqs/v1/operators/219/network-hierarchy";
const USERS: &str = "/api/tcs/v1/users";
const LOGIN: &str = "/api/tcs/v1/user-auth/login";
const REFRESH: &str = "/api/tcs/v1/user-auth/refresh";

fn client() -> Client {
    // Another test may have been first: either way the provider is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// `name=value` of every cookie that an answer sets.
fn cookies(answer: &Response) -> Vec<String> {
    let lines = answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|line| line.to_str().unwrap());
    lines
        .map(|line| line.split(';').next().unwrap().to_owned())
        .collect()
}

impl Portal {
    /// Started and not logged in.
    async fn closed(config: Config) -> Self {
        Self {
            sim: Simulator::start(config).await.unwrap(),
            http: client(),
            cookies: String::new(),
        }
    }

    async fn open(config: Config) -> Self {
        let mut portal = Self::closed(config).await;
        portal.log_in().await;
        portal
    }

    async fn log_in(&mut self) {
        let answer = self.login().send().await.unwrap();
        assert_eq!(answer.status(), 200);
        self.cookies = cookies(&answer).join("; ");
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

    /// A page of region 1073's base nodes.
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

/// Status and JSON body.
async fn told(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
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
