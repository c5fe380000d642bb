use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{LOGIN, Portal, REFRESH, REGIONS, USERS, client, cookies, told};
use crate::simulator::{Config, Endpoint, Fault, Rule, TokensIn};

fn claims(token: &str) -> Value {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "a JWT has three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

#[tokio::test]
async fn a_login_gives_envelope_and_http_only_cookies() {
    let portal = Portal::closed(Config::of(4)).await;
    let answer = portal.login().send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("x-request-id"));
    assert!(answer.headers().contains_key("x-envoy-upstream-service-time"));
    for line in answer.headers().get_all("set-cookie") {
        let line = line.to_str().unwrap();
        assert!(line.contains("HttpOnly") && !line.contains("Secure"), "{line}");
    }
    let names: Vec<_> = cookies(&answer)
        .iter()
        .map(|pair| pair.split('=').next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["idToken", "accessToken", "refreshToken", "userId"]);
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
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
async fn what_is_no_basic_login_is_refused_in_its_own_way() {
    let portal = Portal::closed(Config::of(4)).await;
    let login = || portal.http.post(format!("{}{LOGIN}", portal.sim.url()));
    let (status, body) = told(login().basic_auth("operator@example.com", Some("wrong"))).await;
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["status"]),
        (401, &json!(401), &json!("Unauthorized"))
    );
    assert_eq!(told(login()).await.0, 401);
    assert_eq!(
        told(login().body(r#"{"username":"operator@example.com"}"#))
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
            counters.of(Endpoint::Login)
        ),
        (0, 2, 4)
    );
}

#[tokio::test]
async fn calls_need_both_cookies_and_no_authorization() {
    let mut portal = Portal::open(Config::of(4)).await;
    let (status, body) = told(portal.get(USERS)).await;
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
    assert_eq!(told(portal.get(USERS)).await.0, 401);
    portal.cookies = String::new();
    assert_eq!(told(portal.get(USERS)).await.0, 401);
}

#[tokio::test]
async fn another_operator_is_none_of_your_business() {
    let portal = Portal::open(Config::of(4)).await;
    let answer = portal
        .get("/api/tni/v2/operators/220/regions?offset=0&count=10")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.text().await.unwrap().as_str()),
        (403, "RBAC: access denied")
    );
    assert_eq!(told(portal.get("/api/nqs/v1/nowhere")).await.0, 404);
}

#[tokio::test]
async fn a_header_can_be_required() {
    let config = Config {
        required_headers: vec!["x-caller-name".to_owned()],
        ..Config::of(4)
    };
    let portal = Portal::open(config).await;
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
    let mut portal = Portal::open(Config::of(4)).await;
    portal
        .sim
        .script(vec![Rule::on(Endpoint::Users, Fault::Expire).once()]);
    assert_eq!(told(portal.get(USERS)).await.0, 401);
    assert_eq!(told(portal.get(USERS)).await.0, 401, "and stays so");
    let refresh = portal.call(reqwest::Method::POST, REFRESH).send().await.unwrap();
    assert_eq!(refresh.status(), 200);
    let fresh = cookies(&refresh);
    assert_eq!(fresh.len(), 2, "refreshToken and userId stay: {fresh:?}");
    let body: Value = serde_json::from_str(&refresh.text().await.unwrap()).unwrap();
    assert!(body["data"]["accessToken"].is_string() && body["data"]["idToken"].is_string());
    assert!(body["data"]["refreshToken"].is_null() && body["data"]["userId"].is_null());
    let old: Vec<_> = portal.cookies.split("; ").map(str::to_owned).collect();
    portal.cookies = fresh.join("; ");
    assert_eq!(told(portal.get(USERS)).await.0, 200);
    assert_eq!(
        told(portal.call(reqwest::Method::POST, REFRESH)).await.0,
        401,
        "two cookies are not four"
    );
    portal.cookies = old.join("; ");
    portal.sim.expire_sessions(true);
    assert_eq!(told(portal.call(reqwest::Method::POST, REFRESH)).await.0, 401);
    assert_eq!(portal.sim.counters().refreshes, 1);
}

#[tokio::test]
async fn tokens_die_of_age() {
    let portal = Portal::open(Config {
        token_lifetime: Duration::from_millis(1500),
        ..Config::of(4)
    })
    .await;
    assert_eq!(told(portal.get(USERS)).await.0, 200);
    tokio::time::sleep(Duration::from_millis(1510)).await;
    assert_eq!(told(portal.get(USERS)).await.0, 401);
    assert_eq!(told(portal.call(reqwest::Method::POST, REFRESH)).await.0, 200);
}

#[tokio::test]
async fn tokens_may_come_in_one_place_only() {
    let portal = Portal::closed(Config {
        tokens_in: TokensIn::Cookies,
        ..Config::of(4)
    })
    .await;
    let answer = portal.login().send().await.unwrap();
    assert_eq!(cookies(&answer).len(), 4);
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert!(body["data"]["accessToken"].is_null() && body["data"]["challengeResult"].is_null());

    let portal = Portal::closed(Config {
        tokens_in: TokensIn::Body,
        ..Config::of(4)
    })
    .await;
    let answer = portal.login().send().await.unwrap();
    assert!(cookies(&answer).is_empty());
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
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
    assert_eq!(told(call).await.0, 200);
}

#[tokio::test]
async fn a_challenge_is_a_200_without_tokens() {
    let portal = Portal::closed(Config::of(4)).await;
    portal.sim.script(vec![Rule::on(
        Endpoint::Login,
        Fault::Challenge {
            result: Some("SOFTWARE_TOKEN_MFA".into()),
        },
    )]);
    let answer = portal.login().send().await.unwrap();
    assert!(cookies(&answer).is_empty());
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert!(body["data"]["accessToken"].is_null() && body["data"]["session"].is_string());
    assert_eq!(body["data"]["challengeResult"], "SOFTWARE_TOKEN_MFA");
    assert_eq!(portal.sim.counters().logins, 0);
}

#[tokio::test]
async fn new_credentials_shut_the_old_ones_out() {
    let portal = Portal::open(Config::of(4)).await;
    portal.sim.set_credentials("operator@example.com", "another");
    assert_eq!(told(portal.login()).await.0, 401);
    assert_eq!(told(portal.get(USERS)).await.0, 200, "who is in stays in");
}

#[tokio::test]
async fn it_ends_with_its_handle_and_can_come_back() {
    let portal = Portal::open(Config::of(4)).await;
    let (address, url) = (portal.sim.address(), portal.sim.url().to_owned());
    portal.sim.stop().await;
    assert!(client().get(&url).send().await.unwrap_err().is_connect());
    let back = Portal::open(Config {
        listen: address,
        ..Config::of(4)
    })
    .await;
    assert_eq!(back.sim.url(), url);
    assert_eq!(
        told(back.get(&format!("{REGIONS}?offset=0&count=9"))).await.0,
        200
    );
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_unless_it_is_trusted() {
    let config = Config {
        transport: crate::simulator::Transport::SelfSigned,
        ..Config::of(4)
    };
    let portal = Portal::closed(config).await;
    assert!(portal.sim.url().starts_with("https://"));
    assert!(portal.login().send().await.unwrap_err().is_connect());
    let pem = portal.sim.ca_pem().unwrap();
    let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let http = reqwest::Client::builder()
        .tls_certs_only([trusted])
        .build()
        .unwrap();
    let answer = http.post(format!("{}{LOGIN}", portal.sim.url()));
    let answer = answer
        .basic_auth("operator@example.com", Some("correct horse"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("Secure"), "{cookie}");
}
