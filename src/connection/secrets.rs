//! Reads the Secrets of a connection.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};

use crate::api::connection::{DatabaseRef, TaranaConnection};
use crate::fault::{Fault, Reason};
use crate::store;
use crate::webhook::SinkConfig;

/// The values from Secrets that the clients are built from. No `Debug`, because it contains secrets.
pub(super) struct Inputs {
    pub username: String,
    pub password: String,
    pub api_ca: Option<Vec<u8>>,
    pub database_url: String,
    pub database_ca: Option<Vec<u8>>,
    /// Changes with the spec and with each Secret.
    pub fingerprint: String,
}

/// The configuration for read-only access to the database of a connection, and a fingerprint that changes with it.
///
/// # Errors
/// The Secret is missing or incomplete, or cannot be read.
pub async fn database_config(
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

/// The event sink of a connection with the content of its Secrets; `None` without a sink.
///
/// # Errors
/// A Secret is missing or incomplete, or cannot be read.
pub async fn sink_config(
    client: &Client,
    connection: &TaranaConnection,
) -> Result<Option<SinkConfig>, Fault> {
    let Some(sink) = &connection.spec.event_sink else {
        return Ok(None);
    };
    let secrets = Secrets {
        api: Api::namespaced(client.clone(), &connection.namespace().unwrap_or_default()),
        namespace: connection.namespace().unwrap_or_default(),
    };
    let mut signing = Vec::new();
    if let Some(reference) = &sink.signing_secret_ref {
        let found = secrets
            .get("spec.eventSink.signingSecretRef", &reference.name)
            .await?;
        signing.push(found.text("spec.eventSink.signingSecretRef.key", &reference.key)?);
        if found.has(&reference.previous_key) {
            let field = "spec.eventSink.signingSecretRef.previousKey";
            signing.push(found.text(field, &reference.previous_key)?);
        }
    }
    let ca_pem = match &sink.ca_secret_ref {
        None => None,
        Some(ca) => {
            let found = secrets.get("spec.eventSink.caSecretRef", &ca.name).await?;
            Some(found.bytes("spec.eventSink.caSecretRef.key", &ca.key)?)
        }
    };
    Ok(Some(SinkConfig {
        url: sink.url.clone(),
        secrets: signing,
        ca_pem,
        timeout: Duration::from_secs(u64::try_from(sink.timeout_seconds).unwrap_or(10)),
    }))
}

/// The names of the Secrets that an event sink uses.
pub fn sink_secrets(connection: &TaranaConnection) -> Vec<&str> {
    let sink = connection.spec.event_sink.as_ref();
    let signing = sink.and_then(|sink| Some(sink.signing_secret_ref.as_ref()?.name.as_str()));
    let ca = sink.and_then(|sink| Some(sink.ca_secret_ref.as_ref()?.name.as_str()));
    signing.into_iter().chain(ca).collect()
}

/// Reads all Secrets of a connection.
pub(super) async fn read_inputs(client: &Client, connection: &TaranaConnection) -> Result<Inputs, Fault> {
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

/// The part of a fingerprint that identifies the version of one Secret.
pub(super) fn secret_version(uid: Option<&str>, resource_version: Option<&str>) -> String {
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

/// A Secret and its name for messages.
struct NamedSecret {
    secret: Secret,
    name: String,
}

impl Secrets {
    async fn get(&self, field: &str, name: &str) -> Result<NamedSecret, Fault> {
        match self.api.get_opt(name).await {
            Ok(Some(secret)) => Ok(NamedSecret {
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

impl NamedSecret {
    fn version(&self) -> String {
        let meta = &self.secret.metadata;
        secret_version(meta.uid.as_deref(), meta.resource_version.as_deref())
    }

    /// The URL of the database and the CA that issued its certificate.
    fn database(&self, names: &DatabaseRef) -> Result<(String, Option<Vec<u8>>), Fault> {
        let url = self.text("spec.database.secretRef.urlKey", &names.url_key)?;
        let ca = names
            .ca_key
            .as_ref()
            .map(|key| self.bytes("spec.database.secretRef.caKey", key));
        Ok((url, ca.transpose()?))
    }

    fn has(&self, key: &str) -> bool {
        self.secret
            .data
            .as_ref()
            .is_some_and(|data| data.contains_key(key))
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
            // `echo` appends a newline, which is not part of the value.
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|_| {
                Fault::new(
                    Reason::InvalidConfiguration,
                    format!("key {key} of Secret {} is not UTF-8 text: replace it", self.name),
                )
            })
    }
}
