use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::bearer_token;

fn headers(values: &[&str]) -> HeaderMap {
    values
        .iter()
        .map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap()))
        .collect()
}

#[test]
fn one_bearer_token_is_accepted() {
    for sent in ["Bearer abc", "bearer abc", "BEARER  abc"] {
        assert_eq!(bearer_token(&headers(&[sent])).unwrap(), "abc", "{sent}");
    }
}

#[test]
fn any_other_authorization_is_rejected() {
    let long = format!("Bearer {}", "x".repeat(20_000));
    for sent in [
        &[][..],
        &["Bearer"],
        &["Bearer "],
        &["Basic abc"],
        &["abc"],
        &[long.as_str()],
        &["Bearer a", "Bearer b"],
    ] {
        assert!(bearer_token(&headers(sent)).is_err(), "{sent:?}");
    }
}
