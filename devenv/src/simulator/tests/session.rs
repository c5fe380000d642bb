use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{LOGIN, Portal, REFRESH, REGIONS, USERS, client, cookies, send};
use crate::simulator::{Config, Endpoint, Fault, Rule, TokensIn};

fn claims(token: &str) -> Value {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "a JWT has three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

#[tokio::test]
async fn a_login_returns_the_envelope_and_http_only_cookies() {
    let portal = Portal::logged_out(Config::with_base_nodes(4)).await;
    let response = portal.login().send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-request-id"));
    assert!(response.headers().contains_key("x-envoy-upstream-service-time"));
    for line in response.headers().get_all("set-cookie") {
        let line = line.to_str().unwrap();
        assert!(line.contains("HttpOnly") && !line.contains("Secure"), "{line}");
    }
    let names: Vec<_> = cookies(&response)
        .iter()
        .map(|pair| pair.split('=').next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["idToken", "accessToken", "refreshToken", "userId"]);
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(body["error"], Value::Null);
    let data = body["data"].as_object().unwrap();
    for key in ["accessToken", "idToken", "refreshToken", "userId"] {
        assert!(data[key].is_string(), "{key}");
    }
    for key in ["session", "challengeResult", "mfaSecret"] {
        assert!(data[key].is_null(), "{key}");
    }
    assert_eq!(data["expiryTimeSeconds"], 3600);
    let claims = claims(data["idToken"].as_str().unwrap());
    assert_eq!(claims["custom:operatorId"], "219");
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        3600
    );
    assert_eq!(portal.sim.counters().logins, 1);
}

#[tokio::test]
async fn invalid_logins_are_rejected_with_different_errors() {
    let portal = Portal::logged_out(Config::with_base_nodes(4)).await;
    let login = || portal.http.post(format!("{}{LOGIN}", portal.sim.url()));
    let (status, body) = send(login().basic_auth("operator@example.com", Some("wrong"))).await;
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["status"]),
        (401, &json!(401), &json!("Unauthorized"))
    );
    assert_eq!(send(login()).await.0, 401);
    assert_eq!(
        send(login().body(r#"{"username":"operator@example.com"}"#))
            .await
            .0,
        500
    );
    let bearer = login().bearer_auth("x").send().await.unwrap();
    assert_eq!(bearer.status(), 403);
    assert_eq!(bearer.headers()["content-type"], "text/plain");
    assert_eq!(bearer.text().await.unwrap(), "RBAC: access denied");
    let counters = portal.sim.counters();
    assert_eq!(
        (
            counters.logins,
            counters.failed_logins,
            counters.requests_to(Endpoint::Login)
        ),
        (0, 2, 4)
    );
}

#[tokio::test]
async fn calls_need_both_cookies_and_no_authorization() {
    let mut portal = Portal::logged_in(Config::with_base_nodes(4)).await;
    let (status, body) = send(portal.get(USERS)).await;
    assert_eq!(
        (status, &body["data"]["operatorId"], &body["error"]),
        (200, &json!("219"), &Value::Null)
    );
    assert_eq!(
        portal.get(USERS).bearer_auth("x").send().await.unwrap().status(),
        403
    );
    let all = portal.cookies.clone();
    portal.cookies = all
        .split("; ")
        .filter(|pair| !pair.starts_with("idToken"))
        .collect::<Vec<_>>()
        .join("; ");
    assert_eq!(send(portal.get(USERS)).await.0, 401);
    portal.cookies = String::new();
    assert_eq!(send(portal.get(USERS)).await.0, 401);
}

#[tokio::test]
async fn another_operator_is_forbidden() {
    let portal = Portal::logged_in(Config::with_base_nodes(4)).await;
    let response = portal
        .get("/api/tni/v2/operators/220/regions?offset=0&count=10")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            response.text().await.unwrap().as_str()
        ),
        (403, "RBAC: access denied")
    );
    assert_eq!(send(portal.get("/api/nqs/v1/nowhere")).await.0, 404);
}

#[tokio::test]
async fn a_header_can_be_required() {
    let config = Config {
        required_headers: vec!["x-caller-name".to_owned()],
        ..Config::with_base_nodes(4)
    };
    let portal = Portal::logged_in(config).await;
    assert_eq!(portal.get(USERS).send().await.unwrap().status(), 403);
    assert_eq!(
        portal
            .get(USERS)
            .header("X-Caller-Name", "operator-portal")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        portal.sim.requests().last().unwrap().caller.as_deref(),
        Some("operator-portal")
    );
}

