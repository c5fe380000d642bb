//! A test environment whose operator is a process that reaches each of its three servers through a proxy
//! (`devenv::proxy`), with the chart's RBAC.

use std::path::PathBuf;
use std::sync::Arc;

use devenv::proxy::{HttpProxy, Interceptor, PostgresProxy};
use devenv::simulator;
use serde_json::{Value, json};

use super::environment::TestEnvironment;
use super::operator_process::OperatorProcess;
use super::servers;

pub struct Proxied {
    pub env: TestEnvironment,
    /// Intercepts the effects of all three proxies, in one sequence.
    pub interceptor: Arc<Interceptor>,
    pub api: HttpProxy,
    pub db: PostgresProxy,
    pub tcs: HttpProxy,
    kubeconfig: PathBuf,
}

impl Proxied {
    /// Without a connection and an operator.
    pub async fn new(config: simulator::Config) -> Self {
        let env = TestEnvironment::bare(config).await;
        let plane = servers::plane_with_rbac().await;
        let interceptor = Arc::new(Interceptor::default());
        let api = HttpProxy::to_api_server(plane, Arc::clone(&interceptor))
            .await
            .unwrap();
        let db = PostgresProxy::start(&env.database_url, Arc::clone(&interceptor))
            .await
            .unwrap();
        let tcs = HttpProxy::to_tcs(env.tcs.url(), Arc::clone(&interceptor))
            .await
            .unwrap();
        let account = [
            "create",
            "token",
            devenv::SERVICE_ACCOUNT,
            "--namespace",
            devenv::NAMESPACE,
        ];
        let token = plane.kubectl().run(&account).await.unwrap();
        // Next to the admin's kubeconfig: the folder is deleted with the cluster.
        let kubeconfig = plane
            .kubeconfig()
            .with_file_name(format!("{}.kubeconfig", env.namespace));
        let text = plane.kubeconfig_for_url(&api.url(), devenv::SERVICE_ACCOUNT, token.trim());
        std::fs::write(&kubeconfig, text).unwrap();
        Self {
            env,
            interceptor,
            api,
            db,
            tcs,
            kubeconfig,
        }
    }

    /// Creates the Secrets and the connection `default`, which uses the proxies. `changes` are merged into its spec.
    pub async fn connect(&self, changes: Value) {
        self.env.secret("tcs", &servers::credentials()).await;
        self.env.secret("database", &json!({"url": self.db.url()})).await;
        let mut spec = json!({"api": {"url": self.tcs.url()}});
        servers::merge(&mut spec, changes);
        self.env.connection("default", spec).await;
    }

    /// Starts an operator with these additional environment variables.
    pub fn operator(&self, name: &str, variables: &[(&str, &str)]) -> OperatorProcess {
        OperatorProcess::start_as(&self.env, name, &self.kubeconfig, variables)
    }
}
