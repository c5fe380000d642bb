//! Pure: an event as `CloudEvents` 1.0 in JSON, <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// An event. Source and id identify it: a receiver that gets it twice recognizes it by them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    specversion: &'static str,
    /// Unique within the source.
    pub id: String,
    /// Path of the connection in the Kubernetes API.
    pub source: String,
    /// For example `tarana/sync.completed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub time: Timestamp,
    datacontenttype: &'static str,
    /// What happened.
    pub data: Value,
}

impl Event {
    /// Media type of the event as a request body.
    pub const MEDIA_TYPE: &str = "application/cloudevents+json";

    /// An event of a connection.
    pub fn new(connection: (&str, &str), kind: &str, id: String, time: Timestamp, data: Value) -> Self {
        let (namespace, name) = connection;
        Self {
            specversion: "1.0",
            id,
            source: format!("/apis/tarana.dev/v1alpha1/namespaces/{namespace}/taranaconnections/{name}"),
            kind: kind.to_owned(),
            time,
            datacontenttype: "application/json",
            data,
        }
    }
}
