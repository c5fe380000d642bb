//! A client of the admin API, with tokens for several users.

use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::Value;
use tarana_operator::admin::{
    AllowedOrigins, AuthConfig, Config, Defaults, KubernetesConfig, PublicUrl, SessionConfig, SessionKey,
};
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::TaranaSync;
use tarana_operator::webhook::AddressPolicy;
use tokio::sync::OnceCell;

use crate::environment::{TestEnvironment, condition};
use crate::{accounts, chart, servers};

/// Audience of the tokens.
const AUDIENCE: &str = "tarana-operator";

/// A test environment whose operator serves the admin API.
pub struct AdminClient {
    pub env: TestEnvironment,
    pub url: String,
    /// The token of a user without roles.
    pub no_roles: String,
    /// The token of a user with the viewer role of the chart.
    pub viewer: String,
    /// The token of a user with the viewer and editor roles.
    pub editor: String,
    /// The token of a user with all roles.
    pub approver: String,
    http: reqwest::Client,
}

/// A response that was read completely.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl AdminClient {
    /// Starts with a connection that is ready.
    pub async fn with_connection() -> Self {
        let admin = Self::start().await;
        admin.create_connection().await;
        admin
    }

    /// Creates a connection and waits until it is ready.
    pub async fn create_connection(&self) {
        self.env.create_secrets_and_connection().await;
        let ready = |c: &tarana_operator::api::connection::TaranaConnection| {
            condition(&c.status.clone().unwrap_or_default().conditions, "Ready").0 == "True"
        };
        self.env.wait_for_connection("default", "is ready", ready).await;
    }

    /// Starts without objects in the namespace.
    pub async fn start() -> Self {
        Self::start_in(TestEnvironment::bare(servers::tcs()).await).await
    }

    /// The same in this environment, which has no operator yet.
    pub async fn start_in(env: TestEnvironment) -> Self {
        Self::start_configured(env, |_| {}).await
    }

    /// The same with another configuration.
    pub async fn start_configured(mut env: TestEnvironment, configure: impl FnOnce(&mut Config)) -> Self {
        let listen = servers::free_address();
        let mut config = Config {
            listen,
            tls: None,
            auth: AuthConfig {
                kubernetes: Some(KubernetesConfig {
                    audience: Some(AUDIENCE.into()),
                }),
                supabase: None,
                sessions: Some(SessionConfig {
                    key: SessionKey::new(&[b'k'; 64]).unwrap(),
                    namespace: env.namespace.clone(),
                }),
            },
            defaults: Defaults {
                namespace: env.namespace.clone(),
                connection: "default".into(),
            },
            public_url: PublicUrl::default(),
            map_tiles: None,
            sink_addresses: AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]),
            allowed_origins: AllowedOrigins::default(),
        };
        configure(&mut config);
        env.start_operator_with_admin(config);
        let admin = Self::new(env, format!("http://{listen}")).await;
        servers::wait_until_ready(&admin.url).await;
        admin
    }

    /// A client of an admin API of this environment, with new tokens.
    pub async fn new(env: TestEnvironment, url: String) -> Self {
        apply_roles().await;
        let no_roles = create_service_account(&env, "nobody", &[]).await;
        let viewer = create_service_account(&env, "viewer", &["viewer"]).await;
        let editor = create_service_account(&env, "editor", &["viewer", "editor"]).await;
        let approver = create_service_account(&env, "approver", &["viewer", "editor", "approver"]).await;
        Self {
            url,
            no_roles,
            viewer,
            editor,
            approver,
            http: reqwest::Client::new(),
            env,
        }
    }

    /// A request without token and body.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub async fn schedule(&self, name: &str, spec: Value) {
        let object = serde_json::json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule", "metadata": {"name": name}, "spec": spec});
        let api: Api<TaranaSyncSchedule> = Api::namespaced(self.env.client.clone(), &self.env.namespace);
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap())
            .await
            .unwrap();
    }

    /// The objects of all runs.
    pub async fn runs(&self) -> Vec<TaranaSync> {
        self.env.syncs().list(&ListParams::default()).await.unwrap().items
    }

    pub async fn get(&self, token: &str, path: &str) -> Response {
        send(self.request("GET", path).bearer_auth(token)).await
    }

    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Response {
        send(with_json(self.request("POST", path).bearer_auth(token), body)).await
    }
}

/// The request with this JSON body.
pub fn with_json(request: reqwest::RequestBuilder, body: &Value) -> reqwest::RequestBuilder {
    request
        .header("content-type", "application/json")
        .body(body.to_string())
}

/// Sends the request and reads the whole response, unless it is a stream of events.
pub async fn send(request: reqwest::RequestBuilder) -> Response {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let is_stream = headers
        .get("content-type")
        .is_some_and(|value| value == "text/event-stream");
    let text = if is_stream {
        String::new()
    } else {
        response.text().await.unwrap()
    };
    Response {
        status,
        headers,
        text,
    }
}

/// Creates the chart's roles for users.
pub async fn apply_roles() {
    static ROLES: OnceCell<()> = OnceCell::const_new();
    let apply = || async {
        let arguments = "template tarana-operator charts/tarana-operator --namespace tarana-system --show-only templates/users.yaml";
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let roles = chart::helm(&arguments).await;
        servers::plane()
            .await
            .kubectl()
            .apply(&roles)
            .await
            .expect("the chart's roles");
    };
    ROLES.get_or_init(apply).await;
}

/// Creates a service account with these roles in the namespace. Returns a token.
pub async fn create_service_account(env: &TestEnvironment, name: &str, roles: &[&str]) -> String {
    let kubectl = servers::plane().await.kubectl();
    let account = serde_json::json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": env.namespace}});
    let bindings = roles.iter().map(|role| {
        serde_json::json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
               "metadata": {"name": format!("{name}-{role}"), "namespace": env.namespace},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": format!("tarana-system:tarana-operator-{role}")},
               "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": env.namespace}]})
    });
    let items: Vec<Value> = std::iter::once(account).chain(bindings).collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
    kubectl.apply(&list.to_string()).await.unwrap();
    create_token(env, name, AUDIENCE).await
}

/// A token of a service account.
pub async fn create_token(env: &TestEnvironment, name: &str, audience: &str) -> String {
    accounts::token_for(&env.client, &env.namespace, name, Some(audience)).await
}
