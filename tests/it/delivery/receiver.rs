//! An event sink.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How the sink answers a request.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Status(u16),
    /// A redirect to the metadata service of clouds.
    Redirect,
    /// None.
    Silence,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    /// The event.
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The type of the event without its prefix.
    pub fn kind(&self) -> String {
        let event = self.event();
        event["type"]
            .as_str()
            .unwrap()
            .trim_start_matches("tarana/sync.")
            .to_owned()
    }

    /// Whether one of the signatures is that of this secret.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let header = |name: &str| self.headers[name].to_str().unwrap();
        let mut content = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
        content.extend_from_slice(&self.body);
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
        let mut signatures = header("webhook-signature").split(' ');
        signatures.any(|signature| {
            let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
            ring::hmac::verify(&key, &content, &tag).is_ok()
        })
    }
}

#[derive(Default)]
struct Requests {
    received: Vec<Received>,
    /// The answers to the next requests; all later ones are accepted.
    answers: VecDeque<Answer>,
}

/// A sink on loopback. It ends when it is dropped.
pub struct Receiver {
    pub url: String,
    requests: Arc<Mutex<Requests>>,
    _server: JoinSet<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=do-not-show", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Requests>>::default();
        let router = Router::new()
            .route("/hook", post(receive))
            .with_state(Arc::clone(&requests));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            requests,
            _server: server,
        }
    }

    /// How the next requests are answered.
    pub fn answer(&self, answers: &[Answer]) {
        self.requests.lock().unwrap().answers.extend(answers);
    }

    pub fn received(&self) -> Vec<Received> {
        self.requests.lock().unwrap().received.clone()
    }
}

async fn receive(State(requests): State<Arc<Mutex<Requests>>>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = {
        let mut requests = requests.lock().unwrap();
        requests.received.push(Received { headers, body });
        requests.answers.pop_front().unwrap_or(Answer::Status(204))
    };
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Redirect => (
            StatusCode::FOUND,
            [(header::LOCATION, "http://169.254.169.254/latest/meta-data/")],
        )
            .into_response(),
        Answer::Silence => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            StatusCode::NO_CONTENT.into_response()
        }
    }
}
