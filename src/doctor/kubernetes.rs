//! Checks of the API server: its version, its clock, and the custom resource definitions.

use std::time::Instant;

use http::{Request, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kube::Client;
use serde::Deserialize;

use super::clock;
use super::report::{Outcome, Section};
use crate::cluster::outdated_kinds;

/// The oldest version that the kinds work with: CEL rules and selectable fields.
const OLDEST_MINOR: u32 = 31;

#[derive(Deserialize)]
struct Version {
    #[serde(rename = "gitVersion")]
    git_version: String,
    minor: String,
}

/// Checks that the API server answers, and compares its clock. Returns whether it answers.
pub(super) async fn check_server(client: &Client, section: &mut Section) -> bool {
    let asked = Instant::now();
    match version(client).await {
        Ok((version, date)) => {
            let milliseconds = asked.elapsed().as_millis();
            section.add_version(&version, milliseconds);
            if let Some(theirs) = date {
                let (outcome, message) =
                    clock::compare("the API server", clock::of_date(theirs), super::now());
                section.add("clock", outcome, message);
            }
            true
        }
        Err(why) => {
            let message = format!(
                "no answer: {why}; check the kubeconfig or the pod's service account, and the network"
            );
            section.add("API server", Outcome::Failed, message);
            section.skip(&["account", "permissions", "kinds"], "API server");
            false
        }
    }
}

impl Section {
    fn add_version(&mut self, version: &Version, milliseconds: u128) {
        // Some providers write `31+`.
        let digits: String = version.minor.chars().take_while(char::is_ascii_digit).collect();
        let is_old = digits.parse::<u32>().is_ok_and(|minor| minor < OLDEST_MINOR);
        let name = &version.git_version;
        if is_old {
            let message =
                format!("{name} is older than 1.{OLDEST_MINOR}, which the kinds need: upgrade Kubernetes");
            self.add("API server", Outcome::Failed, message);
        } else {
            self.add(
                "API server",
                Outcome::Ok,
                format!("{name}, answered in {milliseconds} ms"),
            );
        }
    }
}

async fn version(client: &Client) -> Result<(Version, Option<Timestamp>), String> {
    let request = Request::get("/version").body(kube::client::Body::empty());
    let response = client
        .send(request.map_err(|e| e.to_string())?)
        .await
        .map_err(|e| e.to_string())?;
    let date = response.headers().get(header::DATE);
    let date = date
        .and_then(|date| date.to_str().ok())
        .and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
    let status = response.status();
    let body = response
        .into_body()
        .collect_bytes()
        .await
        .map_err(|e| e.to_string())?;
    let version = serde_json::from_slice(&body).map_err(|_| format!("GET /version answers {status}"))?;
    Ok((version, date))
}

/// Checks that the kinds are served as this version defines them.
pub(super) async fn check_kinds(client: &Client, section: &mut Section) {
    match outdated_kinds(client).await {
        Ok(outdated) if outdated.is_empty() => {
            section.add("kinds", Outcome::Ok, "the CustomResourceDefinitions are current");
        }
        Ok(outdated) => {
            let outdated: Vec<String> = outdated.iter().map(ToString::to_string).collect();
            section.add("kinds", Outcome::Failed, outdated.join("; "));
        }
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let message = "no kind of tarana.dev is served: run `tarana-operator crds | kubectl apply --server-side --force-conflicts -f -`";
            section.add("kinds", Outcome::Failed, message);
        }
        Err(error) => {
            let message = format!(
                "their schemas cannot be read ({error}): grant this account the ClusterRole system:discovery, which every user has by default"
            );
            section.add("kinds", Outcome::Warning, message);
        }
    }
}
