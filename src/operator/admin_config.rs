//! The configuration of the admin API according to the flags.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::admin::{
    AllowedOrigins, AuthConfig, Config, Defaults, InvalidMapTiles, InvalidOrigin, InvalidPublicUrl,
    InvalidSessionKey, InvalidSupabaseConfig, KubernetesConfig, MapTiles, PublicUrl, Role, SessionConfig,
    SessionKey, SupabaseConfig, Tls,
};
use crate::cli::{self, AuthMode};
use crate::webhook::AddressPolicy;

/// Audience of the token of a Supabase user who has logged in.
const DEFAULT_SUPABASE_AUDIENCE: &str = "authenticated";

/// Why the flags of the admin API are rejected.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAdminFlags {
    /// `--admin-listen` or `--metrics-listen` is not an address.
    #[error(
        "{flag} {text:?} is not an address: write for example [::]:8080 or 127.0.0.1:8080, or leave it empty to serve nothing"
    )]
    Address {
        /// The flag.
        flag: &'static str,
        /// Its value.
        text: String,
    },
    /// Supabase without its URL.
    #[error(
        "--admin-auth supabase needs --supabase-url: the URL of the project, for example https://abcd.supabase.co"
    )]
    NoSupabaseUrl,
    /// A flag of Supabase, which is not enabled.
    #[error("{0} has no effect without --admin-auth supabase: add that, or remove {0}")]
    SupabaseDisabled(&'static str),
    /// A file with a secret cannot be read.
    #[error("{flag} {}: {source}", file.display())]
    SecretFile {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        file: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A flag of Supabase has an invalid value.
    #[error(transparent)]
    Supabase(#[from] InvalidSupabaseConfig),
    /// The key of session cookies is invalid.
    #[error(transparent)]
    SessionKey(#[from] InvalidSessionKey),
    /// `--admin-public-url` is invalid.
    #[error(transparent)]
    PublicUrl(#[from] InvalidPublicUrl),
    /// `--map-tile-url`, `--map-tile-file` or `--map-attribution` is invalid.
    #[error(transparent)]
    MapTiles(#[from] InvalidMapTiles),
    /// `--admin-cors-origin` is invalid.
    #[error(transparent)]
    Origin(#[from] InvalidOrigin),
}

/// The listen address that a flag names; `None` if it is empty.
pub(super) fn listen_address(
    flag: &'static str,
    text: &str,
) -> Result<Option<SocketAddr>, InvalidAdminFlags> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let address = text.parse().map_err(|_| InvalidAdminFlags::Address {
        flag,
        text: text.to_owned(),
    })?;
    Ok(Some(address))
}

/// The configuration; `None` if the API is not served. `namespace` is the default namespace of requests, `own` that of the operator's objects.
pub(super) fn from_flags(
    flags: &cli::Admin,
    (namespace, own): (&str, &str),
    sink_addresses: AddressPolicy,
) -> Result<Option<Config>, InvalidAdminFlags> {
    let Some(listen) = listen_address("--admin-listen", &flags.listen)? else {
        return Ok(None);
    };
    let tls = flags.tls_certificate.clone().zip(flags.tls_key.clone());
    let kubernetes = flags
        .auth
        .contains(&AuthMode::Kubernetes)
        .then(|| KubernetesConfig {
            audience: Some(flags.token_audience.clone()).filter(|audience| !audience.is_empty()),
        });
    Ok(Some(Config {
        listen,
        sink_addresses,
        auth: AuthConfig {
            kubernetes,
            supabase: supabase(flags)?,
            sessions: sessions(flags, own)?,
        },
        tls: tls.map(|(certificate, key)| Tls { certificate, key }),
        defaults: Defaults {
            namespace: flags.namespace.clone().unwrap_or_else(|| namespace.to_owned()),
            connection: flags.connection.clone(),
        },
        public_url: public_url(flags)?,
        map_tiles: MapTiles::from_flags(
            &flags.map_tile_url,
            non_empty(flags.map_tile_file.as_ref()).map(PathBuf::as_path),
            &flags.map_attribution,
        )?,
        allowed_origins: allowed_origins(flags)?,
    }))
}

/// The value of a flag. An empty environment variable counts as none.
fn non_empty<T: AsRef<OsStr>>(value: Option<&T>) -> Option<&T> {
    value.filter(|value| !(*value).as_ref().is_empty())
}

fn public_url(flags: &cli::Admin) -> Result<PublicUrl, InvalidPublicUrl> {
    match non_empty(flags.public_url.as_ref()) {
        Some(url) => PublicUrl::parse(url),
        None => Ok(PublicUrl::default()),
    }
}

fn allowed_origins(flags: &cli::Admin) -> Result<AllowedOrigins, InvalidOrigin> {
    let origins = flags.cors_origins.iter().filter(|origin| !origin.is_empty());
    AllowedOrigins::parse(&origins.cloned().collect::<Vec<_>>())
}

fn supabase(flags: &cli::Admin) -> Result<Option<SupabaseConfig>, InvalidAdminFlags> {
    let cli::Supabase { audience, role, .. } = &flags.supabase;
    let url = non_empty(flags.supabase.url.as_ref());
    let secret_file = non_empty(flags.supabase.jwt_secret_file.as_ref());
    if !flags.auth.contains(&AuthMode::Supabase) {
        let set = [
            ("--supabase-url", url.is_some()),
            ("--supabase-jwt-secret-file", secret_file.is_some()),
            ("--supabase-audience", audience.is_some()),
            ("--supabase-role", role.is_some()),
        ];
        return match set.into_iter().find(|(_, is_set)| *is_set) {
            Some((flag, _)) => Err(InvalidAdminFlags::SupabaseDisabled(flag)),
            None => Ok(None),
        };
    }
    let url = url.ok_or(InvalidAdminFlags::NoSupabaseUrl)?;
    let secret = secret_file
        .map(|file| read_secret("--supabase-jwt-secret-file", file))
        .transpose()?;
    let audience = audience.as_deref().unwrap_or(DEFAULT_SUPABASE_AUDIENCE);
    let role = role.unwrap_or(Role::Viewer);
    Ok(Some(SupabaseConfig::new(url, secret.as_deref(), audience, role)?))
}

fn sessions(flags: &cli::Admin, namespace: &str) -> Result<Option<SessionConfig>, InvalidAdminFlags> {
    let Some(file) = non_empty(flags.session_key_file.as_ref()) else {
        return Ok(None);
    };
    let key = SessionKey::new(&read_secret("--admin-session-key-file", file)?)?;
    Ok(Some(SessionConfig {
        key,
        namespace: namespace.to_owned(),
    }))
}

fn read_secret(flag: &'static str, file: &Path) -> Result<Vec<u8>, InvalidAdminFlags> {
    std::fs::read(file).map_err(|source| InvalidAdminFlags::SecretFile {
        flag,
        file: file.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn config(flags: &[&str]) -> Result<Option<Config>, String> {
        let arguments = ["tarana-operator", "run"].iter().chain(flags);
        let cli = Cli::try_parse_from(arguments).map_err(|e| e.to_string())?;
        let Command::Run(run) = cli.command else { panic!() };
        from_flags(&run.admin, ("home", "own"), AddressPolicy::default()).map_err(|e| e.to_string())
    }

    #[test]
    fn kubernetes_is_the_default_and_both_can_be_enabled() {
        let url = "--supabase-url=https://a.supabase.co";
        for (flags, kubernetes, supabase) in [
            (&[][..], true, false),
            (&["--admin-auth=kubernetes"], true, false),
            (&["--admin-auth=supabase", url], false, true),
            (&["--admin-auth=kubernetes,supabase", url], true, true),
            (
                &["--admin-auth=supabase", "--admin-auth=kubernetes", url],
                true,
                true,
            ),
        ] {
            let auth = config(flags).unwrap().unwrap().auth;
            let enabled = (auth.kubernetes.is_some(), auth.supabase.is_some());
            assert_eq!(enabled, (kubernetes, supabase), "{flags:?}");
        }
        assert!(config(&["--admin-listen="]).unwrap().is_none());
        let empty = config(&["--admin-public-url=", "--admin-cors-origin="])
            .unwrap()
            .unwrap();
        assert_eq!(empty.public_url, PublicUrl::default());
        assert_eq!(empty.allowed_origins, AllowedOrigins::default());
    }

    #[test]
    fn missing_and_contradictory_flags_are_named() {
        let supabase = "--admin-auth=supabase";
        let url = "--supabase-url=https://a.supabase.co";
        for (flags, part) in [
            (&["--admin-listen=here"][..], "--admin-listen"),
            (&["--map-tile-url=https://a.org/{z}/{x}/{y}"], "--map-attribution"),
            (
                &["--map-tile-url=https://a.org", "--map-attribution=A"],
                "--map-tile-url",
            ),
            (
                &["--map-tile-file=/dev/null", "--map-attribution=A"],
                "--map-tile-file /dev/null",
            ),
            (&["--admin-auth=none"], "--admin-auth"),
            (&["--admin-auth="], "--admin-auth"),
            (&[supabase], "--supabase-url"),
            (&[supabase, "--supabase-url="], "--supabase-url"),
            (&[supabase, "--supabase-url=http://example.org"], "--supabase-url"),
            (&[supabase, url, "--supabase-role=owner"], "--supabase-role"),
            (&[supabase, url, "--supabase-audience="], "--supabase-audience"),
            (
                &[supabase, url, "--supabase-jwt-secret-file=/nowhere/secret"],
                "--supabase-jwt-secret-file /nowhere/secret",
            ),
            (
                &[supabase, url, "--supabase-jwt-secret-file=/dev/null"],
                "--supabase-jwt-secret-file",
            ),
            (&[url], "--supabase-url"),
            (&["--supabase-jwt-secret-file=/x"], "--supabase-jwt-secret-file"),
            (&["--supabase-audience=a"], "--supabase-audience"),
            (&["--supabase-role=viewer"], "--supabase-role"),
            (&["--admin-public-url=here"], "--admin-public-url"),
            (&["--admin-cors-origin=*"], "--admin-cors-origin"),
        ] {
            let message = config(flags)
                .err()
                .unwrap_or_else(|| panic!("{flags:?} is accepted"));
            assert!(message.contains(part), "{flags:?}: {message}");
        }
    }
}
