//! What a connection holds, for as long as it is there.

use kube::api::DeleteParams;
use serde_json::json;

use super::world::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_gone_lets_go_of_the_database() {
    let w = World::new().await;
    w.run("first", json!({})).await;
    let others =
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                  and usename is not null and state is not null";
    assert!(
        w.number(others).await > 0,
        "the operator keeps its connections while it may need them"
    );
    let gone = w.connections().delete("default", &DeleteParams::default()).await;
    gone.unwrap();
    until("the operator has let go of the database", || async {
        (w.number(others).await == 0).then_some(())
    })
    .await;
}
