//! The state with which a stream begins.

use serde_json::{Map, Value};

use crate::admin::kind::ApiKind;
use crate::admin::objects::Objects;
use crate::admin::problem::Problem;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;

/// The current objects of these kinds: lists of responses by the name of the kind, as JSON.
pub(super) fn snapshot(
    objects: &Objects,
    namespace: Option<&str>,
    kinds: &[&str],
) -> Result<String, Problem> {
    let mut lists = Map::new();
    for (kind, list) in [
        (TaranaConnection::NAME, list::<TaranaConnection> as List),
        (TaranaSyncSchedule::NAME, list::<TaranaSyncSchedule>),
        (TaranaSync::NAME, list::<TaranaSync>),
    ] {
        if kinds.contains(&kind) {
            let responses = list(objects, namespace);
            let responses =
                responses.map_err(|error| Problem::internal("cannot serialize a snapshot", &error))?;
            lists.insert(kind.to_owned(), Value::Array(responses));
        }
    }
    Ok(Value::Object(lists).to_string())
}

type List = fn(&Objects, Option<&str>) -> serde_json::Result<Vec<Value>>;

fn list<K: ApiKind>(objects: &Objects, namespace: Option<&str>) -> serde_json::Result<Vec<Value>> {
    let selected = K::select(objects.list::<K>(namespace, |_| true));
    let responses = selected
        .iter()
        .map(|object| serde_json::to_value(K::Response::from(object)));
    responses.collect()
}
