//! The resources of a connection.

use kube::api::DeleteParams;
use serde_json::json;

use super::environment::{TestEnvironment, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_connection_closes_its_database_pool() {
    let env = TestEnvironment::new().await;
    env.run("first", json!({})).await;
    let others =
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                  and usename is not null and state is not null";
    assert!(
        env.number(others).await > 0,
        "the pool stays open while the connection exists"
    );
    let deleted = env
        .connections()
        .delete("default", &DeleteParams::default())
        .await;
    deleted.unwrap();
    wait_until("the pool is closed", || async {
        (env.number(others).await == 0).then_some(())
    })
    .await;
}
