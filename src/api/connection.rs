//! `TaranaConnection`: where from, where to, how careful.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where base stations come from, where they go to, and how careful a sync has to be.
///
/// The operator tries a connection when it changes, when one of its Secrets changes and every ten minutes, and says
/// in the conditions Ready, Reconciling and Stalled what it found.
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
    doc = "Where base stations come from (the vendor's cloud, TCS), where they go to (a PostgreSQL table), and how careful a sync has to be.",
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
    /// The vendor's API: where it is, who asks, and how much at once.
    pub api: Api,
    /// The PostgreSQL database that holds `tarana_base_stations`.
    pub database: Database,
    /// What `active_connections` in the table is. Preserve: the operator never writes it to a row that exists.
    /// Count: the number of connected remote nodes that the base node serves, counted from the same listing (needs an
    /// account that sees them).
    #[serde(default)]
    pub active_connections: ActiveConnections,
    /// When deletions are withheld although a sync asks for them.
    #[serde(default)]
    pub delete_guard: DeleteGuard,
    /// No new sync starts while this is true; one that runs goes on. Default false.
    #[serde(default)]
    pub suspend: bool,
}

/// The vendor's API.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!self.includeRegionIds.exists(i, i in self.excludeRegionIds)")
        .message("a region cannot be both in includeRegionIds and in excludeRegionIds")
)]
pub struct Api {
    /// Base URL of the portal, without a path: production is <https://portal.tcs.taranawireless.com>.
    #[x_kube(
        validation = Rule::new("isURL(self) && url(self).getScheme() in ['https', 'http'] && url(self).getHostname() != '' && !self.contains('@') && !self.contains('?') && !self.contains('#')")
            .message("must be an http or https URL with a host, and without user, query or fragment")
    )]
    #[schemars(length(min = 8, max = 2048))]
    pub url: String,
    /// Id of the operator, for accounts that see several. Default: what the login says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub operator_id: Option<i64>,
    /// How the base nodes are listed. RegionSearch asks region by region and proves by the API's own totals that nothing
    /// is missing. OperatorList reads one list of all devices, RadioSearch the radios of each region; both are read twice
    /// to prove that nothing is missing, and what is not proven deletes nothing. RadioSearch tells no remote nodes, so
    /// activeConnections cannot be counted and stay as they are. Auto takes RegionSearch, and where the API lastingly
    /// refuses it (403, 404, other 4xx, or 5xx in three fetches in a row) OperatorList, then RadioSearch; after a day the
    /// better ones are tried again. Default Auto.
    #[serde(default)]
    pub listing: Listing,
    /// Only these regions. Default: all that the account sees. A region that the API does not list is an error.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub include_region_ids: Vec<i32>,
    /// Not these regions, for example the ones for training.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub exclude_region_ids: Vec<i32>,
    /// Devices asked for in one page, 1 to 5000; the API may give fewer. Default 1000.
    #[serde(default = "page_size")]
    #[schemars(range(min = 1, max = 5000))]
    pub page_size: i32,
    /// Seconds after which a request without a whole answer is given up, 1 to 300. Default 30.
    #[serde(default = "request_timeout_seconds")]
    #[schemars(range(min = 1, max = 300))]
    pub request_timeout_seconds: i32,
    /// Requests a second that all syncs of this connection may make together, 1 to 1000. Default 10.
    #[serde(default = "requests_per_second")]
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: i32,
    /// Requests under way at once at most, 1 to 64; fewer where the API shows that it takes fewer. Default 4.
    #[serde(default = "max_in_flight")]
    #[schemars(range(min = 1, max = 64))]
    pub max_in_flight: i32,
    /// The Secret with user name and password of the portal.
    pub credentials_secret_ref: CredentialsRef,
    /// A Secret with the certificate authority (PEM) that signed the API's certificate. Default: the public ones.
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
    /// The Secret with the database's URL, and its certificate authority where it has one of its own.
    pub secret_ref: DatabaseRef,
    /// Schema of the tables; it must exist. Default public.
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

/// What `active_connections` is.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActiveConnections {
    /// Never written to a row that exists.
    #[default]
    Preserve,
    /// Connected remote nodes by serving base node.
    Count,
}

/// How the base nodes are listed.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listing {
    /// The best that the API offers.
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
    /// Percent of the rows in the regions that were read, 0 to 100. Default 5.
    #[serde(default = "max_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub max_percent: i32,
    /// Rows. Up to this many are deleted whatever the percentage. Default 10.
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

/// What the operator found.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaranaConnectionStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Base stations in the listing of the last successful sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station_count: Option<i64>,
    /// When the last successful sync (not a dry run) committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_sync_time: Option<Time>,
    /// Name of the sync that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_sync: Option<String>,
    /// The API asked for quiet until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_until: Option<Time>,
    /// The listing in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<String>,
    /// Since when that listing takes the place of a better one that the API refuses; after a day the better one is
    /// tried again.
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
fn max_percent() -> i32 {
    5
}
fn free_count() -> i32 {
    10
}
