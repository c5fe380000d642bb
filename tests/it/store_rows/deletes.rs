//! Deletes that the database refuses.

use super::{
    AccessMode, changes, counts, fleet, notes, ready, row, run, stored, sync, sync_with, tests_as_both_roles,
};

tests_as_both_roles! {
    referenced_stations_are_kept_and_named,
    a_deferred_reference_is_found_before_the_commit,
    the_unique_name_of_a_kept_station_is_not_taken,
}

async fn referenced_stations_are_kept_and_named(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    sync(&store, &fleet(&["S1", "S2", "S3", "S4"])).await;
    database
        .sql(
            "CREATE TABLE orders (id int, tower text REFERENCES tarana_base_stations (serial_number));
             INSERT INTO orders VALUES (1, 'S3')",
        )
        .await;
    let mut left = fleet(&["S1", "S5"]);
    left[0].hostname = "renamed".into();
    for dry_run in [true, false] {
        let mut run = run();
        run.dry_run = dry_run;
        let closed = sync_with(&store, &left, &run).await;
        assert_eq!(counts(&closed), [1, 1, 0, 2, 0, 1], "dry run: {dry_run}");
        assert_eq!(closed.reason.as_deref(), Some("DeletesWithheld"));
        let message = closed.message.unwrap();
        assert!(
            message.contains("S3: ") && message.contains("orders_tower_fkey"),
            "{message}"
        );
        assert!(notes(&database).await.contains("note S3: stale"));
        let applied = if dry_run { "f" } else { "t" };
        let expected = format!(
            "1 delete S2 {applied}, 2 delete S4 {applied}, 3 delete S3 f, 4 update S1 {applied}, 5 insert S5 {applied}"
        );
        assert_eq!(changes(&database).await, expected);
        if dry_run {
            assert_eq!(stored(&database, "NULL").await, "S1, S2, S3, S4");
        }
    }
    assert_eq!(stored(&database, "NULL").await, "S1, S3, S5");
}

async fn a_deferred_reference_is_found_before_the_commit(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    sync(&store, &fleet(&["S1", "S2", "S3"])).await;
    database
        .sql(
            "CREATE TABLE orders (tower text REFERENCES tarana_base_stations (serial_number) DEFERRABLE INITIALLY DEFERRED);
             INSERT INTO orders VALUES ('S3')",
        )
        .await;
    for dry_run in [true, false] {
        let mut run = run();
        run.dry_run = dry_run;
        let closed = sync_with(&store, &fleet(&["S1", "S4"]), &run).await;
        assert_eq!(counts(&closed), [1, 0, 1, 1, 0, 1], "dry run: {dry_run}");
    }
    assert_eq!(stored(&database, "NULL").await, "S1, S3, S4");
}

async fn the_unique_name_of_a_kept_station_is_not_taken(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    database
        .sql("ALTER TABLE tarana_base_stations ADD UNIQUE (hostname)")
        .await;
    sync(&store, &fleet(&["S1"])).await;
    database
        .sql(
            "CREATE TABLE orders (tower text REFERENCES tarana_base_stations (serial_number));
             INSERT INTO orders VALUES ('S1')",
        )
        .await;
    let mut replacement = row("S2");
    replacement.hostname = row("S1").hostname;
    let closed = sync(&store, &[replacement]).await;
    assert_eq!(counts(&closed), [1, 0, 0, 0, 0, 1]);
    assert_eq!(stored(&database, "hostname").await, "S1 host \"S1\", S2 S2");
    let noted = notes(&database).await;
    assert!(
        noted.contains("note S2: hostname: ") && noted.contains("hostname_key"),
        "{noted}"
    );
}
