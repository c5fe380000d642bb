//! Columns that store numbers more coarsely, and numbers that are out of range.

use super::{AccessMode, changes, counts, fleet, notes, ready, stored, sync, tests_as_both_roles};

tests_as_both_roles! {
    values_are_compared_as_their_columns_store_them,
    numbers_that_are_out_of_range_are_noted_and_replaced,
}

async fn values_are_compared_as_their_columns_store_them(mode: AccessMode) {
    let types = [
        ("numeric(6,1)", "1598.7"),
        ("int", "1599"),
        ("numeric(5,-1)", "1600"),
        ("real", "1598.65"),
        ("float8", "1598.65"),
        ("numeric", "1598.65"),
    ];
    for (kind, expected) in types {
        let (database, store) = ready(mode).await;
        database
            .sql(&format!(
                "CREATE DOMAIN height AS {kind};
                 ALTER TABLE tarana_base_stations ALTER height_m TYPE height, ALTER lat TYPE real, ALTER lng TYPE numeric(8,3),
                    ALTER azimuth_deg TYPE smallint, ALTER cell_id TYPE bigint"
            ))
            .await;
        let mut fleet = fleet(&["S1", "S2", "S3"]);
        for (row, lng) in fleet.iter_mut().zip([28_056_499, 28_056_500, -28_056_500]) {
            row.height_cm = Some(159_865);
            row.azimuth_cdeg = Some(4_550);
            row.position.lng_e6 = lng;
        }
        assert_eq!(counts(&sync(&store, &fleet).await), [3, 0, 0, 0, 0, 0], "{kind}");
        let expected = format!("S1 {expected} 28.056 46, S2 {expected} 28.057 46, S3 {expected} -28.057 46");
        assert_eq!(
            stored(&database, "height_m, lng, azimuth_deg").await,
            expected,
            "{kind}"
        );
        let version = "SELECT string_agg(xmin::text, ',') FROM tarana_base_stations";
        let before = database.value(version).await;
        assert_eq!(counts(&sync(&store, &fleet).await), [0, 0, 3, 0, 0, 0], "{kind}");
        assert_eq!(database.value(version).await, before, "{kind}");
        fleet[1].height_cm = Some(100_000);
        assert_eq!(counts(&sync(&store, &fleet).await), [0, 1, 2, 0, 0, 0], "{kind}");
        assert_eq!(changes(&database).await, "1 update S2 t");
        assert_eq!(notes(&database).await, "-");
    }
}

async fn numbers_that_are_out_of_range_are_noted_and_replaced(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    let fleet = fleet(&["S1", "S2", "S3", "S4"]);
    sync(&store, &fleet).await;
    database
        .sql(
            "ALTER TABLE tarana_base_stations ALTER height_m TYPE float8, ALTER lat TYPE numeric, ALTER cell_id TYPE bigint,
                ALTER site_id TYPE bigint;
             UPDATE tarana_base_stations SET height_m = 'Infinity', hostname = 'x' WHERE serial_number = 'S1';
             UPDATE tarana_base_stations SET lat = 1e9 WHERE serial_number = 'S2';
             UPDATE tarana_base_stations SET cell_id = 5000000000, site_id = 5000000000 WHERE serial_number = 'S3'",
        )
        .await;
    let closed = sync(&store, &fleet).await;
    assert_eq!(counts(&closed), [0, 3, 1, 0, 0, 0]);
    let columns = "height_m, lat, cell_id, site_id";
    let expected = "S1 1598.6 -26.107912 4, S2 1598.6 -26.107912 4, S3 1598.6 -26.107912 4 5000000000, S4 1598.6 -26.107912 4";
    assert_eq!(
        stored(&database, columns).await,
        expected,
        "what the vendor does not have is kept"
    );
    let noted = notes(&database).await;
    for part in [
        "note S1: height_m: ",
        "note S2: lat: ",
        "note S3: cell_id: ",
        "note S3: site_id: ",
    ] {
        assert!(noted.contains(part), "{part}: {noted}");
    }
    assert_eq!(counts(&sync(&store, &fleet).await), [0, 0, 4, 0, 0, 0]);
}
