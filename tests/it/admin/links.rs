//! Links, which begin with the public URL if it is known.

use serde_json::{Value, json};
use tarana_operator::admin::PublicUrl;

use super::client::AdminClient;
use crate::environment::TestEnvironment;
use crate::servers;

/// The link to a run that is created for it, and the document.
async fn link_and_document(admin: &AdminClient) -> (String, String, Value) {
    admin.create_connection().await;
    let body = json!({"namespace": admin.env.namespace});
    let created = admin.post(&admin.editor, "/api/v1/syncs", &body).await;
    assert_eq!(created.status, 201, "{created:?}");
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let document = admin.get(&admin.viewer, "/openapi.json").await.json();
    (created.header("location").to_owned(), id, document)
}

#[tokio::test(flavor = "multi_thread")]
async fn links_begin_with_the_public_url() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let admin = AdminClient::start_configured(env, |config| {
        config.public_url = PublicUrl::parse("https://example.org/tarana/").unwrap();
    })
    .await;
    let (location, id, document) = link_and_document(&admin).await;
    assert_eq!(location, format!("https://example.org/tarana/api/v1/syncs/{id}"));
    assert_eq!(
        document["servers"],
        json!([{"url": "https://example.org/tarana"}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_public_url_links_are_relative_to_the_host() {
    let admin = AdminClient::start().await;
    let (location, id, document) = link_and_document(&admin).await;
    assert_eq!(location, format!("/api/v1/syncs/{id}"));
    assert_eq!(document.get("servers"), None);
    // The link works.
    let run = admin.get(&admin.viewer, &location).await;
    assert_eq!(run.json()["id"], json!(id));
}
