//! Pure: the parameters of a database URL. No part of the URL appears in an error.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Why a URL is rejected, and what to do.
pub(super) struct Rejected {
    /// Continues "the URL".
    pub why: String,
    pub remedy: &'static str,
}

const FORM: &str = "it must read postgres://user:password@host:5432/database, with each special character of user and \
                    password percent-encoded (\"%40\" for @)";
const TLS: &str = "TLS is controlled only by sslmode (disable, allow, prefer, require, verify-ca or verify-full, once and in small \
                   letters) and by spec.database.secretRef.caKey, the key of the CA certificates";

/// A URL of another form.
pub(super) fn rejected(why: impl Into<String>) -> Rejected {
    Rejected {
        why: why.into(),
        remedy: FORM,
    }
}

/// Parameters that are used.
const KNOWN: [&str; 8] = [
    "sslmode", "host", "hostaddr", "port", "dbname", "user", "password", "options",
];

/// Parameters of libpq and other drivers that would change whether or how TLS or authentication is checked: the names that a
/// message may show. All others of a family are rejected as well.
const UNSUPPORTED: &[&str] = &[
    "channel_binding",
    "channelbinding",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "krbsrvname",
    "passfile",
    "require_auth",
    "requirepeer",
    "requiressl",
    "service",
    "servicefile",
    "ssl",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "ssl_mode",
    "sslaccept",
    "sslca",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslfactory",
    "sslidentity",
    "sslkey",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "tls",
    "trustservercertificate",
    "usessl",
];

/// A parameter belongs to a family if its name contains one of these, apart from punctuation and case.
const FAMILIES: [&str; 12] = [
    "channelbinding",
    "ssl",
    "tls",
    "gss",
    "krb",
    "kerberos",
    "cert",
    "encrypt",
    "scram",
    "sasl",
    "auth",
    "require",
];

/// The known parameters of a URL, decoded.
pub(super) struct Parameters(BTreeMap<&'static str, String>);

impl Parameters {
    /// Parses the part of a URL after the first `?`.
    pub fn parse(query: &str) -> Result<Self, Rejected> {
        let mut known = BTreeMap::new();
        for parameter in query.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let name = decode(name)?;
            let Some(name) = KNOWN.into_iter().find(|known| *known == name) else {
                reject_unsupported(&name)?;
                continue;
            };
            if known.insert(name, decode_value(name, value)?).is_some() {
                return Err(Rejected {
                    why: format!("sets {name} more than once"),
                    remedy: if name == "sslmode" { TLS } else { FORM },
                });
            }
        }
        Ok(Self(known))
    }

    /// The value of a known parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The TLS mode.
    pub fn tls_mode(&self) -> Result<TlsMode, Rejected> {
        Ok(match self.get("sslmode") {
            Some("disable") => TlsMode::Disable,
            Some("allow") => TlsMode::Allow,
            None | Some("prefer") => TlsMode::Prefer,
            Some("require") => TlsMode::Require,
            Some("verify-ca") => TlsMode::VerifyCa,
            Some("verify-full") => TlsMode::VerifyFull,
            Some(_) => {
                return Err(Rejected {
                    why: "sets sslmode to an unknown value".into(),
                    remedy: TLS,
                });
            }
        })
    }
}

/// The values of `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TlsMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// libpq reads `+` as a plus and other drivers as a space. Only `options` needs spaces.
fn decode_value(name: &str, value: &str) -> Result<String, Rejected> {
    match name {
        "options" => decode(&value.replace('+', " ")),
        _ if value.contains('+') => Err(rejected(format!(
            "has a + in {name}, which may be a plus (%2B) or a space (%20)"
        ))),
        _ => decode(value),
    }
}

/// The name is shown only if it is one of ours: it may be a piece of a password.
fn reject_unsupported(name: &str) -> Result<(), Rejected> {
    let name = name.to_ascii_lowercase();
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let listed = UNSUPPORTED.iter().find(|unsupported| **unsupported == name);
    let family = FAMILIES.iter().find(|family| letters.contains(**family));
    let why = match (listed, family) {
        _ if name == "sslmode" => "writes sslmode in capital letters".to_owned(),
        (Some(name), _) => format!("sets {name}, which is not supported"),
        (None, Some(family)) => format!("sets a parameter with {family} in its name, which is not supported"),
        (None, None) => return Ok(()),
    };
    Err(Rejected { why, remedy: TLS })
}

/// Percent-decodes a part of the URL.
pub(super) fn decode(text: &str) -> Result<String, Rejected> {
    let escaped = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(escaped) {
        return Err(rejected("has a % that is not followed by two hexadecimal digits"));
    }
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) if !decoded.contains('\0') => Ok(decoded.into_owned()),
        _ => Err(rejected("has an escape that is not UTF-8 text")),
    }
}
