//! Service accounts, and kubeconfigs that use them.

use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::environment::TestEnvironment;
use super::servers;

/// How long a token is valid. It must outlive all tests.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// Creates a service account without any permission in the namespace of the environment. Returns its kubeconfig.
pub async fn create(env: &TestEnvironment, name: &str) -> PathBuf {
    let accounts: Api<ServiceAccount> = Api::namespaced(env.client.clone(), &env.namespace);
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    accounts.create(&PostParams::default(), &account).await.unwrap();
    kubeconfig(env, name).await
}

/// A kubeconfig of an existing service account.
pub async fn kubeconfig(env: &TestEnvironment, name: &str) -> PathBuf {
    let token = token(&env.client, &env.namespace, name).await;
    let text = servers::plane().await.kubeconfig_for(name, &token);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}.kubeconfig", env.namespace));
    std::fs::write(&path, text).unwrap();
    path
}

/// A token of an existing service account for the API server.
pub async fn token(client: &Client, namespace: &str, name: &str) -> String {
    token_for(client, namespace, name, None).await
}

/// The same for this audience.
pub async fn token_for(client: &Client, namespace: &str, name: &str, audience: Option<&str>) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: audience.map(|audience| vec![audience.to_owned()]),
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let token = accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await
        .unwrap();
    token.status.unwrap().token.unwrap()
}
