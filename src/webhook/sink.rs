//! Delivers events to the sink of a connection.
//!
//! No message contains the path or query of the URL, which may have a token, a secret, or the text of a response.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url, redirect};

use super::address::AddressPolicy;
use super::event::Event;
use super::resolver::{ForbiddenAddress, GuardedResolver};
use super::signature::{SigningKey, signatures};
use crate::fault::{Fault, Reason};
use crate::tls;

/// Bounds connecting, whatever the timeout of the whole request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest `Retry-After` that is respected.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// `spec.eventSink` of a connection, with the content of its Secrets.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// `url`.
    pub url: String,
    /// From the Secret of `signingSecretRef`: the present secret, and the previous one if there is one.
    pub secrets: Vec<String>,
    /// From the Secret of `caSecretRef`: PEM. If set, only these are trusted; otherwise the system's roots.
    pub ca_pem: Option<Vec<u8>>,
    /// `timeoutSeconds`: until the status of the response.
    pub timeout: Duration,
}

/// The sink of a connection.
#[derive(Clone, Debug)]
pub struct Sink {
    http: reqwest::Client,
    url: Url,
    /// Host and port, for messages.
    address: String,
    keys: Vec<SigningKey>,
    policy: AddressPolicy,
    timeout: Duration,
}

/// Why an event was not delivered, for users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotDelivered {
    /// What happened, and what to do.
    pub message: String,
    /// The receiver asked to be called again after this time.
    pub retry_after: Option<Duration>,
}

impl From<String> for NotDelivered {
    fn from(message: String) -> Self {
        Self {
            message,
            retry_after: None,
        }
    }
}

impl Sink {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// `InvalidConfiguration`, naming the field.
    pub fn new(config: &SinkConfig, policy: &AddressPolicy) -> Result<Self, Fault> {
        let url = Url::parse(config.url.trim())
            .map_err(|error| invalid(format!("spec.eventSink.url is not a URL ({error})")))?;
        let policy = match url.scheme() {
            "https" => policy.clone(),
            "http" => policy.without_internet(),
            _ => return Err(invalid("spec.eventSink.url must begin with https://".to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            let message =
                "spec.eventSink.url must not contain a user or a password: sign events with signingSecretRef";
            return Err(invalid(message.to_owned()));
        }
        let keys = config.secrets.iter().map(|secret| SigningKey::parse(secret));
        let keys = keys.collect::<Result<_, _>>().map_err(|why| {
            invalid(format!(
                "the secret under spec.eventSink.signingSecretRef {why}: generate one, for example by echo whsec_$(openssl rand -base64 32)"
            ))
        })?;
        let address = format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        );
        Ok(Self {
            http: client(config, &policy)?,
            url,
            address,
            keys,
            policy,
            timeout: config.timeout,
        })
    }

    /// Sends an event once. The receiver has it when it answers with a status of 200 to 299.
    ///
    /// # Errors
    /// Why it may not have it.
    pub async fn deliver(&self, event: &Event, now: Timestamp) -> Result<(), NotDelivered> {
        // The resolver is not asked for an address.
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if host
            .parse()
            .is_ok_and(|address: IpAddr| !self.policy.permits(address))
        {
            return Err(self.forbidden().into());
        }
        let body = serde_json::to_vec(event).map_err(|_| "the event cannot be written as JSON".to_owned())?;
        let timestamp = now.as_second();
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, Event::MEDIA_TYPE)
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", timestamp.to_string());
        if !self.keys.is_empty() {
            request = request.header(
                "webhook-signature",
                signatures(&self.keys, &event.id, timestamp, &body),
            );
        }
        match request.body(body).send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(self.rejected(&response)),
            Err(error) => Err(self.failed(&error).into()),
        }
    }

    fn rejected(&self, response: &Response) -> NotDelivered {
        let (address, status) = (&self.address, response.status());
        let remedy = match status {
            status if status.is_redirection() => ", and redirects are not followed: name the final URL",
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ": check its credentials and signingSecretRef"
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => ": check spec.eventSink.url",
            _ => "",
        };
        let header = response.headers().get(RETRY_AFTER);
        let seconds = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        NotDelivered {
            message: format!("{address} answered {}{remedy}", status.as_u16()),
            retry_after: seconds.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER)),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> String {
        let address = &self.address;
        if is_forbidden(error) {
            return self.forbidden();
        }
        if error.is_timeout() {
            return format!("{address} did not answer within {} s", self.timeout.as_secs());
        }
        if error.is_connect() {
            return format!("no connection to {address}: check its name, port and certificate");
        }
        format!("the connection to {address} broke")
    }

    fn forbidden(&self) -> String {
        let address = &self.address;
        if self.url.scheme() == "http" {
            return format!(
                "{address} is called by plain http, which is permitted only within --sink-allow-cidr: use https"
            );
        }
        format!(
            "{address} is not on the public internet: permit its network with --sink-allow-cidr, if events may be sent there"
        )
    }
}

/// Whether the resolver has found no permitted address.
fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<ForbiddenAddress>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn client(config: &SinkConfig, policy: &AddressPolicy) -> Result<reqwest::Client, Fault> {
    let tls = tls::with_roots_of("spec.eventSink.caSecretRef", config.ca_pem.as_deref()).map_err(invalid)?;
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("tarana-operator/", env!("CARGO_PKG_VERSION")))
        // A redirect could lead to a forbidden address, and a proxy would resolve the name itself.
        .redirect(redirect::Policy::none())
        .no_proxy()
        // Answers are short, and not read whole.
        .no_gzip()
        .dns_resolver(Arc::new(GuardedResolver(policy.clone())))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(config.timeout);
    builder
        .build()
        .map_err(|_| invalid("the HTTP client cannot be set up".to_owned()))
}

fn invalid(message: String) -> Fault {
    Fault::new(Reason::InvalidConfiguration, message)
}
