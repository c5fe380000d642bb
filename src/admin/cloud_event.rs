//! `CloudEvents` 1.0 over HTTP, in structured and in binary mode.
//!
//! Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>

use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::extract::{has_media_type, parse_json};
use super::problem::Problem;

/// Media type of an event in structured mode.
pub const STRUCTURED: &str = "application/cloudevents+json";
const MAX_ATTRIBUTE_BYTES: usize = 1024;

/// An event that requests something.
#[derive(Debug, PartialEq, Eq)]
pub struct CloudEvent {
    /// Source and id, which identify the event.
    pub key: String,
    /// What it requests.
    pub command: Command,
}

/// What an event requests.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// `tarana/sync.requested`
    Request(RequestedData),
    /// `tarana/sync.cancelled`
    Cancel(CancelledData),
}

/// Data of `tarana/sync.requested`.
#[derive(Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestedData {
    /// What triggered the event. The run is one of type Api in any case.
    triggered_by: TriggeredBy,
    /// Id of the user in `admin_users`.
    #[serde(default)]
    pub admin_user_id: Option<Uuid>,
    /// Accepted, but not used: the id of the run is the one in the response.
    #[serde(default)]
    sync_log_id: Option<Uuid>,
    /// Options of the run.
    #[serde(default)]
    pub options: EventOptions,
}

/// What triggered an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum TriggeredBy {
    Cron,
    Manual,
}

/// Options of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct EventOptions {
    /// Only plan, and change nothing.
    pub dry_run: bool,
    /// Delete stale rows: those of stations that the vendor no longer lists.
    pub delete_stale: bool,
}

/// Data of `tarana/sync.cancelled`.
#[derive(Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelledData {
    /// Id of the run.
    pub sync_log_id: Uuid,
}

/// The attributes of an event, and its data as JSON text. Other attributes are extensions.
#[derive(Debug, Deserialize)]
struct Attributes<'a> {
    specversion: String,
    #[serde(rename = "type")]
    type_: String,
    source: String,
    id: String,
    #[serde(default)]
    datacontenttype: Option<String>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data_base64: Option<&'a RawValue>,
}

/// Reads an event from the headers and the body of a request.
pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<CloudEvent, Problem> {
    if has_media_type(headers, STRUCTURED) {
        let attributes: Attributes<'_> = parse_json(body)?;
        if attributes.data_base64.is_some() {
            return Err(invalid("data_base64", "send the data as JSON, in data"));
        }
        let is_json = |type_: &String| type_.split(';').next().map(str::trim) == Some("application/json");
        if !attributes.datacontenttype.as_ref().is_none_or(is_json) {
            return Err(invalid("datacontenttype", "must be application/json"));
        }
        let data = attributes.data.map_or("{}", RawValue::get).as_bytes();
        return event(&attributes, data);
    }
    if !has_media_type(headers, "application/json") {
        return Err(Problem::UnsupportedMediaType(format!(
            "send one event, with Content-Type {STRUCTURED}, or application/json and the attributes as headers ce-id, ce-source, \
             ce-specversion and ce-type"
        )));
    }
    let attributes = Attributes {
        specversion: header(headers, "ce-specversion")?,
        type_: header(headers, "ce-type")?,
        source: header(headers, "ce-source")?,
        id: header(headers, "ce-id")?,
        datacontenttype: None,
        data: None,
        data_base64: None,
    };
    event(&attributes, body)
}

fn event(attributes: &Attributes<'_>, data: &[u8]) -> Result<CloudEvent, Problem> {
    if attributes.specversion != "1.0" {
        return Err(invalid("specversion", "must be 1.0"));
    }
    for (name, value) in [("source", &attributes.source), ("id", &attributes.id)] {
        if value.is_empty() || value.len() > MAX_ATTRIBUTE_BYTES || value.contains(char::is_control) {
            let rule = format!("must have 1 to {MAX_ATTRIBUTE_BYTES} bytes, without control characters");
            return Err(invalid(name, &rule));
        }
    }
    let command = match attributes.type_.as_str() {
        "tarana/sync.requested" => Command::Request(parse_data(data)?),
        "tarana/sync.cancelled" => Command::Cancel(parse_data(data)?),
        _ => {
            return Err(invalid(
                "type",
                "must be tarana/sync.requested or tarana/sync.cancelled",
            ));
        }
    };
    // Neither part contains the separator.
    let key = format!("{}\n{}", attributes.source, attributes.id);
    Ok(CloudEvent { key, command })
}

fn parse_data<T: DeserializeOwned>(data: &[u8]) -> Result<T, Problem> {
    parse_json(data).map_err(|problem| Problem::BadRequest(format!("data: {}", problem.detail())))
}

/// The attribute in a header, which is percent-encoded.
fn header(headers: &HeaderMap, name: &'static str) -> Result<String, Problem> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(invalid(name, "send one header of this name"));
    };
    let decoded = value
        .to_str()
        .ok()
        .and_then(|value| percent_decode_str(value).decode_utf8().ok());
    let decoded = decoded.ok_or_else(|| invalid(name, "must be percent-encoded UTF-8"))?;
    Ok(decoded.into_owned())
}

fn invalid(attribute: &str, rule: &str) -> Problem {
    Problem::BadRequest(format!("{attribute}: {rule}"))
}

#[cfg(test)]
mod tests;
