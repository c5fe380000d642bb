//! The control API under `/_sim/`.

use serde_json::{Value, json};

use super::{Portal, USERS, send};
use crate::simulator::{Config, Endpoint, Fault, RecordDefect, Rule};

const README: &str = include_str!("../README.md");

#[tokio::test]
async fn state_contains_fleet_counters_and_rules() {
    let portal = Portal::logged_in(Config::default()).await;
    send(portal.search(0, 5)).await;
    let (_, state) = send(portal.get("/_sim/state")).await;
    assert_eq!(
        (&state["baseNodes"], &state["remoteNodes"], &state["seed"]),
        (&json!(718), &json!(40), &json!(1))
    );
    assert_eq!(state["counters"]["requests"], json!({"login": 1, "search": 1}));
    assert_eq!(state["counters"]["logins"], 1);
    let sum: i64 = state["regions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["baseNodes"].as_i64())
        .sum();
    assert_eq!(sum, 718);
    let (_, seen) = send(portal.get("/_sim/requests")).await;
    assert_eq!(
        (&seen[1]["offset"], &seen[1]["count"], &seen[1]["regions"]),
        (&json!(0), &json!(5), &json!([1073]))
    );
}

#[tokio::test]
async fn the_readme_has_a_valid_example_of_every_fault() {
    let portal = Portal::logged_in(Config::with_base_nodes(4)).await;
    let examples = README.lines().filter_map(|line| {
        let cell = line.strip_prefix("| `{\"kind\"")?;
        Some(format!("{{\"kind\"{}", cell.split('`').next()?))
    });
    let mut kinds = std::collections::BTreeSet::new();
    for example in examples {
        let fault: Value =
            serde_json::from_str(&example).unwrap_or_else(|error| panic!("{example}: {error}"));
        kinds.insert(fault["kind"].as_str().unwrap().to_owned());
        let (status, error) =
            send(portal.post("/_sim/script", &json!([{"endpoint": "search", "fault": fault}]))).await;
        assert_eq!(status, 200, "{example}: {error}");
    }
    let known: std::collections::BTreeSet<_> = Fault::examples()
        .iter()
        .map(|fault| {
            serde_json::to_value(fault).unwrap()["kind"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(kinds, known);
    for defect in RecordDefect::ALL {
        let name = serde_json::to_value(defect)
            .unwrap()
            .to_string()
            .replace('"', "`");
        assert!(README.contains(&name), "{name} is not in the README");
    }
}

#[test]
fn rules_round_trip_through_json() {
    for fault in Fault::examples() {
        let rule = Rule::on(Endpoint::Search, fault).offset(10).after(1).once();
        assert_eq!(
            serde_json::from_value::<Rule>(serde_json::to_value(&rule).unwrap()).unwrap(),
            rule
        );
    }
}

#[tokio::test]
async fn rules_can_be_set_and_cleared_and_misspelt_ones_are_rejected() {
    let portal = Portal::logged_in(Config::with_base_nodes(4)).await;
    let script = json!([{"endpoint": "users", "times": 1, "fault": {"kind": "status", "status": 503}}]);
    assert_eq!(send(portal.post("/_sim/script", &script)).await.0, 200);
    assert_eq!(
        [send(portal.get(USERS)).await.0, send(portal.get(USERS)).await.0],
        [503, 200]
    );
    let (_, state) = send(portal.get("/_sim/state")).await;
    assert_eq!(state["rules"][0]["fired"], 1);
    for wrong in [
        json!([{"fault": {"kind": "nonsense"}}]),
        json!([{"endpont": "any", "fault": {"kind": "html"}}]),
    ] {
        let (status, body) = send(portal.post("/_sim/script", &wrong)).await;
        assert!(status == 400 && body["error"].is_string(), "{wrong}: {body}");
    }
    assert_eq!(send(portal.post("/_sim/clear", &Value::Null)).await.0, 200);
    assert_eq!(portal.sim.rules().len(), 0);
    assert_eq!(send(portal.get("/_sim/nonsense")).await.0, 404);
}

#[tokio::test]
async fn the_fleet_can_be_changed_and_reset() {
    let portal = Portal::logged_in(Config::default()).await;
    let before = send(portal.get("/_sim/truth")).await.1;
    let (_, drift) = send(portal.post("/_sim/drift", &json!({"fraction": 0.05}))).await;
    assert!(!drift["changed"].as_array().unwrap().is_empty());
    let (_, gone) = send(portal.post("/_sim/vanish", &json!({"count": 3}))).await;
    assert_eq!(gone["removed"].as_array().unwrap().len(), 3);
    let (_, fresh) = send(portal.post("/_sim/add", &json!({"count": 2}))).await;
    let serial = fresh["added"][0].as_str().unwrap();
    let edit = json!({"serial": serial, "merge": {"hostName": "by hand", "band": null}});
    assert_eq!(send(portal.post("/_sim/edit", &edit)).await.0, 200);
    let (_, after) = send(portal.get("/_sim/truth")).await;
    let row = after
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["serial"] == serial)
        .unwrap();
    assert_eq!(
        (&row["device"]["hostName"], row["device"].get("band")),
        (&json!("by hand"), None)
    );
    assert_eq!(
        send(portal.post("/_sim/remove", &json!({"serial": serial})))
            .await
            .0,
        200
    );
    assert_eq!(
        send(portal.post("/_sim/remove", &json!({"serial": serial})))
            .await
            .0,
        404
    );
    send(portal.post("/_sim/credentials", &json!({"username": "a", "password": "b"}))).await;
    assert_eq!(send(portal.login()).await.0, 401);
    assert_eq!(send(portal.post("/_sim/reset", &Value::Null)).await.0, 200);
    assert_eq!(send(portal.get("/_sim/truth")).await.1, before);
    assert_eq!(send(portal.login()).await.0, 200);
}

#[tokio::test]
async fn sessions_expire_and_hanging_calls_continue_on_command() {
    let portal = Portal::logged_in(Config::with_base_nodes(4)).await;
    send(portal.post("/_sim/expire", &Value::Null)).await;
    assert_eq!(send(portal.get(USERS)).await.0, 401);
    portal
        .sim
        .set_rules(vec![Rule::on(Endpoint::Users, Fault::Hang { after_bytes: None })]);
    let release = async {
        portal.sim.wait_until_hanging(1).await;
        assert_eq!(send(portal.get("/_sim/state")).await.1["hanging"], 1);
        send(portal.post("/_sim/release", &Value::Null)).await;
    };
    let ((status, _), ()) = tokio::join!(send(portal.get(USERS)), release);
    assert_eq!(status, 401);
}
