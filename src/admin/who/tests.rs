use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::bearer;

fn headers(values: &[&str]) -> HeaderMap {
    values
        .iter()
        .map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap()))
        .collect()
}

#[test]
fn one_bearer_token_is_one() {
    for sent in ["Bearer abc", "bearer abc", "BEARER  abc"] {
        assert_eq!(bearer(&headers(&[sent])).unwrap(), "abc", "{sent}");
    }
}

#[test]
fn anything_else_is_none() {
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
        assert!(bearer(&headers(sent)).is_err(), "{sent:?}");
    }
}
