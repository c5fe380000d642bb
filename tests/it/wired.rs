//! A world whose operator is a process that reaches each of its three servers by a wire (`devenv::wires`), under the rights
//! of the chart.

use std::path::PathBuf;
use std::sync::Arc;

use devenv::simulator;
use devenv::wires::{Effects, HttpWire, PostgresWire};
use serde_json::{Value, json};

use super::program::Program;
use super::servers;
use super::world::World;

pub struct Wired {
    pub w: World,
    /// Of all three wires, in one sequence.
    pub effects: Arc<Effects>,
    pub api: HttpWire,
    pub db: PostgresWire,
    pub tcs: HttpWire,
    kubeconfig: PathBuf,
}

impl Wired {
    /// No connection and no operator yet.
    pub async fn new(config: simulator::Config) -> Self {
        let w = World::bare(config).await;
        let plane = servers::plane_with_rights().await;
        let effects = Arc::new(Effects::default());
        let api = HttpWire::to_api_server(plane, Arc::clone(&effects))
            .await
            .unwrap();
        let db = PostgresWire::start(&w.database_url, Arc::clone(&effects))
            .await
            .unwrap();
        let tcs = HttpWire::to_tcs(w.tcs.url(), Arc::clone(&effects)).await.unwrap();
        let account = [
            "create",
            "token",
            devenv::ACCOUNT,
            "--namespace",
            devenv::NAMESPACE,
        ];
        let token = plane.kubectl().run(&account).await.unwrap();
        // Beside the admin's own: the folder goes with the cluster.
        let kubeconfig = plane
            .kubeconfig()
            .with_file_name(format!("{}.kubeconfig", w.namespace));
        let text = plane.kubeconfig_by(&api.url(), devenv::ACCOUNT, token.trim());
        std::fs::write(&kubeconfig, text).unwrap();
        Self {
            w,
            effects,
            api,
            db,
            tcs,
            kubeconfig,
        }
    }

    /// Secrets, and the connection `default`, which leads over the wires. `changes` are merged into its spec.
    pub async fn connect(&self, changes: Value) {
        self.w.secret("tcs", &servers::credentials()).await;
        self.w.secret("database", &json!({"url": self.db.url()})).await;
        let mut spec = json!({"api": {"url": self.tcs.url()}});
        servers::merge(&mut spec, changes);
        self.w.connection("default", spec).await;
    }

    /// Starts an operator that is told these variables as well.
    pub fn operator(&self, name: &str, variables: &[(&str, &str)]) -> Program {
        Program::by(&self.w, name, &self.kubeconfig, variables)
    }
}
