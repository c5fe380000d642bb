//! A user's client of the API server: a few requests with the admin's token, not through the proxy.

use reqwest::Method;
use serde_json::{Value, json};

use crate::ControlPlane;
use crate::control_plane::client_trusting;
use crate::error::{Error, Result};

const SYNCS: &str = "/apis/tarana.dev/v1alpha1/namespaces/default/taranasyncs";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/tarana-system/leases/tarana-operator";

/// A client of the API server.
pub(super) struct ApiClient {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl ApiClient {
    pub(super) fn new(plane: &ControlPlane) -> Result<Self> {
        Ok(Self {
            client: client_trusting(Some(plane.ca_pem()))?,
            url: plane.url().to_owned(),
            token: plane.admin_token().to_owned(),
        })
    }

    /// Creates a run and returns the object.
    pub(super) async fn create_run(&self, name: &str, spec: Value) -> Result<Value> {
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": {"name": name}, "spec": spec});
        self.send_expecting_object(Method::POST, SYNCS, "application/json", Some(object))
            .await
    }

    /// Reads a run; `None` when it does not exist.
    pub(super) async fn get_run(&self, name: &str) -> Result<Option<Value>> {
        self.get(&format!("{SYNCS}/{name}")).await
    }

    /// Lists all runs.
    pub(super) async fn list_runs(&self) -> Result<Vec<Value>> {
        let list = self.get(SYNCS).await?.unwrap_or_default();
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    pub(super) async fn cancel_run(&self, name: &str) -> Result<()> {
        self.patch(&format!("{SYNCS}/{name}"), json!({"spec": {"cancel": true}}))
            .await
    }

    pub(super) async fn delete_run(&self, name: &str) -> Result<()> {
        let path = format!("{SYNCS}/{name}");
        self.send(Method::DELETE, &path, "application/json", None)
            .await
            .map(drop)
    }

    pub(super) async fn get_connection(&self, name: &str) -> Result<Option<Value>> {
        self.get(&format!(
            "/apis/tarana.dev/v1alpha1/namespaces/default/taranaconnections/{name}"
        ))
        .await
    }

    /// Patches values of a Secret.
    pub(super) async fn patch_secret(&self, name: &str, values: Value) -> Result<()> {
        self.patch(
            &format!("/api/v1/namespaces/default/secrets/{name}"),
            json!({"stringData": values}),
        )
        .await
    }

    /// The holder of the operators' Lease.
    pub(super) async fn lease_holder(&self) -> Result<Option<String>> {
        let lease = self.get(LEASE).await?.unwrap_or_default();
        Ok(lease["spec"]["holderIdentity"].as_str().map(str::to_owned))
    }

    /// The number of Events.
    pub(super) async fn count_events(&self) -> Result<usize> {
        let list = self
            .get("/apis/events.k8s.io/v1/namespaces/default/events?limit=1")
            .await?;
        let list = list.unwrap_or_default();
        let first = list["items"].as_array().map_or(0, Vec::len);
        let rest = list["metadata"]["remainingItemCount"].as_u64().unwrap_or(0);
        Ok(first + usize::try_from(rest).unwrap_or(usize::MAX))
    }

    async fn get(&self, path: &str) -> Result<Option<Value>> {
        self.send(Method::GET, path, "application/json", None).await
    }

    async fn patch(&self, path: &str, merge: Value) -> Result<()> {
        let content_type = "application/merge-patch+json";
        self.send(Method::PATCH, path, content_type, Some(merge))
            .await
            .map(drop)
    }

    async fn send_expecting_object(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        let object = self.send(method, path, content_type, body).await?;
        object.ok_or_else(|| Error::Unexpected(format!("{path} does not exist")))
    }

    /// Sends a request and parses the response; `None` on 404.
    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<Value>,
    ) -> Result<Option<Value>> {
        let request_error = |reason: String| Error::Unexpected(format!("{method} {path}: {reason}"));
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .timeout(std::time::Duration::from_secs(20));
        if let Some(body) = body {
            request = request
                .header("content-type", content_type)
                .body(body.to_string());
        }
        let response = request
            .send()
            .await
            .map_err(|error| request_error(error.to_string()))?;
        let status = response.status();
        let text = response
            .text()
            .await
            .map_err(|error| request_error(error.to_string()))?;
        match status.as_u16() {
            404 => Ok(None),
            200..300 => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| request_error(error.to_string())),
            _ => Err(request_error(format!("{status}: {text}"))),
        }
    }
}
