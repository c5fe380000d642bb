//! One recorded response of every route in the `OpenAPI` document (`snapshots/`), so that a change of a response is seen in review. After
//! an intended change: `INSTA_UPDATE=always cargo test --test it snapshots`, then read the difference.

use std::collections::BTreeSet;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tarana_operator::api::sync::Step;

use super::authorization::routes;
use super::client::{AdminClient, Response, send, with_json};
use crate::environment::{TestEnvironment, wait_until};
use crate::servers;

/// What differs between two executions, and its replacement.
const VARIABLE: [(&str, &str); 12] = [
    // How long a run waits depends on how fast the machine is.
    (r#",\s+"waits": \[[^\]]*\]"#, ""),
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[uuid]",
    ),
    (r"t-[0-9a-f]{12}", "[namespace]"),
    (
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
        "[time]",
    ),
    // A slot in the time zone of its schedule.
    (r"\d{4}-\d\d-\d\d \d\d:\d\d ([A-Z]+)", "[local time] $1"),
    (r"127\.0\.0\.1:\d+", "[address]"),
    // Names of runs: of the API, of events and of slots.
    (r"\b(api|default|nightly|trigger)-[0-9a-z]{5,}\b", "$1-[suffix]"),
    (r#""(duration_ms|durationMs)": \d+"#, "\"$1\": [ms]"),
    (r#""csrfToken": "[^"]+""#, "\"csrfToken\": \"[token]\""),
    (r#""(nextCursor)": "[^"]+""#, "\"$1\": \"[cursor]\""),
    (r"id: [0-9a-f]+-\d+", "id: [event]"),
    (r#""(generation|observedGeneration)": \d+"#, "\"$1\": [n]"),
];

/// The headers that belong to the contract of a response.
const HEADERS: [&str; 4] = ["content-type", "content-disposition", "location", "retry-after"];

/// A client that records each response, and which routes were called.
struct Recorder {
    admin: AdminClient,
    routes: BTreeSet<String>,
}

impl Recorder {
    /// Calls the route `METHOD /path/template` with these values of its parameters, as the approver.
    async fn call(
        &mut self,
        route: &str,
        parameters: &[(&str, &str)],
        query: &str,
        prepare: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Response {
        self.routes.insert(route.to_owned());
        let (method, template) = route.split_once(' ').unwrap();
        let fill = |path: String, (name, value): &(&str, &str)| path.replace(&format!("{{{name}}}"), value);
        let path = parameters.iter().fold(template.to_owned(), fill);
        let request = self.admin.request(method, &format!("{path}{query}"));
        send(prepare(request.bearer_auth(&self.admin.approver))).await
    }

    /// Calls a route and records its response as `name`, or as the route if that is empty.
    async fn record(
        &mut self,
        name: &str,
        (route, parameters, query): (&str, &[(&str, &str)], &str),
        body: Option<Value>,
    ) -> Response {
        let with_body = |request| match &body {
            Some(body) => with_json(request, body),
            None => request,
        };
        let response = self.call(route, parameters, query, with_body).await;
        Self::assert_recorded(name, &format!("{route}{query}"), &response);
        response
    }

    fn assert_recorded(name: &str, route: &str, response: &Response) {
        let name = if name.is_empty() {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            let route = route.split('?').next().unwrap_or_default();
            route.replace("/api/", "").chars().map(plain).collect()
        } else {
            name.to_owned()
        };
        let present = HEADERS.iter().filter(|name| !response.header(name).is_empty());
        let headers: Vec<String> = present
            .map(|name| format!("{name}: {}", response.header(name)))
            .collect();
        let body = match serde_json::from_str::<Value>(&response.text) {
            Ok(mut value) => {
                if let Some(items) = value.get_mut("items") {
                    sort_objects(items);
                }
                format!("{value:#}")
            }
            Err(_) => response.text.clone(),
        };
        let head = headers.join("\n");
        let text = format!("{route}\n{}\n{head}\n\n{body}", response.status);
        insta::with_settings!({filters => VARIABLE.to_vec(), omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name, text);
        });
    }

    /// Waits until the API shows the schedule like this.
    async fn schedule_is(&self, is_expected: impl Fn(&Value) -> bool) {
        let path = format!(
            "/api/v1/namespaces/{}/schedules/nightly",
            self.admin.env.namespace
        );
        wait_until("the schedule is as expected", || async {
            let schedule = self.admin.get(&self.admin.viewer, &path).await;
            (schedule.status == 200 && is_expected(&schedule.json())).then_some(())
        })
        .await;
    }

    /// Waits until the cache that the API reads has this run, or this state of it.
    async fn shown(&self, id: &str, is_awaited: impl Fn(&Value) -> bool) {
        wait_until("the run is shown", || async {
            let run = self
                .admin
                .get(&self.admin.viewer, &format!("/api/v1/syncs/{id}"))
                .await;
            (run.status == 200 && is_awaited(&run.json())).then_some(())
        })
        .await;
    }
}

/// Kubernetes gives objects a creation time without fractions, so that the order of those of one second varies.
fn sort_objects(list: &mut Value) {
    let Some(items) = list.as_array_mut() else { return };
    let key = |item: &Value| {
        let name = item["object"]["name"].as_str().or(item["name"].as_str());
        format!("{name:?} {} {}", item["type"], item["message"])
    };
    if items
        .iter()
        .all(|item| item["serial"].is_null() && item["at"].is_null())
    {
        items.sort_by_key(key);
    }
}

/// The ids of a completed run and of one that withheld deletions.
struct Runs {
    first: String,
    withheld: String,
}

/// A small fleet, a run that inserted it, one that withheld deletions, and a suspended schedule.
async fn prepare() -> (Recorder, Runs) {
    let admin = AdminClient::start_in(TestEnvironment::bare(servers::tcs_with(4)).await).await;
    let env = &admin.env;
    env.secret("tcs", &servers::credentials()).await;
    env.secret("database", &json!({"url": env.database_url})).await;
    let guard = json!({"deleteGuard": {"freeCount": 0, "maxPercent": 0}});
    env.connection("default", guard).await;
    env.ready().await;
    let first = env.run("first", json!({})).await.metadata.uid.unwrap();
    let serial = env.tcs.base_nodes()[0].serial.to_string();
    assert!(env.tcs.remove(&serial));
    let withheld = env.run("withheld", json!({"deleteStale": true})).await;
    let withheld = withheld.metadata.uid.unwrap();
    let spec = json!({"schedule": "0 0 29 2 *", "timeZone": "Etc/UTC", "suspend": true, "suspendReason": "maintenance"});
    admin.schedule("nightly", spec).await;
    let recorder = Recorder {
        admin,
        routes: BTreeSet::new(),
    };
    recorder.shown(&withheld, |run| run["phase"] == "Completed").await;
    recorder
        .schedule_is(|schedule| schedule["conditions"][0].is_object())
        .await;
    wait_until("the connection shows no active run", || async {
        let path = format!(
            "/api/v1/namespaces/{}/connections/default",
            recorder.admin.env.namespace
        );
        let connection = recorder.admin.get(&recorder.admin.viewer, &path).await.json();
        (connection["lastSuccessfulSyncAt"].is_string() && connection["activeSync"].is_null()).then_some(())
    })
    .await;
    (recorder, Runs { first, withheld })
}

/// What reads, while nothing changes.
async fn record_reads(recorder: &mut Recorder, runs: &Runs) {
    let namespace = recorder.admin.env.namespace.clone();
    let query = format!("?namespace={namespace}");
    let serial = recorder.admin.env.tcs.base_nodes()[0].serial.to_string();
    for route in [
        "GET /healthz",
        "GET /readyz",
        "GET /api/v1/me",
        "GET /api/admin/tarana/sync/status",
    ] {
        recorder.record("", (route, &[], ""), None).await;
    }
    for route in [
        "GET /api/v1/connections",
        "GET /api/v1/map",
        "GET /api/v1/schedules",
        "GET /api/v1/stations",
        "GET /api/v1/stations.csv",
        "GET /api/v1/stations.geojson",
        "GET /api/v1/stations.kml",
        "GET /api/v1/summary",
        "GET /api/v1/syncs",
    ] {
        recorder.record("", (route, &[], &query), None).await;
    }
    let preview = "?schedule=30+4+*+*+*&timeZone=Africa/Johannesburg&count=1";
    recorder
        .record("", ("GET /api/v1/schedules/preview", &[], preview), None)
        .await;
    let station = (
        "GET /api/v1/stations/{serial}",
        &[("serial", serial.as_str())][..],
        "",
    );
    recorder.record("", station, None).await;
    for (kind, name, routes) in [
        ("connections", "default", &["", "/timeline"][..]),
        ("schedules", "nightly", &["", "/next", "/slots"]),
        ("syncs", "first", &[""]),
    ] {
        let parameters = [("namespace", namespace.as_str()), ("name", name)];
        for route in routes {
            let route = format!("GET /api/v1/namespaces/{{namespace}}/{kind}/{{name}}{route}");
            recorder.record("", (&route, &parameters, ""), None).await;
        }
    }
    for route in ["", "/attempts", "/changes", "/errors"] {
        let route = format!("GET /api/v1/syncs/{{id}}{route}");
        let parameters = [("id", runs.withheld.as_str())];
        recorder.record("", (&route, &parameters, ""), None).await;
    }
    let old = format!("?id={}", runs.first);
    let one = ("GET /api/admin/tarana/sync/status", &[][..], old.as_str());
    recorder.record("status_of_one_run", one, None).await;
    record_stream(recorder, &query).await;
}

/// The first event of a stream.
async fn record_stream(recorder: &mut Recorder, query: &str) {
    let path = format!("/api/v1/events{query}");
    let request = recorder.admin.request("GET", &path);
    let mut response = request
        .bearer_auth(&recorder.admin.approver)
        .send()
        .await
        .unwrap();
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    let (event, _) = text.split_once("\n\n").unwrap();
    let (fields, data): (Vec<&str>, Vec<&str>) = event.lines().partition(|line| !line.starts_with("data: "));
    let mut data: Value = serde_json::from_str(data[0].trim_start_matches("data: ")).unwrap();
    sort_objects(&mut data["syncs"]);
    let mut fields = fields;
    fields.sort_unstable();
    let first = Response {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: format!("{}\ndata: {data:#}", fields.join("\n")),
    };
    recorder.routes.insert("GET /api/v1/events".to_owned());
    Recorder::assert_recorded("v1_events", "GET /api/v1/events", &first);
}

/// What creates, changes and cancels, while the vendor does not respond, so that runs do not end.
async fn record_changes(recorder: &mut Recorder, runs: &Runs) {
    let namespace = recorder.admin.env.namespace.clone();
    recorder.admin.env.tcs.set_rules(vec![servers::hanging_search()]);
    let legacy = ("POST /api/admin/tarana/sync", &[][..], "");
    let triggered = recorder
        .record("", legacy, Some(json!({"dryRun": true})))
        .await
        .json();
    let active = triggered["sync_log_id"].as_str().unwrap().to_owned();
    let fetch = serde_json::to_value(Step::Fetch).unwrap();
    recorder.shown(&active, |run| run["step"] == fetch).await;
    recorder
        .record("sync_while_one_is_active", legacy, Some(json!({})))
        .await;
    let status = ("GET /api/admin/tarana/sync/status", &[][..], "");
    recorder.record("status_with_an_active_run", status, None).await;
    for (route, id) in [
        ("POST /api/v1/syncs/{id}/rerun", &runs.first),
        ("POST /api/v1/syncs/{id}/approve", &runs.withheld),
        ("POST /api/v1/syncs/{id}/cancel", &active),
    ] {
        let parameters = [("id", id.as_str())];
        recorder
            .record("", (route, &parameters, ""), Some(json!({})))
            .await;
    }
    let create = json!({"namespace": namespace, "dryRun": true, "backoffLimit": 1});
    recorder
        .record("", ("POST /api/v1/syncs", &[], ""), Some(create))
        .await;
    let nightly = [("namespace", namespace.as_str()), ("name", "nightly")];
    for (action, body) in [
        ("run", json!({"dryRun": true})),
        ("resume", json!({})),
        ("suspend", json!({"reason": "maintenance"})),
    ] {
        let route = format!("POST /api/v1/namespaces/{{namespace}}/schedules/{{name}}/{action}");
        recorder.record("", (&route, &nightly, ""), Some(body)).await;
        // The next response has the status that the controller writes.
        recorder
            .schedule_is(|schedule| {
                let ready = schedule["conditions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|c| c["type"] == "Ready");
                let is_suspended = action != "resume";
                let has_active = schedule["active"].as_array().is_some_and(|runs| !runs.is_empty());
                has_active && ready.unwrap()["reason"] == if is_suspended { "Suspended" } else { "Scheduled" }
            })
            .await;
    }
    record_cloud_event(recorder).await;
    let token = json!({"token": recorder.admin.viewer});
    recorder
        .record("", ("POST /api/v1/session", &[], ""), Some(token))
        .await;
    recorder
        .record("", ("DELETE /api/v1/session", &[], ""), None)
        .await;
}

async fn record_test_event(recorder: &mut Recorder) {
    let namespace = recorder.admin.env.namespace.clone();
    let test_event = "POST /api/v1/namespaces/{namespace}/connections/{name}/test-event";
    let default = [("namespace", namespace.as_str()), ("name", "default")];
    recorder
        .record("", (test_event, &default, ""), Some(json!({})))
        .await;
}

async fn record_cloud_event(recorder: &mut Recorder) {
    let route = "POST /api/v1/cloudevents";
    let event = json!({"specversion": "1.0", "type": "tarana/sync.requested", "source": "test", "id": "1",
                       "data": {"triggered_by": "manual", "options": {"dryRun": true}}});
    let with_event = |request: RequestBuilder| {
        request
            .header("content-type", "application/cloudevents+json")
            .body(event.to_string())
    };
    let response = recorder.call(route, &[], "", with_event).await;
    Recorder::assert_recorded("", route, &response);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_responds_as_recorded() {
    let (mut recorder, runs) = prepare().await;
    record_reads(&mut recorder, &runs).await;
    record_test_event(&mut recorder).await;
    record_changes(&mut recorder, &runs).await;
    let documented = routes().into_iter();
    let documented: BTreeSet<String> = documented
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert_eq!(recorder.routes, documented);
}
