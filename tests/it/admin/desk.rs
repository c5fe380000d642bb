//! A world whose operator serves the admin API, and people with tokens before it.

use std::net::{SocketAddr, TcpListener};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::Value;
use tarana_operator::admin::{Config, Defaults};
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::TaranaSync;
use tokio::sync::OnceCell;

use crate::world::{World, condition, until};
use crate::{chart, servers};

/// A world, and who may do what in it.
pub struct Desk {
    pub w: World,
    pub url: String,
    /// May do nothing.
    pub nobody: String,
    /// Holds the chart's viewer role in the namespace.
    pub viewer: String,
    /// Holds the chart's viewer and editor roles.
    pub editor: String,
    http: reqwest::Client,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Desk {
    /// With a connection that is ready.
    pub async fn open() -> Self {
        let desk = Self::closed().await;
        desk.w.secrets_and_connection().await;
        let ready = |c: &tarana_operator::api::connection::TaranaConnection| {
            condition(&c.status.clone().unwrap_or_default().conditions, "Ready").0 == "True"
        };
        desk.w.connection_when("default", "is ready", ready).await;
        desk
    }

    /// With nothing in the namespace but its people.
    pub async fn closed() -> Self {
        roles().await;
        let mut w = World::bare(servers::tcs()).await;
        let listen = free();
        w.start_operator_with_admin(Config {
            listen,
            tls: None,
            defaults: Defaults {
                namespace: w.namespace.clone(),
                connection: "default".into(),
            },
        });
        let nobody = person(&w, "nobody", &[]).await;
        let viewer = person(&w, "viewer", &["viewer"]).await;
        let editor = person(&w, "editor", &["viewer", "editor"]).await;
        let desk = Self {
            url: format!("http://{listen}"),
            nobody,
            viewer,
            editor,
            http: reqwest::Client::new(),
            w,
        };
        until("the admin API is ready", || async {
            let answer = desk.http.get(format!("{}/readyz", desk.url)).send().await;
            answer.ok().filter(|answer| answer.status() == 200).map(drop)
        })
        .await;
        desk
    }

    /// A request that this desk's client would send.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub async fn schedule(&self, name: &str, spec: Value) {
        let object = serde_json::json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule", "metadata": {"name": name}, "spec": spec});
        let api: Api<TaranaSyncSchedule> = Api::namespaced(self.w.client.clone(), &self.w.namespace);
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap())
            .await
            .unwrap();
    }

    /// The objects of all runs.
    pub async fn runs(&self) -> Vec<TaranaSync> {
        self.w.syncs().list(&ListParams::default()).await.unwrap().items
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        answer(self.request("GET", path).bearer_auth(token)).await
    }

    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        answer(json(self.request("POST", path).bearer_auth(token), body)).await
    }
}

/// With this body.
pub fn json(request: reqwest::RequestBuilder, body: &Value) -> reqwest::RequestBuilder {
    request
        .header("content-type", "application/json")
        .body(body.to_string())
}

pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The roles that the chart has for users.
async fn roles() {
    static ROLES: OnceCell<()> = OnceCell::const_new();
    let apply = || async {
        let words = "template tarana-operator charts/tarana-operator --namespace tarana-system --show-only templates/users.yaml";
        let words: Vec<&str> = words.split(' ').collect();
        let roles = chart::helm(&words).await;
        servers::plane()
            .await
            .kubectl()
            .apply(&roles)
            .await
            .expect("the chart's roles");
    };
    ROLES.get_or_init(apply).await;
}

/// A service account with these of the chart's roles in the namespace, and a token of it.
async fn person(w: &World, name: &str, roles: &[&str]) -> String {
    let kubectl = servers::plane().await.kubectl();
    let account = serde_json::json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": w.namespace}});
    let bindings = roles.iter().map(|role| {
        serde_json::json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
               "metadata": {"name": format!("{name}-{role}"), "namespace": w.namespace},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": format!("tarana-system:tarana-operator-{role}")},
               "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": w.namespace}]})
    });
    let items: Vec<Value> = std::iter::once(account).chain(bindings).collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
    kubectl.apply(&list.to_string()).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(w.client.clone(), &w.namespace);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec::default()),
        ..TokenRequest::default()
    };
    let token = accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await
        .unwrap();
    token.status.unwrap().token.unwrap()
}
