use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use proptest::prelude::*;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::parameters::TlsMode;
use super::url::{self, DatabaseUrl};
use super::{Config, Parsed, parse};
use crate::fault::{Fault, Reason};

fn config(url: &str) -> Config {
    Config {
        url: url.into(),
        ca_pem: None,
        schema: "public".into(),
        migrate: true,
    }
}

fn accepted(text: &str) -> DatabaseUrl {
    url::parse(text).unwrap_or_else(|rejected| panic!("{text} {}", rejected.why))
}

/// The fault for a URL, which must contain no `hunter2`.
fn fault(url: &str) -> Fault {
    let fault = parse(&config(url)).map(|_| url).unwrap_err();
    assert_eq!(fault.reason, Reason::InvalidConfiguration);
    assert!(
        fault.message.contains("spec.database.secretRef.urlKey"),
        "{url}: {fault}"
    );
    assert!(!fault.message.contains("hunter2"), "{url}: {fault}");
    fault
}

/// URL, host, port, user, password and database.
type Meaning = (
    &'static str,
    &'static str,
    u16,
    &'static str,
    &'static str,
    &'static str,
);

const MEANINGS: &[Meaning] = &[
    ("postgres://u:p@h:6432/d", "h", 6432, "u", "p", "d"),
    (
        "postgresql://u@db.example.com/d",
        "db.example.com",
        5432,
        "u",
        "",
        "d",
    ),
    ("postgres://u:@h:/d?", "h", 5432, "u", "", "d"),
    (
        "postgres://u%40x:p%2F%3a%23@10.0.0.1/d%20e",
        "10.0.0.1",
        5432,
        "u@x",
        "p/:#",
        "d e",
    ),
    ("postgres://u@server:p:q@h/d", "h", 5432, "u@server", "p:q", "d"),
    ("postgres://u:se@cr et[]@h/d", "h", 5432, "u", "se@cr et[]", "d"),
    ("postgres://u:größe@h/d", "h", 5432, "u", "größe", "d"),
    (
        "postgres://u:p@h/d?password=q&user=v&port=1&dbname=e%2Ff",
        "h",
        1,
        "v",
        "q",
        "e/f",
    ),
    ("postgres://u:p@h/d?host=i", "i", 5432, "u", "p", "d"),
    (
        "postgres://u:p@h/d?pgbouncer=true&connection_limit=1&schema=x&connect_timeout",
        "h",
        5432,
        "u",
        "p",
        "d",
    ),
    ("postgres://h/d?user=u", "h", 5432, "u", "", "d"),
];

#[test]
fn urls_mean_what_they_mean_to_the_driver() {
    for &(text, host, port, user, password, database) in MEANINGS {
        let url = accepted(text);
        assert_eq!(
            (url.host.display_name().as_str(), url.port, url.user.as_str()),
            (host, port, user),
            "{text}"
        );
        assert_eq!(
            (url.password.as_str(), url.database.as_str()),
            (password, database),
            "{text}"
        );
        let driver: PgConnectOptions = text.parse().unwrap();
        assert_eq!(
            (
                driver.get_host(),
                driver.get_port(),
                driver.get_username(),
                driver.get_database()
            ),
            (host, port, user, Some(database)),
            "{text}"
        );
    }
}

#[test]
fn sockets_addresses_and_options_reach_the_driver() {
    let options = |url: &str| {
        let parsed = parse(&config(url)).unwrap();
        (parsed.options, parsed.target)
    };
    for url in [
        "postgres://u:p@localhost/d?host=/var/run/x",
        "postgres://u:p@/d?host=%2Fvar%2Frun%2Fx",
        "postgres://u:p@%2Fvar%2Frun%2Fx/d",
    ] {
        let (driver, target) = options(url);
        assert_eq!(driver.get_socket().unwrap().to_str(), Some("/var/run/x"), "{url}");
        assert_eq!(target.display_name(), "database \"d\" at /var/run/x:5432");
    }
    let (driver, target) = options("postgres://u:p@[::1]:6432/d");
    assert_eq!(driver.get_host(), "::1");
    assert_eq!(target.display_name(), "database \"d\" at [::1]:6432");
    let (driver, _) = options("postgres://u:p@h/d?hostaddr=10.0.0.1&host=x");
    assert_eq!(driver.get_host(), "10.0.0.1");
    let (driver, _) = options("postgres://u:p@h/d?application_name=x&options=reference%3Dabc+-c%20a=b");
    assert_eq!(driver.get_options(), Some("reference=abc -c a=b"));
    assert_eq!(driver.get_application_name(), Some("tarana-operator"));
    assert_eq!(driver.get_username(), "u");
}