#[tokio::test]
async fn an_expired_session_is_refreshed_with_all_four_cookies() {
    let mut portal = Portal::logged_in(Config::with_base_nodes(4)).await;
    portal
        .sim
        .set_rules(vec![Rule::on(Endpoint::Users, Fault::Expire).once()]);
    assert_eq!(send(portal.get(USERS)).await.0, 401);
    assert_eq!(send(portal.get(USERS)).await.0, 401, "until it is refreshed");
    let refresh = portal.call(reqwest::Method::POST, REFRESH).send().await.unwrap();
    assert_eq!(refresh.status(), 200);
    let fresh = cookies(&refresh);
    assert_eq!(fresh.len(), 2, "refreshToken and userId stay: {fresh:?}");
    let body: Value = serde_json::from_str(&refresh.text().await.unwrap()).unwrap();
    assert!(body["data"]["accessToken"].is_string() && body["data"]["idToken"].is_string());
    assert!(body["data"]["refreshToken"].is_null() && body["data"]["userId"].is_null());
    let old: Vec<_> = portal.cookies.split("; ").map(str::to_owned).collect();
    portal.cookies = fresh.join("; ");
    assert_eq!(send(portal.get(USERS)).await.0, 200);
    assert_eq!(
        send(portal.call(reqwest::Method::POST, REFRESH)).await.0,
        401,
        "all four cookies are required"
    );
    portal.cookies = old.join("; ");
    portal.sim.expire_sessions(true);
    assert_eq!(send(portal.call(reqwest::Method::POST, REFRESH)).await.0, 401);
    assert_eq!(portal.sim.counters().refreshes, 1);
}

#[tokio::test]
async fn tokens_expire() {
    let portal = Portal::logged_in(Config {
        token_lifetime: Duration::from_millis(1500),
        ..Config::with_base_nodes(4)
    })
    .await;
    assert_eq!(send(portal.get(USERS)).await.0, 200);
    tokio::time::sleep(Duration::from_millis(1510)).await;
    assert_eq!(send(portal.get(USERS)).await.0, 401);
    assert_eq!(send(portal.call(reqwest::Method::POST, REFRESH)).await.0, 200);
}

#[tokio::test]
async fn tokens_can_be_only_in_cookies_or_only_in_the_body() {
    let portal = Portal::logged_out(Config {
        tokens_in: TokensIn::Cookies,
        ..Config::with_base_nodes(4)
    })
    .await;
    let response = portal.login().send().await.unwrap();
    assert_eq!(cookies(&response).len(), 4);
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert!(body["data"]["accessToken"].is_null() && body["data"]["challengeResult"].is_null());

    let portal = Portal::logged_out(Config {
        tokens_in: TokensIn::Body,
        ..Config::with_base_nodes(4)
    })
    .await;
    let response = portal.login().send().await.unwrap();
    assert!(cookies(&response).is_empty());
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let token = |name: &str| body["data"][name].as_str().unwrap().to_owned();
    let cookie = format!(
        "idToken={}; accessToken={}",
        token("idToken"),
        token("accessToken")
    );
    let call = portal
        .http
        .get(format!("{}{USERS}", portal.sim.url()))
        .header("cookie", cookie);
    assert_eq!(send(call).await.0, 200);
}

#[tokio::test]
async fn a_challenge_is_a_200_without_tokens() {
    let portal = Portal::logged_out(Config::with_base_nodes(4)).await;
    portal.sim.set_rules(vec![Rule::on(
        Endpoint::Login,
        Fault::Challenge {
            result: Some("SOFTWARE_TOKEN_MFA".into()),
        },
    )]);
    let response = portal.login().send().await.unwrap();
    assert!(cookies(&response).is_empty());
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert!(body["data"]["accessToken"].is_null() && body["data"]["session"].is_string());
    assert_eq!(body["data"]["challengeResult"], "SOFTWARE_TOKEN_MFA");
    assert_eq!(portal.sim.counters().logins, 0);
}

#[tokio::test]
async fn new_credentials_replace_the_old_ones() {
    let portal = Portal::logged_in(Config::with_base_nodes(4)).await;
    portal.sim.set_credentials("operator@example.com", "another");
    assert_eq!(send(portal.login()).await.0, 401);
    assert_eq!(send(portal.get(USERS)).await.0, 200, "open sessions stay open");
}

#[tokio::test]
async fn a_stopped_simulator_can_be_restarted_at_its_address() {
    let portal = Portal::logged_in(Config::with_base_nodes(4)).await;
    let (address, url) = (portal.sim.address(), portal.sim.url().to_owned());
    portal.sim.stop().await;
    assert!(client().get(&url).send().await.unwrap_err().is_connect());
    let back = Portal::logged_in(Config {
        listen: address,
        ..Config::with_base_nodes(4)
    })
    .await;
    assert_eq!(back.sim.url(), url);
    assert_eq!(
        send(back.get(&format!("{REGIONS}?offset=0&count=9"))).await.0,
        200
    );
}

#[tokio::test]
async fn a_self_signed_certificate_is_rejected_unless_it_is_trusted() {
    let config = Config {
        transport: crate::simulator::Transport::SelfSigned,
        ..Config::with_base_nodes(4)
    };
    let portal = Portal::logged_out(config).await;
    assert!(portal.sim.url().starts_with("https://"));
    assert!(portal.login().send().await.unwrap_err().is_connect());
    let pem = portal.sim.ca_pem().unwrap();
    let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let http = reqwest::Client::builder()
        .tls_certs_only([trusted])
        .build()
        .unwrap();
    let response = http.post(format!("{}{LOGIN}", portal.sim.url()));
    let response = response
        .basic_auth("operator@example.com", Some("correct horse"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("Secure"), "{cookie}");
}
