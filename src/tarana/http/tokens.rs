//! The tokens of a session, from the cookies or the body of a login or refresh.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::parse_object;
use crate::tarana::scalar;

/// Assumed where the answer has no usable lifetime.
const DEFAULT_LIFETIME: Duration = Duration::from_hours(1);
/// Longest token, in bytes: of two, a cookie header still fits into what servers accept.
const MAX_TOKEN: usize = 64 * 1024;
const MAX_LIFETIME_SECONDS: i64 = 24 * 3600;

/// The four parts of a session. `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    id: String,
    access: String,
    refresh: Option<String>,
    user: Option<String>,
    /// How long the tokens are valid after the login.
    pub(crate) lifetime: Duration,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    id_token: Option<&'a RawValue>,
    #[serde(borrow)]
    access_token: Option<&'a RawValue>,
    #[serde(borrow)]
    refresh_token: Option<&'a RawValue>,
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    expiry_time_seconds: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow, rename = "custom:operatorId")]
    operator: Option<&'a RawValue>,
}

impl Tokens {
    /// Parses the answer of a login or refresh. `None` if it lacks the id token or the access token.
    pub(crate) fn parse(headers: &HeaderMap, data: &RawValue) -> Option<Self> {
        let body: Body<'_> = parse_object(data.get()).unwrap_or_default();
        let value = |name: &str, raw: Option<&RawValue>| cookie(headers, name).or_else(|| body_value(raw));
        Some(Self {
            id: value("idToken", body.id_token)?,
            access: value("accessToken", body.access_token)?,
            refresh: value("refreshToken", body.refresh_token),
            user: value("userId", body.user_id),
            lifetime: body
                .expiry_time_seconds
                .map_or(DEFAULT_LIFETIME, |raw| lifetime(raw.get())),
        })
    }

    /// Takes the parts from `old` that the answer to a refresh did not repeat.
    #[must_use]
    pub(super) fn inherit_from(mut self, old: &Self) -> Self {
        self.refresh = self.refresh.or_else(|| old.refresh.clone());
        self.user = self.user.or_else(|| old.user.clone());
        self
    }

    /// The Cookie header of a call.
    pub(crate) fn call_cookie(&self) -> Option<HeaderValue> {
        sensitive(&format!("idToken={}; accessToken={}", self.id, self.access))
    }

    /// The Cookie header of a refresh, if there is a refresh token.
    pub(crate) fn refresh_cookie(&self) -> Option<HeaderValue> {
        let refresh = self.refresh.as_ref()?;
        let user = self
            .user
            .as_ref()
            .map(|user| format!("; userId={user}"))
            .unwrap_or_default();
        sensitive(&format!(
            "idToken={}; accessToken={}; refreshToken={refresh}{user}",
            self.id, self.access
        ))
    }

    /// The claim `custom:operatorId`. The token is not verified: TCS sent it over TLS and gets it back.
    pub(crate) fn operator_id(&self) -> Option<i64> {
        let payload = self.id.split('.').nth(1)?;
        let json = String::from_utf8(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()?;
        let claims: Claims<'_> = parse_object(&json).ok()?;
        scalar::integer(claims.operator?.get())
    }
}

/// The value of a cookie that the answer sets. An empty value deletes the cookie, so it counts as none.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let set = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut values = set.filter_map(|line| {
        let (key, value) = line.split(';').next()?.split_once('=')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    values.next_back().filter(|value| is_sendable(value))
}

/// Tokens are longer than names may be. An id may be a number.
fn body_value(raw: Option<&RawValue>) -> Option<String> {
    let raw = raw?.get();
    let text = if raw.starts_with('"') {
        serde_json::from_str(raw).ok()?
    } else {
        scalar::name(raw).ok()??.into_owned()
    };
    (is_sendable(&text) && text.len() <= MAX_TOKEN).then_some(text)
}

/// Whether a Cookie header can hold the value without splitting it.
fn is_sendable(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b';' && b != b',')
}

fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn lifetime(raw: &str) -> Duration {
    match scalar::integer(raw) {
        Some(seconds @ 1..=MAX_LIFETIME_SECONDS) => Duration::from_secs(seconds.unsigned_abs()),
        _ => DEFAULT_LIFETIME,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;
    use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
    use serde_json::value::RawValue;

    use super::{Tokens, URL_SAFE_NO_PAD};

    fn read(cookies: &[&'static str], body: &str) -> Option<Tokens> {
        let cookies = cookies.iter().map(|c| (SET_COOKIE, HeaderValue::from_static(c)));
        Tokens::parse(
            &cookies.collect::<HeaderMap>(),
            &RawValue::from_string(body.into()).unwrap(),
        )
    }

    fn call(tokens: Option<Tokens>) -> Option<String> {
        Some(tokens?.call_cookie()?.to_str().ok()?.to_owned())
    }

    #[test]
    fn tokens_come_from_cookies_or_body() {
        let both = Some("idToken=i; accessToken=a".to_owned());
        assert_eq!(
            call(read(&["idToken=i; Path=/; HttpOnly", " accessToken = a "], "{}")),
            both
        );
        assert_eq!(call(read(&[], r#"{"idToken":"i","accessToken":"a"}"#)), both);
        assert_eq!(
            call(read(&["idToken=i"], r#"{"idToken":"other","accessToken":"a"}"#)),
            both
        );
        assert_eq!(
            call(read(
                &["idToken=; Max-Age=0"],
                r#"{"idToken":"i","accessToken":"a"}"#
            )),
            both
        );
        for challenge in [
            "{}",
            r#"{"idToken":"i"}"#,
            r#"{"idToken":null,"accessToken":"a"}"#,
            "[]",
            "7",
        ] {
            assert_eq!(call(read(&[], challenge)), None, "{challenge}");
        }
        assert_eq!(
            call(read(&[], r#"{"idToken":"i; x=1","accessToken":"a"}"#)),
            None,
            "a value that holds two cookies"
        );
    }

    #[test]
    fn tokens_in_the_body_may_be_longer_than_names() {
        let accepted = |length: usize| {
            let body = format!(r#"{{"idToken":"{}","accessToken":"a"}}"#, "i".repeat(length));
            call(read(&[], &body)).is_some()
        };
        assert_eq!([6700, 65_536, 65_537].map(accepted), [true, true, false]);
    }

    #[test]
    fn a_refresh_keeps_what_it_does_not_repeat() {
        let old = read(
            &[],
            r#"{"idToken":"i","accessToken":"a","refreshToken":"r","userId":7}"#,
        )
        .unwrap();
        let new = read(
            &[],
            r#"{"idToken":"j","accessToken":"b","refreshToken":null,"userId":null}"#,
        )
        .unwrap();
        let cookie = new.inherit_from(&old).refresh_cookie().unwrap();
        assert_eq!(
            cookie.to_str().unwrap(),
            "idToken=j; accessToken=b; refreshToken=r; userId=7"
        );
        assert!(cookie.is_sensitive());
    }

    #[test]
    fn lifetimes() {
        for (lifetime, want) in [
            ("60", 60),
            ("\"60\"", 60),
            ("0", 3600),
            ("-1", 3600),
            ("1e400", 3600),
            ("null", 3600),
        ] {
            let body = format!(r#"{{"idToken":"i","accessToken":"a","expiryTimeSeconds":{lifetime}}}"#);
            assert_eq!(
                read(&[], &body).unwrap().lifetime,
                Duration::from_secs(want),
                "{lifetime}"
            );
        }
    }

    #[test]
    fn the_operator_id_is_a_claim() {
        for (claims, want) in [
            (r#"{"custom:operatorId":"219"}"#, Some(219)),
            (r#"{"custom:operatorId":219}"#, Some(219)),
            (r#"{"custom:operatorId":"x"}"#, None),
            ("{}", None),
            ("x", None),
        ] {
            let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims));
            let body = format!(r#"{{"idToken":"{token}","accessToken":"a"}}"#);
            assert_eq!(read(&[], &body).unwrap().operator_id(), want, "{claims}");
        }
        assert_eq!(
            read(&[], r#"{"idToken":"i","accessToken":"a"}"#)
                .unwrap()
                .operator_id(),
            None
        );
    }

    #[test]
    fn debug_hides_the_tokens() {
        let tokens = read(&[], r#"{"idToken":"canary","accessToken":"canary"}"#).unwrap();
        assert!(!format!("{tokens:?}").contains("canary"));
    }
}
