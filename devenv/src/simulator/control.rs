//! `/_sim/…`: the same levers as [`Simulator`](super::Simulator)'s, for curl and for other processes.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::fault::{Rule, Script};
use super::fleet::{Kind, REGIONS};
use super::world::{Shared, World};

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
struct Device {
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

/// The answer to a call under `/_sim/`.
pub(super) fn answer(shared: &Shared, call: &Call) -> Answer {
    match route(shared, call) {
        Ok(value) => Answer::json(200, format!("{value}\n")),
        Err((status, message)) => Answer::json(status, format!("{}\n", json!({"error": message}))),
    }
}

type Refusal = (u16, String);

fn read<T: DeserializeOwned>(call: &Call) -> Result<T, Refusal> {
    serde_json::from_slice(&call.body).map_err(|error| (400, error.to_string()))
}

fn found(found: bool) -> Result<Value, Refusal> {
    if found {
        Ok(json!({"ok": true}))
    } else {
        Err((404, "no such device".to_owned()))
    }
}

fn route(shared: &Shared, call: &Call) -> Result<Value, Refusal> {
    let done = || Ok(json!({"ok": true}));
    let mut world = shared.world();
    match (
        call.method.as_str(),
        call.path.trim_start_matches("/_sim").trim_matches('/'),
    ) {
        ("GET", "" | "state") => Ok(state(shared, &world)),
        ("GET", "truth") => Ok(truth(&world)),
        ("GET", "requests") => Ok(json!(world.seen)),
        ("POST", "script") => {
            world.script = Script::new(read::<Vec<Rule>>(call)?);
            done()
        }
        ("POST", "clear") => {
            world.script = Script::default();
            done()
        }
        ("POST", "release") => {
            shared.gate.open();
            done()
        }
        ("POST", "drift") => Ok(json!(world.fleet.drift(read::<Fraction>(call)?.fraction))),
        ("POST", "vanish") => Ok(json!({"removed": world.fleet.vanish(read::<Count>(call)?.count)})),
        ("POST", "add") => Ok(json!({"added": world.fleet.add(read::<Count>(call)?.count)})),
        ("POST", "edit") => {
            let device: Device = read(call)?;
            found(
                world
                    .fleet
                    .edit(&device.serial, |value| merge(value, device.merge)),
            )
        }
        ("POST", "remove") => found(world.fleet.remove(&read::<Device>(call)?.serial)),
        ("POST", "expire") => {
            world.sessions.revoke_all(false);
            done()
        }
        ("POST", "credentials") => {
            let given: Credentials = read(call)?;
            (world.sessions.username, world.sessions.password) = (given.username, given.password);
            done()
        }
        ("POST", "reset") => {
            *world = World::new(&shared.config, shared.url.starts_with("https"));
            shared.gate.open();
            done()
        }
        (method, path) => Err((
            404,
            format!("no {method} /_sim/{path}; see the README of devenv/src/simulator"),
        )),
    }
}

fn state(shared: &Shared, world: &World) -> Value {
    let regions = REGIONS.map(|region| {
        let rows = world.fleet.rows().iter().filter(|row| row.region == region.id);
        let base_nodes = rows.filter(|row| row.kind == Kind::BaseNode).count();
        json!({"id": region.id, "name": region.name, "baseNodes": base_nodes})
    });
    json!({
        "url": shared.url,
        "seed": shared.config.seed,
        "operatorId": shared.config.operator_id,
        "generation": world.fleet.generation(),
        "baseNodes": world.fleet.count(Kind::BaseNode),
        "remoteNodes": world.fleet.count(Kind::RemoteNode),
        "regions": regions,
        "counters": world.counters,
        "hanging": shared.gate.waiting(),
        "rules": world.script.rules,
    })
}

fn truth(world: &World) -> Value {
    let rows = world.fleet.rows().iter().map(|row| {
        let device = row.value().unwrap_or_else(|_| json!({"broken": *row.raw}));
        json!({"serial": *row.serial, "type": row.kind, "region": row.region, "device": device})
    });
    rows.collect()
}

/// RFC 7386: null removes, objects are merged, all else replaces.
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
