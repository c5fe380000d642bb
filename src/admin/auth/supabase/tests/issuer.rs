//! An issuer of access tokens, like the auth server of Supabase: keys that sign tokens, and a server of their public keys. The unit tests and
//! the integration tests include this file. Keys are generated; RSA keys by the program `openssl`, because ring only uses them.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Where Supabase serves the public keys.
const PATH: &str = "/auth/v1/.well-known/jwks.json";

/// A key and its id.
#[derive(Debug)]
pub struct SigningKey {
    id: String,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Secret(hmac::Key),
}

impl SigningKey {
    /// A new key for ES256.
    pub fn ec(id: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self {
            id: id.to_owned(),
            pair: Pair::Ec(pair),
        }
    }

    /// A new key for RS256.
    pub fn rsa(id: &str) -> Self {
        let options = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -outform DER";
        let generated = Command::new("openssl").args(options.split(' ')).output();
        let generated = generated.expect("openssl: apt-get install openssl");
        let pair = RsaKeyPair::from_pkcs8(&generated.stdout)
            // The form depends on the version of openssl.
            .or_else(|_| RsaKeyPair::from_der(&generated.stdout))
            .unwrap();
        Self {
            id: id.to_owned(),
            pair: Pair::Rsa(Box::new(pair)),
        }
    }

    /// A secret for HS256.
    pub fn secret(secret: &[u8]) -> Self {
        Self {
            id: "secret".to_owned(),
            pair: Pair::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret)),
        }
    }

    /// The header of its tokens.
    pub fn header(&self) -> Value {
        let algorithm = match &self.pair {
            Pair::Ec(_) => "ES256",
            Pair::Rsa(_) => "RS256",
            Pair::Secret(_) => "HS256",
        };
        json!({"alg": algorithm, "typ": "JWT", "kid": self.id})
    }

    /// The public key, as in a key set. Empty for a secret.
    pub fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::Ec(pair) => {
                // An uncompressed point: 4, x, y.
                let (x, y) = pair
                    .public_key()
                    .as_ref()
                    .get(1..)
                    .unwrap_or_default()
                    .split_at(32);
                json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "key_ops": ["verify"],
                       "kid": self.id, "x": encode(x), "y": encode(y)})
            }
            Pair::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.id, "n": encode(&n), "e": encode(&e)})
            }
            Pair::Secret(_) => json!({}),
        }
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_text(&self.header().to_string(), &claims.to_string())
    }

    /// A token of any header and claims.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ec(pair) => {
                let signature = pair.sign(&random, message.as_bytes()).unwrap();
                signature.as_ref().to_vec()
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
            Pair::Secret(key) => hmac::sign(key, message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", encode(&signature))
    }
}

/// Serves the same response to every request, until it is dropped.
#[derive(Debug)]
pub struct KeySetServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    status: u16,
    body: String,
    requests: usize,
}

impl KeySetServer {
    /// Serves the public keys on a free port.
    pub async fn start(keys: &[&SigningKey]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            status: 200,
            body: String::new(),
            requests: 0,
        }));
        #[expect(
            clippy::disallowed_methods,
            reason = "the task belongs to the handle, which aborts it when dropped"
        )]
        let server = tokio::spawn(accept(listener, Arc::clone(&shared)));
        let issuer = Self {
            address,
            shared,
            server,
        };
        issuer.serve_keys(keys);
        issuer
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves these keys from now on.
    pub fn serve_keys(&self, keys: &[&SigningKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.respond(200, &json!({ "keys": keys }).to_string());
    }

    /// Responds with this status and body from now on.
    pub fn respond(&self, status: u16, body: &str) {
        let mut shared = lock(&self.shared);
        shared.status = status;
        body.clone_into(&mut shared.body);
    }

    /// Number of requests so far.
    pub fn requests(&self) -> usize {
        lock(&self.shared).requests
    }
}

impl Drop for KeySetServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(respond(stream, Arc::clone(&shared)));
    }
}

/// Answers one request and closes the connection.
async fn respond(mut stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let response = {
        let mut shared = lock(&shared);
        shared.requests += 1;
        let is_found = request.starts_with(format!("GET {PATH} ").as_bytes());
        let status = if is_found { shared.status } else { 404 };
        format!(
            "HTTP/1.1 {} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
            status,
            shared.body.len(),
            shared.body
        )
    };
    // A client that has gone needs no response.
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
