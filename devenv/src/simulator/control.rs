//! The control API `/_sim/…`: the functions of [`Simulator`](super::Simulator) for curl and other processes.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::call::{ApiResponse, Call};
use super::fault::{Rule, RuleSet};
use super::fleet::{DeviceKind, REGIONS};
use super::state::{SharedState, SimulatorState};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fraction {
    fraction: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    count: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceRequest {
    serial: String,
    /// A JSON merge patch (RFC 7386).
    #[serde(default)]
    merge: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    username: String,
    password: String,
}

/// Handles a call under `/_sim/`.
pub(super) fn handle(shared: &SharedState, call: &Call) -> ApiResponse {
    match route(shared, call) {
        Ok(value) => ApiResponse::json(200, format!("{value}\n")),
        Err((status, message)) => ApiResponse::json(status, format!("{}\n", json!({"error": message}))),
    }
}

type ControlError = (u16, String);

fn read<T: DeserializeOwned>(call: &Call) -> Result<T, ControlError> {
    serde_json::from_slice(&call.body).map_err(|error| (400, error.to_string()))
}

fn ok_if_found(found: bool) -> Result<Value, ControlError> {
    if found {
        Ok(json!({"ok": true}))
    } else {
        Err((404, "no such device".to_owned()))
    }
}

fn route(shared: &SharedState, call: &Call) -> Result<Value, ControlError> {
    let ok = || Ok(json!({"ok": true}));
    let mut state = shared.lock_state();
    match (
        call.method.as_str(),
        call.path.trim_start_matches("/_sim").trim_matches('/'),
    ) {
        ("GET", "" | "state") => Ok(describe_state(shared, &state)),
        ("GET", "truth") => Ok(list_devices(&state)),
        ("GET", "requests") => Ok(json!(state.recorded_requests)),
        ("POST", "script") => {
            state.rule_set = RuleSet::new(read::<Vec<Rule>>(call)?);
            ok()
        }
        ("POST", "clear") => {
            state.rule_set = RuleSet::default();
            ok()
        }
        ("POST", "release") => {
            shared.hang_latch.release_all();
            ok()
        }
        ("POST", "drift") => Ok(json!(state.fleet.drift(read::<Fraction>(call)?.fraction))),
        ("POST", "vanish") => Ok(json!({"removed": state.fleet.vanish(read::<Count>(call)?.count)})),
        ("POST", "add") => Ok(json!({"added": state.fleet.add(read::<Count>(call)?.count)})),
        ("POST", "edit") => {
            let device: DeviceRequest = read(call)?;
            ok_if_found(
                state
                    .fleet
                    .edit(&device.serial, |value| merge(value, device.merge)),
            )
        }
        ("POST", "remove") => ok_if_found(state.fleet.remove(&read::<DeviceRequest>(call)?.serial)),
        ("POST", "expire") => {
            state.sessions.revoke_all(false);
            ok()
        }
        ("POST", "credentials") => {
            let given: Credentials = read(call)?;
            (state.sessions.username, state.sessions.password) = (given.username, given.password);
            ok()
        }
        ("POST", "reset") => {
            *state = SimulatorState::new(&shared.config, shared.url.starts_with("https"));
            shared.hang_latch.release_all();
            ok()
        }
        (method, path) => Err((
            404,
            format!("no such route: {method} /_sim/{path}; see the README of devenv/src/simulator"),
        )),
    }
}

fn describe_state(shared: &SharedState, state: &SimulatorState) -> Value {
    let regions = REGIONS.map(|region| {
        let devices = state
            .fleet
            .devices()
            .iter()
            .filter(|device| device.region == region.id);
        let base_nodes = devices
            .filter(|device| device.kind == DeviceKind::BaseNode)
            .count();
        json!({"id": region.id, "name": region.name, "baseNodes": base_nodes})
    });
    json!({
        "url": shared.url,
        "seed": shared.config.seed,
        "operatorId": shared.config.operator_id,
        "generation": state.fleet.generation(),
        "baseNodes": state.fleet.count(DeviceKind::BaseNode),
        "remoteNodes": state.fleet.count(DeviceKind::RemoteNode),
        "regions": regions,
        "counters": state.counters,
        "hanging": shared.hang_latch.waiting(),
        "rules": state.rule_set.rules,
    })
}

fn list_devices(state: &SimulatorState) -> Value {
    let devices = state.fleet.devices().iter().map(|device| {
        let value = device.value().unwrap_or_else(|_| json!({"broken": *device.raw}));
        json!({"serial": *device.serial, "type": device.kind, "region": device.region, "device": value})
    });
    devices.collect()
}

/// Applies a JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            object.remove(&key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), value);
        }
    }
}
