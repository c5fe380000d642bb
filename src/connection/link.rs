//! One session, one limiter and one pool for a connection, made of its spec and its Secrets.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use uuid::Uuid;

use crate::api::connection::{
    ActiveConnections, DatabaseRef, Listing, TaranaConnection, TaranaConnectionSpec,
};
use crate::fault::{Fault, Reason};
use crate::{station, store, tarana};

/// What the runs of one connection share. A change of spec or Secret makes a new one.
#[derive(Debug)]
pub struct Link {
    /// Uid of the connection object.
    pub uid: Uuid,
    /// The spec that it was made of.
    pub spec: TaranaConnectionSpec,
    /// The vendor's API.
    pub tarana: tarana::Client,
    /// The database.
    pub store: store::Store,
    /// What it was made of: the spec's generation and the version of each Secret.
    pub(super) fingerprint: String,
    /// The tables were found to be what this version knows. Until then nobody writes to them, not even a log row.
    sound: AtomicBool,
}

impl Link {
    /// Tries the database, and remembers whether its tables may be written to.
    pub(super) async fn verify_store(&self) -> Result<(), Fault> {
        let found = self.store.verify().await;
        match &found {
            Ok(()) => self.sound.store(true, Ordering::Relaxed),
            Err(fault) if fault.is_permanent() => self.sound.store(false, Ordering::Relaxed),
            // Away for a moment: the tables are what they were.
            Err(_) => {}
        }
        found
    }

    pub(super) fn is_sound(&self) -> bool {
        self.sound.load(Ordering::Relaxed)
    }
}

/// What a link is made of. Holds secrets: no `Debug`.
pub(super) struct Inputs {
    username: String,
    password: String,
    api_ca: Option<Vec<u8>>,
    database_url: String,
    database_ca: Option<Vec<u8>>,
    /// Tells whether anything changed.
    pub fingerprint: String,
}

/// Where the tables of a connection are, for whoever only reads them, and what tells whether that has changed.
///
/// # Errors
/// The Secret is missing, incomplete or not to be read.
pub async fn database(
    client: &Client,
    connection: &TaranaConnection,
) -> Result<(store::Config, String), Fault> {
    let secrets = Secrets {
        api: Api::namespaced(client.clone(), &connection.namespace().unwrap_or_default()),
        namespace: connection.namespace().unwrap_or_default(),
    };
    let database = &connection.spec.database;
    let found = secrets
        .get("spec.database.secretRef", &database.secret_ref.name)
        .await?;
    let (url, ca_pem) = found.database(&database.secret_ref)?;
    let config = store::Config {
        url,
        ca_pem,
        schema: database.schema.clone(),
        migrate: false,
    };
    let generation = connection.metadata.generation.unwrap_or_default();
    Ok((config, format!("{generation}/{}", found.version())))
}

/// Reads the Secrets that a connection names.
pub(super) async fn inputs(client: &Client, connection: &TaranaConnection) -> Result<Inputs, Fault> {
    let secrets = Secrets {
        api: Api::namespaced(client.clone(), &connection.namespace().unwrap_or_default()),
        namespace: connection.namespace().unwrap_or_default(),
    };
    let api = &connection.spec.api;
    let database = &connection.spec.database.secret_ref;
    let credentials = secrets
        .get("spec.api.credentialsSecretRef", &api.credentials_secret_ref.name)
        .await?;
    let db = secrets.get("spec.database.secretRef", &database.name).await?;
    let mut versions = vec![credentials.version(), db.version()];
    let api_ca = match &api.ca_secret_ref {
        None => None,
        Some(ca) => {
            let found = secrets.get("spec.api.caSecretRef", &ca.name).await?;
            versions.push(found.version());
            Some(found.bytes("spec.api.caSecretRef.key", &ca.key)?)
        }
    };
    let generation = connection.metadata.generation.unwrap_or_default();
    let (database_url, database_ca) = db.database(database)?;
    Ok(Inputs {
        username: credentials.text(
            "spec.api.credentialsSecretRef.usernameKey",
            &api.credentials_secret_ref.username_key,
        )?,
        password: credentials.text(
            "spec.api.credentialsSecretRef.passwordKey",
            &api.credentials_secret_ref.password_key,
        )?,
        api_ca,
        database_url,
        database_ca,
        fingerprint: format!("{generation}/{}", versions.concat()),
    })
}

/// Makes the link. Nothing is asked of anybody yet.
pub(super) fn build(connection: &TaranaConnection, inputs: Inputs, migrate: bool) -> Result<Link, Fault> {
    let spec = connection.spec.clone();
    let tarana = tarana::Client::new(api_config(&spec, &inputs))?;
    if let Some(choice) = remembered(connection) {
        tarana.recall(choice);
    }
    let store = store::Store::new(&store::Config {
        url: inputs.database_url,
        ca_pem: inputs.database_ca,
        schema: spec.database.schema.clone(),
        migrate,
    })?;
    let uid = connection
        .metadata
        .uid
        .as_deref()
        .and_then(|u| u.parse().ok())
        .unwrap_or_default();
    Ok(Link {
        uid,
        spec,
        tarana,
        store,
        fingerprint: inputs.fingerprint,
        sound: AtomicBool::new(false),
    })
}

