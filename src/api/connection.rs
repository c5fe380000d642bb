//! `TaranaConnection`: source, destination and safety settings.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where base stations are read from, where they are written to, and the safety settings of a sync.
///
/// The operator probes a connection when it changes, when one of its Secrets changes and every ten minutes. The conditions
/// Ready, Reconciling and Stalled show the result.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "tarana.dev",
    version = "v1alpha1",
    kind = "TaranaConnection",
    namespaced,
    shortname = "tconn",
    category = "tarana",
    status = "TaranaConnectionStatus",
    derive = "PartialEq",
    doc = "Where base stations are read from (the vendor's cloud, TCS), where they are written to (a PostgreSQL table), and the safety settings of a sync.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Stations","type":"integer","jsonPath":".status.stationCount"}"#,
    printcolumn = r#"{"name":"Active","type":"string","jsonPath":".status.activeSync"}"#,
    printcolumn = r#"{"name":"Last Success","type":"date","jsonPath":".status.lastSuccessfulSyncTime"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".spec.api.url","priority":1}"#,
    printcolumn = r#"{"name":"Suspended","type":"boolean","jsonPath":".spec.suspend","priority":1}"#,
    printcolumn = r#"{"name":"Listing","type":"string","jsonPath":".status.listing","priority":1}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message","priority":1}"#,
    selectable = ".spec.api.url",
    selectable = ".spec.suspend"
)]
#[serde(rename_all = "camelCase")]
pub struct TaranaConnectionSpec {
    /// The vendor's API: address, credentials and request limits.
    pub api: Api,
    /// The PostgreSQL database that holds `tarana_base_stations`.
    pub database: Database,
    /// How the column `active_connections` is written. Preserve: the operator never changes it in an existing row. Count: the number
    /// of connected remote nodes that the base node serves, counted in the same listing (requires an account that can see them).
    #[serde(default)]
    pub active_connections: ActiveConnections,
    /// Limits above which deletions are withheld although a sync requests them.
    #[serde(default)]
    pub delete_guard: DeleteGuard,
    /// If true, no new sync starts. A running sync continues. Default false.
    #[serde(default)]
    pub suspend: bool,
    /// Where events about syncs are sent. Default: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_sink: Option<EventSink>,
}

/// Receives an event (CloudEvents 1.0 over HTTP) when a sync is requested and when it ends: at least once, in order for each sync, for 24 hours.
/// Events from before the sink was added are not sent.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSink {
    /// URL that accepts a POST. An address that is not on the public internet, and plain http, must be permitted by the operator's flag
    /// --sink-allow-cidr. Redirects are not followed.
    #[x_kube(
        validation = Rule::new("isURL(self) && url(self).getScheme() in ['https', 'http'] && url(self).getHostname() != '' && !self.contains('@') && !self.contains('#')")
            .message("must be an http or https URL with a host, and without user and fragment")
    )]
    #[schemars(length(min = 8, max = 2048))]
    pub url: String,
    /// The Secret that signs the events (Standard Webhooks). Default: they are not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret_ref: Option<SigningSecretRef>,
    /// A Secret with the certificate authority (PEM) of the receiver's certificate. Default: the public certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaRef>,
    /// Timeout of a request in seconds, 1 to 30. Default 10.
    #[serde(default = "sink_timeout_seconds")]
    #[schemars(range(min = 1, max = 30))]
    pub timeout_seconds: i32,
}

/// A Secret with one or two signing secrets, in the namespace of the connection. With two, each event has two signatures, so that the receiver can
/// change from one to the other at any time.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key of the secret: whsec_ and 24 to 64 bytes in base64. Default secret.
    #[serde(default = "signing_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// Key of the previous secret. It may be missing. Default `previousSecret`.
    #[serde(default = "previous_signing_key")]
    #[schemars(length(min = 1, max = 253))]
    pub previous_key: String,
}

