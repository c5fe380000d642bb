//! Deletes: a station must be absent from two readings.

use devenv::simulator::{Endpoint, Fault, Rule};
use serde_json::json;
use tarana_operator::api::sync::Phase;

use super::environment::{TestEnvironment, phase};
use super::expected_table::count_rows_of;
use super::servers;

/// Between two pages, a station of the first page is removed and another is added at the end. The total is unchanged, and the
/// first station of the second page moves to the first page, which was already read.
#[tokio::test(flavor = "multi_thread")]
async fn a_station_that_moves_between_two_pages_is_not_deleted() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.start_operator();
    env.secret("tcs", &servers::credentials()).await;
    env.secret("database", &json!({"url": env.database_url})).await;
    let api = json!({"pageSize": 50, "maxInFlight": 1, "includeRegionIds": [1073]});
    env.connection("default", json!({"api": api, "deleteGuard": {"freeCount": 100}}))
        .await;
    env.run("first", json!({})).await;
    let page = Rule::on(Endpoint::Search, Fault::Hang { after_bytes: None });
    env.tcs.set_rules(vec![page.offset(50).once()]);
    env.sync("second", json!({"deleteStale": true})).await;
    env.tcs.wait_until_hanging(1).await;
    let of_region = || {
        let rows = env.tcs.base_nodes().into_iter().filter(|row| row.region == 1073);
        rows.map(|row| row.serial.to_string()).collect::<Vec<_>>()
    };
    let before = of_region();
    assert!(env.tcs.remove(&before[0]));
    while of_region().len() < before.len() {
        env.tcs.add(1);
    }
    env.tcs.release_hanging();
    assert_eq!(phase(&env.finished("second").await), Phase::Completed);
    let has_no_position = |serial: &&String| {
        let row = env
            .tcs
            .base_nodes()
            .into_iter()
            .find(|row| *row.serial == ***serial)
            .unwrap();
        let lat = row.value().unwrap()["installParams"]["latitude"].as_f64();
        lat.is_none_or(|lat| lat == 0.0)
    };
    let existing: Vec<String> = before[1..]
        .iter()
        .filter(|serial| !has_no_position(serial))
        .cloned()
        .collect();
    assert_eq!(
        count_rows_of(&env, &existing).await,
        i64::try_from(existing.len()).unwrap()
    );

    let third = env.run("third", json!({"deleteStale": true})).await;
    assert_eq!(
        third.status.unwrap().counts.unwrap().deleted,
        1,
        "the removed station is deleted"
    );
    assert_eq!(count_rows_of(&env, &before[..1]).await, 0);
}
