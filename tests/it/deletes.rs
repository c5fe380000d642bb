//! What is deleted is gone: no single reading decides that.

use devenv::simulator::{Endpoint, Fault, Rule};
use serde_json::json;
use tarana_operator::api::sync::Phase;

use super::servers;
use super::truth::rows_of;
use super::world::{World, phase};

/// Between two pages one tower of the first goes and another comes at the end: the total is the same, and the first row
/// of the second page moves up where nobody looks any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_tower_that_slips_between_two_pages_is_not_deleted() {
    let mut w = World::bare(servers::tcs()).await;
    w.start_operator();
    w.secret("tcs", &servers::credentials()).await;
    w.secret("database", &json!({"url": w.database_url})).await;
    let api = json!({"pageSize": 50, "maxInFlight": 1, "includeRegionIds": [1073]});
    w.connection("default", json!({"api": api, "deleteGuard": {"freeCount": 100}}))
        .await;
    w.run("first", json!({})).await;
    let page = Rule::on(Endpoint::Search, Fault::Hang { after_bytes: None });
    w.tcs.script(vec![page.offset(50).once()]);
    w.sync("second", json!({"deleteStale": true})).await;
    w.tcs.until_hanging(1).await;
    let of_region = || {
        let rows = w.tcs.base_nodes().into_iter().filter(|row| row.region == 1073);
        rows.map(|row| row.serial.to_string()).collect::<Vec<_>>()
    };
    let before = of_region();
    assert!(w.tcs.remove(&before[0]));
    while of_region().len() < before.len() {
        w.tcs.add(1);
    }
    w.tcs.release();
    assert_eq!(phase(&w.finished("second").await), Phase::Completed);
    let unplaced = |serial: &&String| {
        let row = w
            .tcs
            .base_nodes()
            .into_iter()
            .find(|row| *row.serial == ***serial)
            .unwrap();
        let lat = row.value().unwrap()["installParams"]["latitude"].as_f64();
        lat.is_none_or(|lat| lat == 0.0)
    };
    let standing: Vec<String> = before[1..]
        .iter()
        .filter(|serial| !unplaced(serial))
        .cloned()
        .collect();
    assert_eq!(
        rows_of(&w, &standing).await,
        i64::try_from(standing.len()).unwrap()
    );

    let third = w.run("third", json!({"deleteStale": true})).await;
    assert_eq!(
        third.status.unwrap().counts.unwrap().deleted,
        1,
        "what is gone goes"
    );
    assert_eq!(rows_of(&w, &before[..1]).await, 0);
}