#[test]
fn an_invalid_or_ambiguous_url_is_named_by_its_key_and_not_shown() {
    for (url, why) in [
        ("", "does not begin with"),
        ("hunter2", "does not begin with"),
        ("mysql://u:hunter2@h/d", "does not begin with"),
        ("postgres://u:hunter2@h:99999/d", "invalid port"),
        ("postgres://u:hunter2@h:0/d", "invalid port"),
        ("postgres://u:hunter2@h:+1/d", "invalid port"),
        ("postgres://u:hunter2@h", "names no database"),
        ("postgres://u:hunter2@h/", "names no database"),
        ("postgres://u:hunter2@/d", "names no host"),
        ("postgres://hunter2/d", "names no user"),
        ("postgres://:hunter2@h/d", "names no user"),
        ("postgres://user:hunter2/d", "invalid port"),
        ("postgres://user:12/se@hunter2@host:5432/db", "an @ after a /"),
        ("postgres://user:12/hunter2?@host:5432/db", "an @ after a /"),
        ("postgres://user:12?dbname=hunter2@host/db", "an @ after a /"),
        ("postgres://u:12/d@hunter2", "an @ after a /"),
        ("postgres://u:12@h/d?password=hunter2@x", "an @ after a /"),
        ("postgres://u:pa#hunter2@h/d", "contains a #"),
        ("postgres://u:p@h/d#hunter2", "contains a #"),
        ("postgres://u:hunter2%zz@h/d", "has a %"),
        ("postgres://u:hunter2%@h/d", "has a %"),
        ("postgres://u:hunter2%ff@h/d", "not UTF-8"),
        ("postgres://u:hunter2%00@h/d", "not UTF-8"),
        ("postgres://u:hun\nter2@h/d", "line break"),
        ("postgres://u:hun\tter2@h/d", "line break"),
        ("postgres://u:p@h/d/hunter2", "more than one /"),
        ("postgres://u:p@h/d/", "more than one /"),
        ("postgres://u:p@h,hunter2/d", "several hosts"),
        ("postgres://u:p@h:1,hunter2:2/d", "invalid port"),
        ("postgres://u:p@h/d?host=h,hunter2", "several hosts"),
        ("postgres://u:p@hunter2 x/d", "invalid host"),
        ("postgres://u:p@[hunter2]/d", "invalid address"),
        ("postgres://u:p@[::1]hunter2/d", "invalid host"),
        ("postgres://u:p@h/d?hostaddr=hunter2", "invalid host"),
        ("postgres://u@h/d?password=hunter2+x", "has a + in password"),
        (
            "postgres://u@h/d?password=x&password=hunter2",
            "sets password more than once",
        ),
        (
            "postgres://u@h/d?password=x&ssl-hunter2=y",
            "a parameter with ssl in its name",
        ),
    ] {
        let fault = fault(url);
        assert!(fault.message.contains(why), "{url}: {fault} instead of {why}");
        assert!(
            fault.message.contains("%40") || fault.message.contains("caKey"),
            "{url}: {fault}"
        );
    }
}

const UNSUPPORTED: &str = "
    sslrootcert ssl-mode ssl_mode ssl-root-cert ssl-ca sslcert ssl-cert sslkey ssl-key sslcrl sslcrldir sslpassword
    sslnegotiation sslsni sslcertmode sslcompression channel_binding gssencmode gsslib krbsrvname requiressl requirepeer ssl tls
    require_auth ssl_min_protocol_version ssl_max_protocol_version sslaccept passfile service";

const HARMLESS: &str = "
    pgbouncer=true connection_limit=5 schema=x connect_timeout=3 target_session_attrs=read-write application_name=x
    statement_cache_size=0 keepalives_idle=1 load_balance_hosts=random client_encoding=UTF8 currentSchema=x prepareThreshold=0
    pool_timeout=1 reWriteBatchedInserts=true unknown=%zz";

#[test]
fn unsupported_parameters_about_tls_or_authentication_are_rejected_by_name() {
    for name in UNSUPPORTED.split_whitespace() {
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
        for written in [name.to_owned(), name.to_uppercase(), encoded] {
            let fault = fault(&format!("postgres://u:p@h/d?pgbouncer=true&{written}=hunter2"));
            assert!(fault.message.contains(&format!("sets {name}, which")), "{fault}");
            assert!(
                fault.message.contains("sslmode") && fault.message.contains("caKey"),
                "{fault}"
            );
        }
    }
    // Others of their families, which need not be parameters: they are not shown.
    for name in
        "sslhunter2 x-tls oauth_issuer root.cert Krb5 scram_client_key gss_x requireX".split_whitespace()
    {
        let fault = fault(&format!("postgres://u:p@h/d?{name}=hunter2"));
        assert!(!fault.message.contains(name), "{fault}");
    }
    for harmless in HARMLESS.split_whitespace() {
        let url = accepted(&format!("postgres://u@h/d?{harmless}"));
        assert_eq!(url.tls, TlsMode::Prefer, "{harmless}");
    }
}

