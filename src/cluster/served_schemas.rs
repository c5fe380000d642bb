//! Whether the API server has the kinds as this version defines them. Older custom resource definitions drop the fields that they do not
//! know, from specs and from statuses, without an error.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use serde_json::Value;
use tokio::time::sleep;

use super::schema_difference;
use crate::api;

/// Schemas of the group as the API server publishes them, to every authenticated user.
const PUBLISHED: &str = "/openapi/v3/apis/tarana.dev/v1alpha1";
/// Pause after which current definitions are compared again.
const CURRENT_PAUSE: Duration = Duration::from_mins(10);
/// The same for outdated ones, and if they could not be read.
const OUTDATED_PAUSE: Duration = Duration::from_secs(15);
/// The same if they may not be read.
const FORBIDDEN_PAUSE: Duration = Duration::from_hours(1);

/// A custom resource definition that is older than this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutdatedKind {
    /// The kind.
    pub kind: String,
    /// The fields and values that it lacks, such as `spec.eventSink`.
    pub missing: Vec<String>,
}

impl std::fmt::Display for OutdatedKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the CustomResourceDefinition of {} is older than this operator and lacks {}: run `tarana-operator crds | kubectl apply --server-side --force-conflicts -f -` with this version",
            self.kind,
            self.missing.join(", ")
        )
    }
}

/// The kinds whose definitions are outdated, compared again and again.
#[derive(Clone, Debug, Default)]
pub struct ServedSchemas {
    outdated: Arc<Mutex<Vec<OutdatedKind>>>,
}

impl ServedSchemas {
    /// The kinds that were outdated when they were last compared.
    pub fn outdated(&self) -> Vec<OutdatedKind> {
        self.lock().clone()
    }

    /// Compares for ever. Logs a warning when a definition is found to be outdated.
    pub async fn run(&self, client: Client) {
        loop {
            let pause = match outdated_kinds(&client).await {
                Ok(outdated) => {
                    let is_current = outdated.is_empty();
                    self.record(outdated);
                    if is_current { CURRENT_PAUSE } else { OUTDATED_PAUSE }
                }
                Err(kube::Error::Api(status)) if status.code == 403 => {
                    tracing::warn!(
                        "the schemas of the kinds may not be read, so that outdated CustomResourceDefinitions are not noticed: grant this account the ClusterRole system:discovery, which every user has by default"
                    );
                    FORBIDDEN_PAUSE
                }
                // Kinds that are not served, and an API server that does not answer, are reported by the watches.
                Err(_) => OUTDATED_PAUSE,
            };
            sleep(pause).await;
        }
    }

    fn record(&self, outdated: Vec<OutdatedKind>) {
        let mut known = self.lock();
        for kind in outdated.iter().filter(|kind| !known.contains(kind)) {
            tracing::warn!("{kind}");
        }
        if outdated.is_empty() && !known.is_empty() {
            tracing::info!("the CustomResourceDefinitions are current");
        }
        *known = outdated;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<OutdatedKind>> {
        self.outdated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kinds whose definitions lack a field or a value that this version knows.
///
/// # Errors
/// The API server does not answer, or serves no kind of the group (404).
pub async fn outdated_kinds(client: &Client) -> Result<Vec<OutdatedKind>, kube::Error> {
    let request = Request::get(PUBLISHED)
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    let published: Value = client.request(request).await?;
    Ok(compare(&published))
}

/// A kind that is not published at all is left to its watch, which reports that it is missing.
fn compare(published: &Value) -> Vec<OutdatedKind> {
    let outdated = api::definitions().into_iter().filter_map(|definition| {
        let kind = definition.spec.names.kind.clone();
        let served = published["components"]["schemas"]
            .as_object()?
            .iter()
            .find(|(name, _)| name.rsplit('.').next() == Some(&kind))?;
        let missing = schema_difference::missing(&own_schema(definition)?, served.1);
        (!missing.is_empty()).then_some(OutdatedKind { kind, missing })
    });
    outdated.collect()
}

fn own_schema(definition: CustomResourceDefinition) -> Option<Value> {
    let version = definition.spec.versions.into_iter().next()?;
    serde_json::to_value(version.schema?.open_api_v3_schema?).ok()
}
