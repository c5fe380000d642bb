//! Row-level security that hides rows.

use super::{AccessMode, counts, fleet, ready, run, stored, sync};
use crate::store_support::open;
use tarana_operator::fault::Reason;

#[tokio::test]
async fn a_policy_that_may_hide_rows_fails_the_run() {
    let (database, store) = ready(AccessMode::LeastPrivilege).await;
    sync(&store, &fleet(&["S1", "S2", "S3"])).await;
    let rest = "DROP POLICY \"Base stations are public\" ON tarana_base_stations;
                ALTER POLICY tarana_operator_role ON tarana_base_stations";
    // It does not look at the rows, so all are visible.
    database
        .sql(&format!("{rest} USING (current_user <> 'nobody')"))
        .await;
    assert_eq!(
        counts(&sync(&store, &fleet(&["S1", "S2"])).await),
        [0, 0, 2, 1, 0, 0]
    );

    let hidden = "ALTER POLICY tarana_operator_role ON tarana_base_stations USING (serial_number <> 'S2')";
    let restricted = "ALTER POLICY tarana_operator_role ON tarana_base_stations USING (true);
                      CREATE POLICY narrow ON tarana_base_stations AS RESTRICTIVE USING (region_id > 0)";
    for policies in [hidden, restricted] {
        database.sql(policies).await;
        let run = run();
        let fence = open(&store, &run).await;
        let fault = store
            .begin_apply(run.id, fence, &|_| ())
            .await
            .map(drop)
            .unwrap_err();
        assert_eq!(fault.reason, Reason::DatabaseRightsMissing, "{policies}");
        assert!(fault.message.contains("row-level security"), "{fault}");
        assert!(fault.message.contains("(SELECT)"), "{fault}");
    }
    assert_eq!(stored(&database, "NULL").await, "S1, S2");
}

/// A policy for writes costs the rows that it rejects.
#[tokio::test]
async fn a_policy_that_limits_writes_costs_the_rows_that_it_rejects() {
    let (database, store) = ready(AccessMode::LeastPrivilege).await;
    sync(&store, &fleet(&["S1", "S2", "S3"])).await;
    database
        .sql(
            "CREATE POLICY a ON tarana_base_stations AS RESTRICTIVE FOR INSERT WITH CHECK (serial_number <> 'S5');
             CREATE POLICY w ON tarana_base_stations AS RESTRICTIVE FOR UPDATE USING (serial_number <> 'S1');
             CREATE POLICY d ON tarana_base_stations AS RESTRICTIVE FOR DELETE USING (serial_number <> 'S3')",
        )
        .await;
    let mut fleet = fleet(&["S1", "S2", "S4", "S5"]);
    for row in &mut fleet[..2] {
        row.device_status = Some(0);
    }
    assert_eq!(counts(&sync(&store, &fleet).await), [1, 1, 0, 0, 2, 1]);
    assert_eq!(stored(&database, "device_status").await, "S1 1, S2 0, S3 1, S4 1");
}
