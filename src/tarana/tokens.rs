//! What a login gives, from its cookies and its body: either will do.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::object;
use super::scalar;

/// Where the login says nothing usable.
const USUAL_LIFETIME: Duration = Duration::from_hours(1);
const LONGEST_LIFETIME: i64 = 24 * 3600;

/// The four parts of a session. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Tokens {
    id: String,
    access: String,
    refresh: Option<String>,
    user: Option<String>,
    /// How long from now they are good.
    pub(super) lifetime: Duration,
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
    /// Reads the answer of a login or a refresh; `None` if it lacks one of the two tokens that make a session.
    pub(super) fn read(headers: &HeaderMap, data: &RawValue) -> Option<Self> {
        let body: Body<'_> = object(data.get()).unwrap_or_default();
        let part = |name: &str, raw: Option<&RawValue>| cookie(headers, name).or_else(|| text(raw));
        Some(Self {
            id: part("idToken", body.id_token)?,
            access: part("accessToken", body.access_token)?,
            refresh: part("refreshToken", body.refresh_token),
            user: part("userId", body.user_id),
            lifetime: body
                .expiry_time_seconds
                .map_or(USUAL_LIFETIME, |raw| lifetime(raw.get())),
        })
    }

    /// A refresh need not repeat what stays.
    #[must_use]
    pub(super) fn keeping(mut self, old: &Self) -> Self {
        self.refresh = self.refresh.or_else(|| old.refresh.clone());
        self.user = self.user.or_else(|| old.user.clone());
        self
    }

    /// The Cookie header of a call.
    pub(super) fn call_cookie(&self) -> Option<HeaderValue> {
        sensitive(&format!("idToken={}; accessToken={}", self.id, self.access))
    }

    /// The Cookie header of a refresh, if there is anything to refresh with.
    pub(super) fn refresh_cookie(&self) -> Option<HeaderValue> {
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

    /// The claim `custom:operatorId`. The token is not verified: it came from the vendor over TLS, and goes back there.
    pub(super) fn operator_id(&self) -> Option<i64> {
        let payload = self.id.split('.').nth(1)?;
        let json = String::from_utf8(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()?;
        let claims: Claims<'_> = object(&json).ok()?;
        scalar::integer(claims.operator?.get())
    }
}

/// The value of a cookie that the answer sets. An empty one deletes it, and so is none.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let set = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut values = set.filter_map(|line| {
        let (key, value) = line.split(';').next()?.split_once('=')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    values.next_back().filter(|value| sendable(value))
}

fn text(raw: Option<&RawValue>) -> Option<String> {
    // An id may be a number.
    let text = scalar::name(raw?.get()).ok()??.into_owned();
    sendable(&text).then_some(text)
}

/// Whether a value can stand in a Cookie header without becoming two.
fn sendable(value: &str) -> bool {
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
        Some(seconds @ 1..=LONGEST_LIFETIME) => Duration::from_secs(seconds.unsigned_abs()),
        _ => USUAL_LIFETIME,
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
        Tokens::read(
            &cookies.collect::<HeaderMap>(),
            &RawValue::from_string(body.into()).unwrap(),
        )
    }

    fn call(tokens: Option<Tokens>) -> Option<String> {
        Some(tokens?.call_cookie()?.to_str().ok()?.to_owned())
    }

    #[test]
    fn either_will_do() {
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
            "two cookies in one value"
        );
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
        let cookie = new.keeping(&old).refresh_cookie().unwrap();
        assert_eq!(
            cookie.to_str().unwrap(),
            "idToken=j; accessToken=b; refreshToken=r; userId=7"
        );
        assert!(cookie.is_sensitive());
    }

    #[test]
    fn lifetimes() {
        for (told, want) in [
            ("60", 60),
            ("\"60\"", 60),
            ("0", 3600),
            ("-1", 3600),
            ("1e400", 3600),
            ("null", 3600),
        ] {
            let body = format!(r#"{{"idToken":"i","accessToken":"a","expiryTimeSeconds":{told}}}"#);
            assert_eq!(
                read(&[], &body).unwrap().lifetime,
                Duration::from_secs(want),
                "{told}"
            );
        }
    }

    #[test]
    fn the_operator_is_a_claim() {
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
    fn tokens_do_not_show_themselves() {
        let tokens = read(&[], r#"{"idToken":"canary","accessToken":"canary"}"#).unwrap();
        assert!(!format!("{tokens:?}").contains("canary"));
    }
}
