//! The database role of an operator that does not migrate: after an upgrade, its script is run again. Until then the operator names what is missing.

use reqwest::Url;
use sqlx::{AssertSqlSafe, PgPool};
use tarana_operator::fault::Reason;
use tarana_operator::store::{Config, Store};

use super::previous;
use crate::servers;
use crate::store_support::psql;

/// Relative to `migrations/roles/`.
const PREVIOUS_SCRIPT: &str = "../../tests/it/upgrade/previous/operator.sql";

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_previous_release_works_after_its_script_is_run_again() {
    let role = format!("upgraded_{}", uuid::Uuid::new_v4().simple());
    let url = servers::database(&role).await;
    previous::restore_tables(&url, &previous::Renamed::default());
    psql(&url, PREVIOUS_SCRIPT, &role, "public");
    let config = |url: &str, migrate| Config {
        url: url.to_owned(),
        ca_pem: None,
        schema: "public".into(),
        migrate,
    };
    Store::new(&config(&url, true)).unwrap().migrate().await.unwrap();
    let password = format!("ALTER ROLE {role} PASSWORD 'p'");
    let db = PgPool::connect(&url).await.unwrap();
    sqlx::query(AssertSqlSafe(password)).execute(&db).await.unwrap();
    let mut as_role = Url::parse(&url).unwrap();
    as_role.set_username(&role).unwrap();
    as_role.set_password(Some("p")).unwrap();
    let store = Store::new(&config(as_role.as_str(), false)).unwrap();
    let fault = store.verify().await.unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing, "{fault}");
    for column in ["spans", "stale", "next_attempt_at"] {
        assert!(fault.to_string().contains(column), "{column}: {fault}");
    }
    psql(&url, "operator.sql", &role, "public");
    store.verify().await.unwrap();
}