#[test]
fn sslmode_is_set_once_to_a_known_value() {
    for (parameters, why) in [
        ("sslmode=require&sslmode=require", "sets sslmode more than once"),
        (
            "sslmode=disable&x=y&ssl%6dode=require",
            "sets sslmode more than once",
        ),
        ("sslmode=hunter2", "unknown value"),
        ("sslmode=Require", "unknown value"),
        ("sslmode=", "unknown value"),
        ("sslmode", "unknown value"),
        ("SSLMODE=require", "capital letters"),
    ] {
        let fault = fault(&format!("postgres://u:p@h/d?{parameters}"));
        assert!(fault.message.contains(why), "{parameters}: {fault}");
        assert!(fault.message.contains("verify-full"), "{parameters}: {fault}");
    }
    for (value, mode) in [
        ("disable", TlsMode::Disable),
        ("allow", TlsMode::Allow),
        ("prefer", TlsMode::Prefer),
        ("require", TlsMode::Require),
        ("verify-ca", TlsMode::VerifyCa),
        ("verify-full", TlsMode::VerifyFull),
    ] {
        let url = format!("postgres://u@h/d?sslmode={value}");
        assert_eq!(accepted(&url).tls, mode);
        let driver = parse(&config(&url)).unwrap().options;
        let expected: PgSslMode = value.parse().unwrap();
        assert_eq!(format!("{:?}", driver.get_ssl_mode()), format!("{expected:?}"));
    }
}

#[test]
fn reserved_schemas_are_rejected() {
    for name in ["", "pg_temp", "pg_catalog", "$user", "a\0b"] {
        let config = Config {
            schema: name.into(),
            ..config("postgres://u:hunter2@h/d")
        };
        let fault = parse(&config).map(|_| name).unwrap_err();
        assert_eq!(fault.reason, Reason::InvalidConfiguration);
        assert!(fault.message.contains("spec.database.schema"), "{fault}");
    }
}

#[test]
fn debug_omits_the_password() {
    assert!(!format!("{:?}", config("postgres://u:hunter2@h/d")).contains("hunter2"));
}

/// Passwords of the characters that have a meaning in a URL, and of some that occur in no message, also as part of an escape.
fn password() -> impl Strategy<Value = String> {
    "([XZQ\u{00fc}]|[-A0189@:/?#%&+=;!. \\[\\]\\\\~]|%[014][0-9A]|@X:1/Z){0,24}"
}

/// No message contains four characters of it in sequence.
fn assert_no_piece(text: &str, password: &str) -> Result<(), TestCaseError> {
    let characters: Vec<char> = password.chars().collect();
    for piece in characters.windows(4) {
        let piece: String = piece.iter().collect();
        prop_assert!(!text.contains(&piece), "{text:?} contains {piece:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn an_unescaped_password_is_understood_or_not_shown(password in password()) {
        let text = format!("postgres://user:{password}@db.example:5432/towers");
        match parse(&config(&text)) {
            Err(fault) => assert_no_piece(&fault.message, &password)?,
            Ok(Parsed { options, target, .. }) => {
                assert_no_piece(&target.display_name(), &password)?;
                prop_assert_eq!(target.display_name(), "database \"towers\" at db.example:5432");
                prop_assert_eq!(options.get_username(), "user");
                // Without an escape this is the password itself.
                let meant = percent_decode_str(&password).decode_utf8().unwrap().into_owned();
                prop_assert_eq!(accepted(&text).password, meant);
            }
        }
    }

    #[test]
    fn an_unescaped_password_in_a_parameter_is_not_shown(password in password()) {
        let text = format!("postgres://user@db.example/towers?password={password}&sslmode=require");
        match parse(&config(&text)) {
            Err(fault) => assert_no_piece(&fault.message, &password)?,
            Ok(Parsed { target, .. }) => {
                prop_assert_eq!(target.display_name(), "database \"towers\" at db.example:5432");
                prop_assert!(accepted(&text).tls == TlsMode::Require);
            }
        }
    }

    #[test]
    fn an_escaped_password_is_understood(password in "[^\0]{0,24}") {
        let escaped = utf8_percent_encode(&password, NON_ALPHANUMERIC).to_string();
        for text in [
            format!("postgres://user:{escaped}@db.example/towers"),
            format!("postgres://user@db.example/towers?password={escaped}"),
        ] {
            prop_assert_eq!(&accepted(&text).password, &password);
        }
    }

    #[test]
    fn no_url_panics(text in ".{0,60}", scheme in "postgres(ql)?://|") {
        let _ = parse(&config(&format!("{scheme}{text}")));
    }
}
