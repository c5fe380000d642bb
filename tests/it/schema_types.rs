//! What the API server accepts, the operator can read, and write again: every field of every kind, with a table of values.

use std::collections::BTreeMap;
use std::fmt::Debug;

use kube::Resource;
use kube::api::{DeleteParams, GetParams, PostParams};
use kube::core::{NamespaceResourceScope, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::TaranaSync;

use super::environment::TestEnvironment;
use super::servers;
use nodes::{Node, Step, nodes, sample, schema_of, set};
use values::values;

pub mod nodes;
mod values;

/// Stands for the value in an object, because `serde_json::Value` would normalize it.
const PLACEHOLDER: &str = "@value@";

fn connection() -> Value {
    json!({"spec": {
        "api": {"url": "https://tcs.example.com", "credentialsSecretRef": {"name": "tcs"}},
        "eventSink": {"url": "https://app.example.com"},
        "database": {"secretRef": {"name": "database"}},
    }})
}

fn sync() -> Value {
    json!({"spec": {"deleteStale": true, "approvedDeletes": 1}})
}

fn schedule() -> Value {
    json!({"spec": {"schedule": "0 0 * * *"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_connection_can_be_read_and_written() {
    let api = RawApi::<TaranaConnection>::new(connection()).await;
    api.assert_accepted_specs_are_usable().await;
    api.assert_accepted_statuses_are_usable().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_run_can_be_read_and_written() {
    let api = RawApi::<TaranaSync>::new(sync()).await;
    api.assert_accepted_specs_are_usable().await;
    api.assert_accepted_statuses_are_usable().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_schedule_can_be_read_and_written() {
    let api = RawApi::<TaranaSyncSchedule>::new(schedule()).await;
    api.assert_accepted_specs_are_usable().await;
    api.assert_accepted_statuses_are_usable().await;
}

/// Raw requests for objects of one kind.
struct RawApi<K> {
    env: TestEnvironment,
    schema: Value,
    /// A valid object, with its optional fields as other fields need them.
    base: Value,
    kind: std::marker::PhantomData<K>,
}

impl<K> RawApi<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Debug,
{
    async fn new(mut base: Value) -> Self {
        base["apiVersion"] = json!(K::api_version(&()));
        base["kind"] = json!(K::kind(&()));
        Self {
            env: TestEnvironment::bare(servers::tcs()).await,
            schema: schema_of(&K::kind(&())),
            base,
            kind: std::marker::PhantomData,
        }
    }

    async fn assert_accepted_specs_are_usable(&self) {
        let mut report = Report::default();
        for (field, node) in nodes(&self.schema, "spec").iter().enumerate() {
            let own = value_at(&self.base, &node.path).map(Value::to_string);
            for (n, raw) in values(node).into_iter().chain(own).enumerate() {
                let name = format!("field-{field}-{n}");
                let mut object = self.base.clone();
                object["metadata"]["name"] = json!(name);
                let text = with_value(object, &self.schema, &node.path, &raw);
                let usable = match self.create(text).await {
                    Ok(_) => Some(self.read_and_write(&name).await),
                    Err(_) => None,
                };
                report.record(node, &raw, usable);
            }
        }
        report.assert_usable();
    }

    async fn assert_accepted_statuses_are_usable(&self) {
        let mut object = self.base.clone();
        object["metadata"]["name"] = json!("status");
        self.create(object.to_string()).await.unwrap();
        let stored: Value = serde_json::from_str(&self.get("status").await).unwrap();
        let mut report = Report::default();
        for node in nodes(&self.schema, "status") {
            for raw in values(&node) {
                let text = with_value(stored.clone(), &self.schema, &node.path, &raw);
                let usable = match self.replace("status", text, Some("status")).await {
                    Ok(written) => Some(self.write_status_back(&written).await),
                    Err(_) => None,
                };
                report.record(&node, &raw, usable);
            }
        }
        report.assert_usable();
    }

    /// Reads a stored object, writes it as users and the operator do, and deletes it.
    async fn read_and_write(&self, name: &str) -> Result<(), String> {
        let stored = self.get(name).await;
        let parsed: K = parse(&stored)?;
        let mut labelled: Value = serde_json::from_str(&stored).unwrap();
        labelled["metadata"]["labels"]["changed"] = json!("yes");
        self.replace(name, labelled.to_string(), None)
            .await
            .map_err(|e| format!("an update without a change of the spec is rejected: {e}"))?;
        let mut typed = serde_json::to_value(&parsed).unwrap();
        typed["status"] = sample(&self.schema["properties"]["status"]);
        typed["status"]["observedGeneration"] = json!(1);
        self.replace(name, typed.to_string(), Some("status"))
            .await
            .map_err(|e| format!("the operator's write of the status is rejected: {e}"))?;
        let request = self.request().delete(name, &DeleteParams::default());
        self.send(request.unwrap()).await.map(drop)
    }

    /// Writes a status as the operator does, which keeps what it does not change.
    async fn write_status_back(&self, written: &str) -> Result<(), String> {
        let parsed: K = parse(written)?;
        let text = serde_json::to_string(&parsed).unwrap();
        let written = self.replace("status", text, Some("status")).await;
        written
            .map(drop)
            .map_err(|e| format!("the operator's write of it is rejected: {e}"))
    }

    fn request(&self) -> Request {
        Request::new(K::url_path(&(), Some(&self.env.namespace)))
    }

    async fn create(&self, body: String) -> Result<String, String> {
        let request = self.request().create(&PostParams::default(), body.into_bytes());
        self.send(request.unwrap()).await
    }

    async fn get(&self, name: &str) -> String {
        let request = self.request().get(name, &GetParams::default()).unwrap();
        self.send(request).await.unwrap()
    }

    /// Replaces an object or its subresource, as a dry run.
    async fn replace(&self, name: &str, body: String, subresource: Option<&str>) -> Result<String, String> {
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let (request, body) = (self.request(), body.into_bytes());
        let request = match subresource {
            None => request.replace(name, &params, body),
            Some(subresource) => request.replace_subresource(subresource, name, &params, body),
        };
        self.send(request.unwrap()).await
    }

    /// The response, or why the API server rejected the request.
    async fn send(&self, request: axum::http::Request<Vec<u8>>) -> Result<String, String> {
        match self.env.client.request_text(request).await {
            Ok(text) => Ok(text),
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => Err(status.message),
            Err(e) => panic!("{e}"),
        }
    }
}

fn parse<K: DeserializeOwned>(text: &str) -> Result<K, String> {
    serde_json::from_str(text).map_err(|e| format!("our type cannot be parsed: {e}"))
}

/// The object as JSON text, with this raw value.
fn with_value(mut object: Value, schema: &Value, path: &[Step], raw: &str) -> String {
    set(&mut object, schema, path, json!(PLACEHOLDER));
    object.to_string().replace(&format!("\"{PLACEHOLDER}\""), raw)
}

fn value_at<'a>(object: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step {
        Step::Field(field) => value.get(field),
        Step::Item => value.get(0),
        Step::Key => value.get("key"),
    })
}

/// What was accepted, and what the operator could not handle of it.
#[derive(Default)]
struct Report {
    /// How many values were accepted, by field.
    accepted: BTreeMap<String, usize>,
    unusable: Vec<String>,
}

impl Report {
    /// `usable` is absent if the API server rejected the value.
    fn record(&mut self, node: &Node, raw: &str, usable: Option<Result<(), String>>) {
        *self.accepted.entry(node.name()).or_default() += usize::from(usable.is_some());
        if let Some(Err(error)) = usable {
            let raw: String = raw.chars().take(80).collect();
            self.unusable.push(format!("{} = {raw}: {error}", node.name()));
        }
    }

    fn assert_usable(&self) {
        let (fields, values) = (self.accepted.len(), self.accepted.values().sum::<usize>());
        println!("{values} accepted values of {fields} fields");
        let never: Vec<_> = self.accepted.iter().filter(|(_, n)| **n == 0).collect();
        assert!(never.is_empty(), "no value was accepted: {never:?}");
        let unusable = self.unusable.join("\n");
        assert!(unusable.is_empty(), "accepted but unusable:\n{unusable}");
    }
}
