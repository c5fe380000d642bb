use crate::admin::auth::supabase::issuer::SigningKey;
use jsonwebtoken::{Algorithm, DecodingKey, get_current_timestamp};
use serde_json::{Value, json};

use super::super::jwks::{KeySet, VerificationKey};
use super::*;
use crate::admin::auth::supabase::crypto;

const ISSUER: &str = "https://abcd.supabase.co/auth/v1";
const AUDIENCE: &str = "authenticated";
const USER: &str = "8d9f3b1e-3c1f-4d0a-9a75-0d5b1f1c9a11";

/// The claims of a user's token, with changes. `null` removes a claim.
fn claims(changes: Value) -> Value {
    let now = get_current_timestamp();
    let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": USER, "role": "authenticated", "is_anonymous": false,
        "email": "ann@example.org", "iat": now, "exp": now + 3600, "session_id": "x", "app_metadata": {"provider": "email"}});
    let (claims_map, Value::Object(changes)) = (claims.as_object_mut().unwrap(), changes) else {
        panic!()
    };
    for (name, value) in changes {
        if value.is_null() {
            claims_map.remove(&name);
        } else {
            claims_map.insert(name, value);
        }
    }
    claims
}

fn key_set(keys: &[&SigningKey]) -> KeySet {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

/// What the authenticator does with keys of an issuer.
fn verify_with(keys: &KeySet, token: &str) -> Result<TokenUser, Rejection> {
    crypto::install();
    let id = key_id(token)?;
    let key = keys.get(&id).ok_or(Rejection::UnknownKey)?;
    verify(token, key, ISSUER, AUDIENCE)
}

fn verify_with_secret(secret: &[u8], token: &str) -> Result<TokenUser, Rejection> {
    crypto::install();
    let key = VerificationKey {
        algorithm: Algorithm::HS256,
        key: DecodingKey::from_secret(secret),
    };
    verify(token, &key, ISSUER, AUDIENCE)
}

#[test]
fn tokens_of_each_algorithm_are_accepted() {
    let user = TokenUser {
        id: USER.parse().unwrap(),
        email: Some("ann@example.org".into()),
    };
    let (ec, rsa) = (SigningKey::ec("e"), SigningKey::rsa("r"));
    let keys = key_set(&[&ec, &rsa]);
    for key in [&ec, &rsa] {
        let token = key.sign(&claims(json!({})));
        assert_eq!(verify_with(&keys, &token), Ok(user.clone()));
    }
    let secret = b"a secret of at least thirty-two bytes";
    let token = SigningKey::secret(secret).sign(&claims(json!({})));
    assert_eq!(verify_with_secret(secret, &token), Ok(user));
}

#[test]
fn claims_decide() {
    let key = SigningKey::ec("e");
    let keys = key_set(&[&key]);
    let now = get_current_timestamp();
    let claim = |name: &str| Rejection::Claim(name.to_owned());
    let cases = [
        (
            json!({"iss": "https://other.supabase.co/auth/v1"}),
            Rejection::Issuer,
        ),
        (json!({"iss": format!("{ISSUER}/")}), Rejection::Issuer),
        (json!({"iss": null}), claim("iss")),
        (json!({"aud": "other"}), Rejection::Audience),
        (json!({"aud": []}), Rejection::Audience),
        (json!({"aud": null}), claim("aud")),
        (json!({"exp": now - 60}), Rejection::Expired),
        (json!({"exp": null}), claim("exp")),
        (json!({"exp": "tomorrow"}), claim("exp")),
        (json!({"nbf": now + 60}), Rejection::NotYetValid),
        (json!({"nbf": "tomorrow"}), claim("nbf")),
        (json!({"sub": null}), claim("sub")),
        (json!({"sub": "ann"}), claim("sub")),
        (json!({"sub": ""}), claim("sub")),
        (json!({"sub": 7}), Rejection::Malformed),
        (json!({"role": "anon"}), Rejection::Role),
        (json!({"role": "service_role"}), Rejection::Role),
        (json!({"role": null}), Rejection::Role),
        (json!({"is_anonymous": true}), Rejection::Anonymous),
        (json!({"is_anonymous": "no"}), Rejection::Malformed),
    ];
    for (changes, rejection) in cases {
        let token = key.sign(&claims(changes.clone()));
        assert_eq!(verify_with(&keys, &token), Err(rejection), "{changes}");
    }
    for accepted in [
        json!({"aud": ["other", AUDIENCE]}),
        json!({"exp": now - 2}),
        json!({"nbf": now + 2}),
        json!({"is_anonymous": null}),
    ] {
        let token = key.sign(&claims(accepted.clone()));
        assert!(verify_with(&keys, &token).is_ok(), "{accepted}");
    }
}

#[test]
fn a_claim_that_occurs_twice_is_rejected() {
    let key = SigningKey::ec("e");
    let text = claims(json!({})).to_string();
    for repeated in [
        format!(r#"{{"sub": "{}", {}"#, uuid::Uuid::nil(), &text[1..]),
        format!(r#"{{"exp": 99999999999, {}"#, &text[1..]),
        format!(r#"{{"iss": "other", {}"#, &text[1..]),
    ] {
        let token = key.sign_text(&key.header().to_string(), &repeated);
        assert_eq!(verify_with(&key_set(&[&key]), &token), Err(Rejection::Malformed));
    }
}

#[test]
fn only_the_algorithm_of_the_key_is_accepted() {
    let (ec, rsa) = (SigningKey::ec("e"), SigningKey::rsa("r"));
    let keys = key_set(&[&ec, &rsa]);
    let good = claims(json!({}));
    let with_header = |key: &SigningKey, header: Value| key.sign_text(&header.to_string(), &good.to_string());
    let rsa_jwk = rsa.jwk();
    let ec_jwk = ec.jwk();
    // The public key as the secret, in the forms in which an attacker has it.
    let public: Vec<Vec<u8>> = vec![
        rsa_jwk.to_string().into_bytes(),
        rsa_jwk["n"].as_str().unwrap().into(),
        BASE64_URL_SAFE_NO_PAD
            .decode(rsa_jwk["n"].as_str().unwrap())
            .unwrap(),
        keys.get("e").unwrap().key.try_get_as_bytes().unwrap().to_vec(),
        ec_jwk.to_string().into_bytes(),
    ];
    for secret in public {
        let attacker = SigningKey::secret(&secret);
        for kid in ["e", "r"] {
            let confused = with_header(&attacker, json!({"alg": "HS256", "kid": kid}));
            assert_eq!(verify_with(&keys, &confused), Err(Rejection::Algorithm));
            let key = keys.get(kid).unwrap();
            assert_eq!(
                verify(&confused, key, ISSUER, AUDIENCE),
                Err(Rejection::Algorithm)
            );
            let disguised = with_header(&attacker, json!({"alg": "RS256", "kid": kid}));
            assert!(verify_with(&keys, &disguised).is_err());
        }
    }
    for (header, rejection) in [
        (json!({"alg": "RS256", "kid": "e"}), Rejection::Algorithm),
        (json!({"alg": "ES384", "kid": "e"}), Rejection::Algorithm),
        (json!({"alg": "PS256", "kid": "r"}), Rejection::Algorithm),
        (json!({"alg": "ES256", "kid": "r"}), Rejection::Algorithm),
        (
            json!({"alg": "ES256", "kid": "e", "crit": ["exp"]}),
            Rejection::Malformed,
        ),
        (json!({"alg": "ES256", "kid": "x"}), Rejection::UnknownKey),
        (json!({"alg": "ES256", "kid": ""}), Rejection::UnknownKey),
        (json!({"alg": "ES256"}), Rejection::NoKeyId),
        (json!({"kid": "e"}), Rejection::Malformed),
    ] {
        assert_eq!(
            verify_with(&keys, &with_header(&ec, header.clone())),
            Err(rejection),
            "{header}"
        );
    }
    for none in ["none", "None", "NONE", ""] {
        let signed = with_header(&ec, json!({"alg": none, "kid": "e"}));
        let unsigned = format!("{}.", signed.rsplit_once('.').unwrap().0);
        for token in [signed, unsigned] {
            assert!(verify_with(&keys, &token).is_err(), "{token}");
            assert!(verify_with_secret(b"", &token).is_err(), "{token}");
        }
    }
}

#[test]
fn a_secret_accepts_nothing_but_its_own_tokens() {
    let secret = b"a secret of at least thirty-two bytes";
    let ec = SigningKey::ec("e");
    for (key, rejection) in [
        (
            &SigningKey::secret(b"another secret of thirty-two bytes"),
            Rejection::Signature,
        ),
        (&SigningKey::secret(b""), Rejection::Signature),
        (&ec, Rejection::Algorithm),
    ] {
        let token = key.sign(&claims(json!({})));
        assert_eq!(verify_with_secret(secret, &token), Err(rejection));
    }
}

#[test]
fn a_damaged_or_forged_token_is_rejected() {
    let (key, other) = (SigningKey::ec("e"), SigningKey::ec("e"));
    let keys = key_set(&[&key]);
    let good = key.sign(&claims(json!({})));
    let forged = other.sign(&claims(json!({})));
    assert_eq!(verify_with(&keys, &forged), Err(Rejection::Signature));
    let parts: Vec<&str> = good.split('.').collect();
    let changed = BASE64_URL_SAFE_NO_PAD.encode(claims(json!({"email": "bob@example.org"})).to_string());
    let swapped = format!("{}.{changed}.{}", parts[0], parts[2]);
    assert_eq!(verify_with(&keys, &swapped), Err(Rejection::Signature));
    for end in 0..good.len() {
        assert!(verify_with(&keys, &good[..end]).is_err(), "truncated to {end}");
    }
    for rubbish in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "é.é.é",
        &format!("{good}.x"),
        &format!("{good} "),
        &"x".repeat(20_000),
    ] {
        assert!(verify_with(&keys, rubbish).is_err(), "{rubbish}");
    }
}

#[test]
fn an_email_is_shown_only_if_it_looks_like_one() {
    let key = SigningKey::ec("e");
    let keys = key_set(&[&key]);
    let shown = |email: &str| {
        let token = key.sign(&claims(json!({ "email": email })));
        verify_with(&keys, &token).unwrap().email
    };
    assert_eq!(shown("a.b+c@example.org").as_deref(), Some("a.b+c@example.org"));
    let long = format!("{}@example.org", "a".repeat(300));
    for other in [
        "",
        "ann",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "a b@c",
        "a\n@b",
        "a\u{202e}@b",
        "<a>@b",
        "system:admin@b",
        long.as_str(),
    ] {
        assert_eq!(shown(other), None, "{other:?}");
    }
}

#[test]
fn the_claimed_issuer_is_read_without_verification() {
    let key = SigningKey::ec("e");
    assert!(claims_issuer(&key.sign(&claims(json!({}))), ISSUER));
    for other in [
        json!({"iss": "kubernetes"}),
        json!({"iss": null}),
        json!({"iss": [ISSUER]}),
    ] {
        assert!(!claims_issuer(&key.sign(&claims(other)), ISSUER));
    }
    for rubbish in ["", "a", "a.b.c", ".e30."] {
        assert!(!claims_issuer(rubbish, ISSUER));
    }
}
