//! The levers under `/_sim/`, as curl would pull them.

use serde_json::{Value, json};

use super::{Portal, USERS, told};
use crate::simulator::{Blemish, Config, CutLength, Endpoint, ErrorShape, Fault, Rule};

const README: &str = include_str!("../README.md");

#[tokio::test]
async fn state_tells_fleet_counters_and_rules() {
    let portal = Portal::open(Config::default()).await;
    told(portal.search(0, 5)).await;
    let (_, state) = told(portal.get("/_sim/state")).await;
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
    let (_, seen) = told(portal.get("/_sim/requests")).await;
    assert_eq!(
        (&seen[1]["offset"], &seen[1]["count"], &seen[1]["regions"]),
        (&json!(0), &json!(5), &json!([1073]))
    );
}

#[tokio::test]
async fn every_example_of_the_readme_is_a_rule_and_every_fault_has_one() {
    let portal = Portal::open(Config::of(4)).await;
    let examples = README.lines().filter_map(|line| {
        let cell = line.strip_prefix("| `{\"kind\"")?;
        Some(format!("{{\"kind\"{}", cell.split('`').next()?))
    });
    let mut kinds = std::collections::BTreeSet::new();
    for example in examples {
        let fault: Value =
            serde_json::from_str(&example).unwrap_or_else(|error| panic!("{example}: {error}"));
        kinds.insert(fault["kind"].as_str().unwrap().to_owned());
        let (status, told) =
            told(portal.post("/_sim/script", &json!([{"endpoint": "search", "fault": fault}]))).await;
        assert_eq!(status, 200, "{example}: {told}");
    }
    let known: std::collections::BTreeSet<_> = one_of_each()
        .iter()
        .map(|fault| {
            serde_json::to_value(fault).unwrap()["kind"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(kinds, known);
    for blemish in Blemish::ALL {
        let name = serde_json::to_value(blemish)
            .unwrap()
            .to_string()
            .replace('"', "`");
        assert!(README.contains(&name), "{name} is not in the README");
    }
}

/// A fault of each kind; whoever adds one adds it here, to the README and to `faults.rs`.
fn one_of_each() -> Vec<Fault> {
    vec![
        Fault::Latency { ms: 1 },
        Fault::Status {
            status: 500,
            body: None,
        },
        Fault::Throttle {
            seconds: 1,
            as_date: false,
        },
        Fault::Overload {
            limit: 1,
            status: 503,
            retry_after: None,
        },
        Fault::Reset { after_bytes: None },
        Fault::SlowBody {
            chunk: 1,
            every_ms: 1,
        },
        Fault::Hang { after_bytes: None },
        Fault::Cut {
            bytes: 1,
            length: CutLength::Right,
        },
        Fault::ShortPage { items: 1 },
        Fault::EmptyPage,
        Fault::MissingItems,
        Fault::NoTotal,
        Fault::WrongTotal { by: 1, step: 0 },
        Fault::RepeatRows {
            rows: 1,
            different: false,
        },
        Fault::DropRows { rows: 1 },
        Fault::Record {
            blemish: Blemish::NullItem,
            at: 0,
            size: None,
        },
        Fault::ErrorUnder200 {
            shape: ErrorShape::Nqs,
        },
        Fault::Html,
        Fault::Redirect { to: None },
        Fault::Expire,
        Fault::Challenge { result: None },
        Fault::HugeBody { bytes: 1 },
        Fault::EndlessBody,
        Fault::Gzip,
        Fault::ByteOrderMark,
    ]
}

#[test]
fn rules_read_back_as_they_were_written() {
    for fault in one_of_each() {
        let rule = Rule::on(Endpoint::Search, fault).offset(10).after(1).once();
        assert_eq!(
            serde_json::from_value::<Rule>(serde_json::to_value(&rule).unwrap()).unwrap(),
            rule
        );
    }
}

#[tokio::test]
async fn a_script_comes_goes_and_is_refused_when_misspelt() {
    let portal = Portal::open(Config::of(4)).await;
    let script = json!([{"endpoint": "users", "times": 1, "fault": {"kind": "status", "status": 503}}]);
    assert_eq!(told(portal.post("/_sim/script", &script)).await.0, 200);
    assert_eq!(
        [told(portal.get(USERS)).await.0, told(portal.get(USERS)).await.0],
        [503, 200]
    );
    let (_, state) = told(portal.get("/_sim/state")).await;
    assert_eq!(state["rules"][0]["fired"], 1);
    for wrong in [
        json!([{"fault": {"kind": "nonsense"}}]),
        json!([{"endpont": "any", "fault": {"kind": "html"}}]),
    ] {
        let (status, body) = told(portal.post("/_sim/script", &wrong)).await;
        assert!(status == 400 && body["error"].is_string(), "{wrong}: {body}");
    }
    assert_eq!(told(portal.post("/_sim/clear", &Value::Null)).await.0, 200);
    assert_eq!(portal.sim.rules().len(), 0);
    assert_eq!(told(portal.get("/_sim/nonsense")).await.0, 404);
}

#[tokio::test]
async fn the_fleet_moves_and_goes_back() {
    let portal = Portal::open(Config::default()).await;
    let before = told(portal.get("/_sim/truth")).await.1;
    let (_, drift) = told(portal.post("/_sim/drift", &json!({"fraction": 0.05}))).await;
    assert!(!drift["changed"].as_array().unwrap().is_empty());
    let (_, gone) = told(portal.post("/_sim/vanish", &json!({"count": 3}))).await;
    assert_eq!(gone["removed"].as_array().unwrap().len(), 3);
    let (_, fresh) = told(portal.post("/_sim/add", &json!({"count": 2}))).await;
    let serial = fresh["added"][0].as_str().unwrap();
    let edit = json!({"serial": serial, "merge": {"hostName": "by hand", "band": null}});
    assert_eq!(told(portal.post("/_sim/edit", &edit)).await.0, 200);
    let (_, after) = told(portal.get("/_sim/truth")).await;
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
        told(portal.post("/_sim/remove", &json!({"serial": serial})))
            .await
            .0,
        200
    );
    assert_eq!(
        told(portal.post("/_sim/remove", &json!({"serial": serial})))
            .await
            .0,
        404
    );
    told(portal.post("/_sim/credentials", &json!({"username": "a", "password": "b"}))).await;
    assert_eq!(told(portal.login()).await.0, 401);
    assert_eq!(told(portal.post("/_sim/reset", &Value::Null)).await.0, 200);
    assert_eq!(told(portal.get("/_sim/truth")).await.1, before);
    assert_eq!(told(portal.login()).await.0, 200);
}

#[tokio::test]
async fn sessions_expire_and_hangs_end_on_command() {
    let portal = Portal::open(Config::of(4)).await;
    told(portal.post("/_sim/expire", &Value::Null)).await;
    assert_eq!(told(portal.get(USERS)).await.0, 401);
    portal
        .sim
        .script(vec![Rule::on(Endpoint::Users, Fault::Hang { after_bytes: None })]);
    let release = async {
        portal.sim.until_hanging(1).await;
        assert_eq!(told(portal.get("/_sim/state")).await.1["hanging"], 1);
        told(portal.post("/_sim/release", &Value::Null)).await;
    };
    let ((status, _), ()) = tokio::join!(told(portal.get(USERS)), release);
    assert_eq!(status, 401);
}