/// The listing that was chosen before this process began, for the same spec.
fn remembered(connection: &TaranaConnection) -> Option<tarana::Choice> {
    let status = connection.status.as_ref()?;
    if status.observed_generation != connection.metadata.generation {
        return None;
    }
    Some(tarana::Choice {
        listing: station::Listing::parse(status.listing.as_deref()?)?,
        since: status.listing_since.as_ref()?.0,
    })
}

fn api_config(spec: &TaranaConnectionSpec, inputs: &Inputs) -> tarana::Config {
    // The schema bounds each of these; what is out of range never arrives here.
    let unsigned = |n: i32| u32::try_from(n).unwrap_or(1);
    let api = &spec.api;
    tarana::Config {
        base_url: api.url.clone(),
        username: inputs.username.clone(),
        password: inputs.password.clone().into(),
        ca_pem: inputs.api_ca.clone(),
        operator_id: api.operator_id,
        include_region_ids: api.include_region_ids.clone(),
        exclude_region_ids: api.exclude_region_ids.clone(),
        page_size: unsigned(api.page_size),
        request_timeout: Duration::from_secs(unsigned(api.request_timeout_seconds).into()),
        requests_per_second: unsigned(api.requests_per_second),
        max_in_flight: unsigned(api.max_in_flight),
        listing: match api.listing {
            Listing::Auto => None,
            Listing::RegionSearch => Some(station::Listing::RegionSearch),
            Listing::OperatorList => Some(station::Listing::OperatorList),
            Listing::RadioSearch => Some(station::Listing::RadioSearch),
        },
        count_connections: spec.active_connections == ActiveConnections::Count,
    }
}

/// What a fingerprint says of one Secret.
pub(super) fn version(uid: Option<&str>, resource_version: Option<&str>) -> String {
    format!(
        "{}:{};",
        uid.unwrap_or_default(),
        resource_version.unwrap_or_default()
    )
}

struct Secrets {
    api: Api<Secret>,
    namespace: String,
}

struct Found {
    secret: Secret,
    name: String,
}

impl Secrets {
    async fn get(&self, field: &str, name: &str) -> Result<Found, Fault> {
        match self.api.get_opt(name).await {
            Ok(Some(secret)) => Ok(Found {
                secret,
                name: name.to_owned(),
            }),
            Ok(None) => Err(Fault::new(
                Reason::SecretNotFound,
                format!(
                    "{field} names Secret {name}, which does not exist in namespace {}: create it or correct {field}",
                    self.namespace
                ),
            )),
            Err(kube::Error::Api(e)) if e.code == 403 => Err(Fault::new(
                Reason::KubernetesUnavailable,
                format!(
                    "the operator may not read Secret {name} (403): grant it get, list and watch on secrets in namespace {}",
                    self.namespace
                ),
            )),
            Err(e) => Err(Fault::new(
                Reason::KubernetesUnavailable,
                format!("cannot read Secret {name}: {e}"),
            )),
        }
    }
}

impl Found {
    fn version(&self) -> String {
        let meta = &self.secret.metadata;
        version(meta.uid.as_deref(), meta.resource_version.as_deref())
    }

    /// The URL of a database, and the authority that its certificate is of.
    fn database(&self, names: &DatabaseRef) -> Result<(String, Option<Vec<u8>>), Fault> {
        let url = self.text("spec.database.secretRef.urlKey", &names.url_key)?;
        let ca = names
            .ca_key
            .as_ref()
            .map(|key| self.bytes("spec.database.secretRef.caKey", key));
        Ok((url, ca.transpose()?))
    }

    fn bytes(&self, field: &str, key: &str) -> Result<Vec<u8>, Fault> {
        let value = self
            .secret
            .data
            .as_ref()
            .and_then(|d| d.get(key))
            .map(|b| b.0.clone())
            .unwrap_or_default();
        if value.is_empty() {
            let keys = self
                .secret
                .data
                .iter()
                .flat_map(|d| d.keys())
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            let has = if keys.is_empty() {
                "no keys".to_owned()
            } else {
                format!("the keys {keys}")
            };
            return Err(Fault::new(
                Reason::SecretKeyMissing,
                format!(
                    "Secret {} has nothing under the key {key} (it has {has}): add it or correct {field}",
                    self.name
                ),
            ));
        }
        Ok(value)
    }

    fn text(&self, field: &str, key: &str) -> Result<String, Fault> {
        String::from_utf8(self.bytes(field, key)?)
            // A newline at the end is what `echo` leaves; it belongs to no credential.
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|_| {
                Fault::new(
                    Reason::InvalidConfiguration,
                    format!(
                        "key {key} of Secret {} is not UTF-8 text: write it anew",
                        self.name
                    ),
                )
            })
    }
}
