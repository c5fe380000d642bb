//! The API server as a user talks to it: a few requests with the admin's token, past every wire.

use reqwest::Method;
use serde_json::{Value, json};

use crate::ControlPlane;
use crate::control_plane::client_trusting;
use crate::error::{Error, Result};

const SYNCS: &str = "/apis/tarana.dev/v1alpha1/namespaces/default/taranasyncs";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/tarana-system/leases/tarana-operator";

/// A client of the API server.
pub(super) struct Cluster {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Cluster {
    pub(super) fn of(plane: &ControlPlane) -> Result<Self> {
        Ok(Self {
            client: client_trusting(Some(plane.ca_pem()))?,
            url: plane.url().to_owned(),
            token: plane.admin_token().to_owned(),
        })
    }

    /// Asks for a run; returns the object.
    pub(super) async fn create(&self, name: &str, spec: Value) -> Result<Value> {
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": {"name": name}, "spec": spec});
        self.must(Method::POST, SYNCS, "application/json", Some(object))
            .await
    }

    /// The run, or nothing where it is gone.
    pub(super) async fn run(&self, name: &str) -> Result<Option<Value>> {
        self.get(&format!("{SYNCS}/{name}")).await
    }

    /// All runs that are there.
    pub(super) async fn runs(&self) -> Result<Vec<Value>> {
        let list = self.get(SYNCS).await?.unwrap_or_default();
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    pub(super) async fn cancel(&self, name: &str) -> Result<()> {
        self.patch(&format!("{SYNCS}/{name}"), json!({"spec": {"cancel": true}}))
            .await
    }

    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        let path = format!("{SYNCS}/{name}");
        self.ask(Method::DELETE, &path, "application/json", None)
            .await
            .map(drop)
    }

    pub(super) async fn connection(&self, name: &str) -> Result<Option<Value>> {
        self.get(&format!(
            "/apis/tarana.dev/v1alpha1/namespaces/default/taranaconnections/{name}"
        ))
        .await
    }

    /// Changes values of a Secret.
    pub(super) async fn set_secret(&self, name: &str, values: Value) -> Result<()> {
        self.patch(
            &format!("/api/v1/namespaces/default/secrets/{name}"),
            json!({"stringData": values}),
        )
        .await
    }

    /// Who holds the operators' Lease.
    pub(super) async fn holder(&self) -> Result<Option<String>> {
        let lease = self.get(LEASE).await?.unwrap_or_default();
        Ok(lease["spec"]["holderIdentity"].as_str().map(str::to_owned))
    }

    /// How many Events there are.
    pub(super) async fn events(&self) -> Result<usize> {
        let list = self
            .get("/apis/events.k8s.io/v1/namespaces/default/events?limit=1")
            .await?;
        let list = list.unwrap_or_default();
        let first = list["items"].as_array().map_or(0, Vec::len);
        let rest = list["metadata"]["remainingItemCount"].as_u64().unwrap_or(0);
        Ok(first + usize::try_from(rest).unwrap_or(usize::MAX))
    }

    async fn get(&self, path: &str) -> Result<Option<Value>> {
        self.ask(Method::GET, path, "application/json", None).await
    }

    async fn patch(&self, path: &str, merge: Value) -> Result<()> {
        let kind = "application/merge-patch+json";
        self.ask(Method::PATCH, path, kind, Some(merge)).await.map(drop)
    }

    async fn must(&self, method: Method, path: &str, kind: &str, body: Option<Value>) -> Result<Value> {
        let answer = self.ask(method, path, kind, body).await?;
        answer.ok_or_else(|| Error::Unexpected(format!("{path} is not there")))
    }

    /// The answer; nothing for what is not there.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Option<Value>,
    ) -> Result<Option<Value>> {
        let failed = |reason: String| Error::Unexpected(format!("{method} {path}: {reason}"));
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .timeout(std::time::Duration::from_secs(20));
        if let Some(body) = body {
            request = request.header("content-type", kind).body(body.to_string());
        }
        let answer = request.send().await.map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| failed(error.to_string()))?;
        match status.as_u16() {
            404 => Ok(None),
            200..300 => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| failed(error.to_string())),
            _ => Err(failed(format!("{status}: {text}"))),
        }
    }
}
