//! Browser sessions.

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::Api;
use kube::api::DeleteParams;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::client::{AdminClient, Response, send, with_json};
use crate::environment::wait_until;

const SESSION: &str = "/api/v1/session";
const SYNCS: &str = "/api/v1/syncs";

/// A signed-in browser.
pub struct Browser<'a> {
    admin: &'a AdminClient,
    cookie: String,
    csrf_token: String,
}

async fn sign_in(admin: &AdminClient, token: &str) -> Response {
    send(with_json(
        admin.request("POST", SESSION),
        &json!({"token": token}),
    ))
    .await
}

impl<'a> Browser<'a> {
    pub async fn sign_in(admin: &'a AdminClient, token: &str) -> Self {
        let response = sign_in(admin, token).await;
        assert_eq!(response.status, 201, "{response:?}");
        let header = response.header("set-cookie");
        for attribute in [
            "__Host-tarana-session=",
            "; HttpOnly",
            "; Secure",
            "; SameSite=Strict",
            "; Path=/",
            "; Max-Age=43200",
        ] {
            assert!(header.contains(attribute), "{attribute}: {header}");
        }
        let cookie = header.split(';').next().unwrap().to_owned();
        assert!(!cookie.contains(token), "the token is encrypted");
        Self {
            admin,
            cookie,
            csrf_token: response.json()["csrfToken"].as_str().unwrap().to_owned(),
        }
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.admin.request(method, path).header("cookie", &self.cookie)
    }

    /// A request as the operator's own page sends it.
    pub fn page_request(&self, method: &str, path: &str) -> RequestBuilder {
        let request = self.request(method, path);
        request
            .header("sec-fetch-site", "same-origin")
            .header("x-csrf-token", &self.csrf_token)
    }

    pub async fn me(&self) -> Response {
        send(self.request("GET", "/api/v1/me")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_the_rights_of_its_token_and_changes_only_from_its_own_page() {
    let admin = AdminClient::with_connection().await;
    let browser = Browser::sign_in(&admin, &admin.editor).await;
    let me = browser.me().await.json();
    assert_eq!(
        me["user"],
        format!("system:serviceaccount:{}:editor", admin.env.namespace)
    );
    assert_eq!(me["session"]["csrfToken"], browser.csrf_token.as_str());
    let by_token = admin.get(&admin.editor, "/api/v1/me").await.json();
    assert_eq!(by_token["session"], Value::Null);

    let body = json!({"dryRun": true});
    let with_token = browser
        .request("POST", SYNCS)
        .header("x-csrf-token", &browser.csrf_token);
    let wrong = browser
        .request("POST", SYNCS)
        .header("sec-fetch-site", "same-origin")
        .header("x-csrf-token", "wrong");
    for (what, request) in [
        ("nothing", browser.request("POST", SYNCS)),
        ("no origin", with_token.try_clone().unwrap()),
        (
            "another site",
            with_token
                .try_clone()
                .unwrap()
                .header("sec-fetch-site", "cross-site"),
        ),
        ("a sibling", with_token.header("sec-fetch-site", "same-site")),
        ("a wrong token", wrong),
    ] {
        let response = send(with_json(request, &body)).await;
        assert_eq!(response.status, 403, "{what}: {response:?}");
    }
    assert!(admin.runs().await.is_empty());
    let created = send(with_json(browser.page_request("POST", SYNCS), &body)).await;
    assert_eq!(created.status, 201, "{created:?}");

    let viewer = Browser::sign_in(&admin, &admin.viewer).await;
    let denied = send(with_json(viewer.page_request("POST", SYNCS), &body)).await;
    assert_eq!(denied.status, 403, "{denied:?}");
    assert!(
        denied.text.contains("create taranasyncs.tarana.dev"),
        "{denied:?}"
    );
    // The token of one session does not fit another.
    let mixed = viewer
        .request("POST", SYNCS)
        .header("sec-fetch-site", "same-origin");
    let mixed = send(with_json(
        mixed.header("x-csrf-token", &browser.csrf_token),
        &body,
    ))
    .await;
    assert!(mixed.text.contains("X-CSRF-Token"), "{mixed:?}");
    // A token counts more than a session, and needs no page.
    let both = with_json(viewer.request("POST", SYNCS).bearer_auth(&admin.editor), &body);
    assert_eq!(send(both).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_by_sign_out_and_with_its_token() {
    let admin = AdminClient::start().await;
    let browser = Browser::sign_in(&admin, &admin.viewer).await;
    let other = Browser::sign_in(&admin, &admin.viewer).await;
    let forged = send(browser.request("DELETE", SESSION)).await;
    assert_eq!(forged.status, 403, "{forged:?}");
    let ended = send(browser.page_request("DELETE", SESSION)).await;
    assert_eq!(ended.status, 204, "{ended:?}");
    assert!(ended.header("set-cookie").contains("Max-Age=0"), "{ended:?}");
    // The cookie may have been copied.
    let response = browser.me().await;
    assert_eq!(response.status, 401, "{response:?}");
    assert!(response.text.contains("sign in again"), "{response:?}");
    assert_eq!(other.me().await.status, 200, "only one session has ended");
    let maps: Api<ConfigMap> = Api::namespaced(admin.env.client.clone(), &admin.env.namespace);
    let revoked = maps.get("tarana-operator-revoked-sessions").await.unwrap();
    assert_eq!(revoked.data.unwrap().len(), 1);
    let again = send(other.page_request("DELETE", SESSION)).await;
    assert_eq!(again.status, 204, "{again:?}");
    assert_eq!(other.me().await.status, 401);

    let editor = Browser::sign_in(&admin, &admin.editor).await;
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.env.client.clone(), &admin.env.namespace);
    accounts.delete("editor", &DeleteParams::default()).await.unwrap();
    wait_until("the session ends with its token", || async {
        (editor.me().await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_sign_ins_and_damaged_cookies_are_rejected() {
    let admin = AdminClient::start().await;
    for (token, status) in [("", 400), ("rubbish", 401), ("x".repeat(2601).as_str(), 400)] {
        let response = sign_in(&admin, token).await;
        assert_eq!(response.status, status, "{response:?}");
        assert_eq!(response.header("set-cookie"), "");
    }
    let foreign = with_json(admin.request("POST", SESSION), &json!({"token": &admin.viewer}));
    let foreign = send(foreign.header("sec-fetch-site", "cross-site")).await;
    assert_eq!(foreign.status, 403, "{foreign:?}");
    let browser = Browser::sign_in(&admin, &admin.viewer).await;
    let (name, value) = browser.cookie.split_once('=').unwrap();
    let mut damaged = value.to_owned();
    damaged.replace_range(20..21, if &damaged[20..21] == "A" { "B" } else { "A" });
    for cookie in [
        format!("{name}="),
        format!("{name}={damaged}"),
        format!("{name}={{}}"),
        format!("{name}={}", admin.viewer),
    ] {
        let response = send(admin.request("GET", "/api/v1/me").header("cookie", &cookie)).await;
        assert_eq!(response.status, 401, "{cookie}: {response:?}");
    }
    let other = send(admin.request("GET", "/api/v1/me").header("cookie", "theme=dark")).await;
    assert_eq!(other.status, 401);
    assert!(other.text.contains("Authorization: Bearer"), "{other:?}");
    for attempt in 0.. {
        assert!(attempt < 200, "sign-ins are limited");
        if sign_in(&admin, "rubbish").await.status == 429 {
            break;
        }
    }
}