/// The vendor's API.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!self.includeRegionIds.exists(i, i in self.excludeRegionIds)")
        .message("a region cannot be both in includeRegionIds and in excludeRegionIds")
)]
pub struct Api {
    /// Base URL of the portal, without a path. Production: <https://portal.tcs.taranawireless.com>.
    #[x_kube(
        validation = Rule::new("isURL(self) && url(self).getScheme() in ['https', 'http'] && url(self).getHostname() != '' && !self.contains('@') && !self.contains('?') && !self.contains('#')")
            .message("must be an http or https URL with a host, and without user, query or fragment")
    )]
    #[schemars(length(min = 8, max = 2048))]
    pub url: String,
    /// Id of the operator, for accounts that can see several. Default: the operator that the login returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub operator_id: Option<i64>,
    /// How base nodes are listed. RegionSearch reads region by region, and the totals of the API prove that nothing is missing.
    /// OperatorList reads one list of all devices, RadioSearch the radios of each region. Both are read twice to prove that nothing is
    /// missing; a reading without proof deletes nothing. RadioSearch has no remote nodes, so activeConnections are not counted and
    /// keep their values. Auto uses RegionSearch. If the API persistently rejects it (403, 404, other 4xx, or 5xx in three fetches in
    /// a row), Auto uses OperatorList, then RadioSearch, and tries the better listings again after a day. Default Auto.
    #[serde(default)]
    pub listing: ListingSetting,
    /// Read only these regions. Default: all that the account can see. A region that the API does not list is an error.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub include_region_ids: Vec<i32>,
    /// Do not read these regions, for example training regions.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub exclude_region_ids: Vec<i32>,
    /// Devices requested per page, 1 to 5000. The API may return fewer. Default 1000.
    #[serde(default = "page_size")]
    #[schemars(range(min = 1, max = 5000))]
    pub page_size: i32,
    /// Timeout of a request, including its whole response, in seconds, 1 to 300. Default 30.
    #[serde(default = "request_timeout_seconds")]
    #[schemars(range(min = 1, max = 300))]
    pub request_timeout_seconds: i32,
    /// Maximum requests per second of all syncs of this connection together, 1 to 1000. Default 10.
    #[serde(default = "requests_per_second")]
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: i32,
    /// Maximum number of concurrent requests, 1 to 64. The operator sends fewer if the API rejects requests as busy (429, 503) or
    /// slows down. Default 4.
    #[serde(default = "max_in_flight")]
    #[schemars(range(min = 1, max = 64))]
    pub max_in_flight: i32,
    /// The Secret with the user name and password for the portal.
    pub credentials_secret_ref: CredentialsRef,
    /// A Secret with the certificate authority (PEM) of the API's certificate. Default: the public certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaRef>,
}

/// A Secret with credentials, in the namespace of the connection.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key of the user name. Default username.
    #[serde(default = "username_key")]
    #[schemars(length(min = 1, max = 253))]
    pub username_key: String,
    /// Key of the password. Default password.
    #[serde(default = "password_key")]
    #[schemars(length(min = 1, max = 253))]
    pub password_key: String,
}

/// A Secret with a certificate authority, in the namespace of the connection.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key of the PEM text. Default ca.crt.
    #[serde(default = "ca_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// The PostgreSQL database.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// The Secret with the URL of the database, and optionally its certificate authority.
    pub secret_ref: DatabaseRef,
    /// Schema of the tables. It must exist. Default public.
    #[serde(default = "schema_name")]
    #[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_$]{0,62}$"))]
    pub schema: String,
}

/// A Secret with a database URL, in the namespace of the connection.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key of the URL, `postgres://user:password@host:5432/database`. Default url.
    #[serde(default = "url_key")]
    #[schemars(length(min = 1, max = 253))]
    pub url_key: String,
    /// Key of a certificate authority (PEM). With it TLS is required, and certificate and host name are checked
    /// against it. Default: what the URL's sslmode says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub ca_key: Option<String>,
}

/// How the column `active_connections` is written.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActiveConnections {
    /// Never changed in an existing row.
    #[default]
    Preserve,
    /// Number of connected remote nodes per serving base node.
    Count,
}

/// How base nodes are listed.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListingSetting {
    /// The best listing that the API offers.
    #[default]
    Auto,
    /// `regions/devices/search`.
    RegionSearch,
    /// `operators/{id}/devices`.
    OperatorList,
    /// `radios/search`.
    RadioSearch,
}

/// Deletions are withheld when they exceed both limits.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteGuard {
    /// Percentage of the rows in the regions that were read, 0 to 100. Default 5.
    #[serde(default = "max_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub max_percent: i32,
    /// Number of rows that may be deleted regardless of the percentage. Default 10.
    #[serde(default = "free_count")]
    #[schemars(range(min = 0))]
    pub free_count: i32,
}

impl Default for DeleteGuard {
    fn default() -> Self {
        Self {
            max_percent: max_percent(),
            free_count: free_count(),
        }
    }
}

/// Observed state of a connection.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaranaConnectionStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled; EventSinkReady if there is an event sink.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Base stations in the listing of the last successful sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station_count: Option<i64>,
    /// When the last successful sync (not a dry run) committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_sync_time: Option<Time>,
    /// Name of the running sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_sync: Option<String>,
    /// The operator sends no requests until this time, because the API is throttling (429) or asked for a pause (Retry-After).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_until: Option<Time>,
    /// The listing in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<String>,
    /// Since when the connection has an event sink. Earlier events are not sent to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_sink_since: Option<MicroTime>,
    /// Since when this listing replaces a better one that the API rejects. After a day the better one is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing_since: Option<Time>,
}

fn page_size() -> i32 {
    1000
}
fn request_timeout_seconds() -> i32 {
    30
}
fn requests_per_second() -> i32 {
    10
}
fn max_in_flight() -> i32 {
    4
}
fn username_key() -> String {
    "username".into()
}
fn password_key() -> String {
    "password".into()
}
fn ca_key() -> String {
    "ca.crt".into()
}
fn url_key() -> String {
    "url".into()
}
fn schema_name() -> String {
    "public".into()
}
fn sink_timeout_seconds() -> i32 {
    10
}
fn signing_key() -> String {
    "secret".into()
}
fn previous_signing_key() -> String {
    "previousSecret".into()
}
fn max_percent() -> i32 {
    5
}
fn free_count() -> i32 {
    10
}
