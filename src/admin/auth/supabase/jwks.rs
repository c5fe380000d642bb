//! Pure: reads the issuer's key set (RFC 7517). Keys that cannot verify a user's token are left out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Length of an uncompressed point of the curve P-256.
const P256_POINT_BYTES: usize = 65;

/// A key and the only algorithm that it is used with.
#[derive(Clone, Debug)]
pub(super) struct VerificationKey {
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

/// Keys by their id.
#[derive(Clone, Debug, Default)]
pub(super) struct KeySet {
    keys: HashMap<String, VerificationKey>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// The usable keys of a JSON document; `None` if it is not a key set. An id that two different keys have identifies neither.
    pub fn parse(json: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(json).ok()?;
        let mut jwks: HashMap<String, Option<Jwk>> = HashMap::new();
        for jwk in document
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
        {
            let Some(id) = jwk.common.key_id.clone() else {
                continue;
            };
            match jwks.entry(id) {
                Entry::Vacant(entry) => {
                    entry.insert(Some(jwk));
                }
                Entry::Occupied(entry) if entry.get().as_ref() == Some(&jwk) => {}
                Entry::Occupied(mut entry) => {
                    entry.insert(None);
                }
            }
        }
        let usable = |(id, jwk): (String, Option<Jwk>)| Some((id, verification_key(&jwk?)?));
        Some(Self {
            keys: jwks.into_iter().filter_map(usable).collect(),
        })
    }

    /// Whether it has no usable key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key of this id.
    pub fn get(&self, id: &str) -> Option<&VerificationKey> {
        self.keys.get(id)
    }
}

/// A key for ES256 or RS256. A symmetric key is never taken from a public document.
fn verification_key(jwk: &Jwk) -> Option<VerificationKey> {
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(parameters) if parameters.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        _ => return None,
    };
    let common = &jwk.common;
    let is_for_signatures = common.key_algorithm.is_none_or(|algorithm| algorithm == name)
        && common
            .public_key_use
            .as_ref()
            .is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let key = DecodingKey::from_jwk(jwk).ok().filter(|_| is_for_signatures)?;
    let is_complete = algorithm != Algorithm::ES256
        || key
            .try_get_as_bytes()
            .is_ok_and(|point| point.len() == P256_POINT_BYTES);
    is_complete.then_some(VerificationKey { algorithm, key })
}

#[cfg(test)]
mod tests {
    use crate::admin::auth::supabase::issuer::SigningKey;
    use serde_json::json;

    use super::*;

    fn usable(keys: &[Value]) -> Vec<&'static str> {
        let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        let ids = ["a", "b", "c"];
        ids.into_iter().filter(|id| set.get(id).is_some()).collect()
    }

    fn with(mut jwk: Value, changes: &Value) -> Value {
        for (name, value) in changes.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    }

    #[test]
    fn unusable_keys_are_left_out_and_the_others_are_used() {
        let (a, b) = (SigningKey::ec("a").jwk(), SigningKey::rsa("b").jwk());
        let without_id = with(b.clone(), &json!({"kid": null}));
        let others = [
            json!({"kty": "oct", "kid": "c", "alg": "HS256", "k": "c2VjcmV0"}),
            json!({"kty": "OKP", "kid": "c", "crv": "Ed25519", "x": "AAAA"}),
            json!({"kty": "new", "kid": "c"}),
            json!({"kid": "c"}),
            json!(7),
            json!(null),
            without_id,
            with(a.clone(), &json!({"kid": "c", "crv": "P-384"})),
            with(a.clone(), &json!({"kid": "c", "crv": "secp256k1"})),
            with(a.clone(), &json!({"kid": "c", "x": "AAAA"})),
            with(a.clone(), &json!({"kid": "c", "x": "not base64"})),
            with(a.clone(), &json!({"kid": "c", "use": "enc"})),
            with(a.clone(), &json!({"kid": "c", "key_ops": ["encrypt"]})),
            with(a.clone(), &json!({"kid": "c", "alg": "ES384"})),
            with(b.clone(), &json!({"kid": "c", "alg": "PS256"})),
            with(b.clone(), &json!({"kid": "c", "alg": "HS256"})),
        ];
        for other in others {
            assert_eq!(
                usable(&[other.clone(), a.clone(), b.clone()]),
                ["a", "b"],
                "{other}"
            );
        }
    }

    #[test]
    fn an_id_of_two_different_keys_identifies_neither() {
        let (one, two) = (SigningKey::ec("a").jwk(), SigningKey::ec("a").jwk());
        let b = SigningKey::ec("b").jwk();
        assert_eq!(usable(&[one.clone(), one.clone(), b.clone()]), ["a", "b"]);
        assert_eq!(usable(&[one.clone(), two.clone(), b.clone()]), ["b"]);
        assert_eq!(usable(&[one.clone(), two, one, b]), ["b"]);
    }
}
