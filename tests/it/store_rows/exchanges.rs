//! Unique constraints that a valid end does not violate.

use super::{AccessMode, changes, counts, fleet, notes, ready, row, stored, sync, tests_as_both_roles};
use tarana_operator::station::Row;

tests_as_both_roles! {
    a_radio_is_replaced_under_its_name,
    stations_exchange_their_names,
    stations_exchange_a_nullable_value,
    a_chain_of_names_is_moved,
    a_real_conflict_costs_one_value,
}

const UNIQUE: &str = "ALTER TABLE tarana_base_stations ADD UNIQUE (hostname)";

fn named(names: &[(&str, &str)]) -> Vec<Row> {
    let with_name = |(serial, name): &(&str, &str)| Row {
        hostname: (*name).into(),
        ..row(serial)
    };
    names.iter().map(with_name).collect()
}

async fn a_radio_is_replaced_under_its_name(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    database.sql(UNIQUE).await;
    sync(&store, &named(&[("S1", "a"), ("S2", "b")])).await;
    let closed = sync(&store, &named(&[("S1", "a"), ("S3", "b")])).await;
    assert_eq!(counts(&closed), [1, 0, 1, 1, 0, 0]);
    assert_eq!(stored(&database, "hostname").await, "S1 a, S3 b");
    assert_eq!(notes(&database).await, "-");
}

async fn stations_exchange_their_names(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    for unique in [
        UNIQUE,
        "CREATE UNIQUE INDEX ON tarana_base_stations (lower(hostname))",
    ] {
        database
            .sql("ALTER TABLE tarana_base_stations DROP CONSTRAINT IF EXISTS tarana_base_stations_hostname_key")
            .await;
        database.sql(unique).await;
        let names = [("S1", "a"), ("S2", "b"), ("S3", "c"), ("S4", "d"), ("S5", "e")];
        sync(&store, &named(&names)).await;
        // Two swap, three rotate; one of them has a value that is rejected.
        database
            .sql("ALTER TABLE tarana_base_stations ADD CONSTRAINT height CHECK (height_m > 0)")
            .await;
        let mut swapped = named(&[("S1", "b"), ("S2", "a"), ("S3", "d"), ("S4", "e"), ("S5", "c")]);
        swapped[4].height_cm = Some(-1);
        let closed = sync(&store, &swapped).await;
        assert_eq!(counts(&closed), [0, 5, 0, 0, 0, 0]);
        assert_eq!(
            stored(&database, "hostname").await,
            "S1 b, S2 a, S3 d, S4 e, S5 c"
        );
        let noted = notes(&database).await;
        assert!(
            noted.starts_with("note S5: height_m: ") && noted.lines().count() == 1,
            "{noted}"
        );
        assert_eq!(
            changes(&database).await,
            "1 update S1 t, 2 update S2 t, 3 update S3 t, 4 update S4 t, 5 update S5 t"
        );
        database
            .sql("ALTER TABLE tarana_base_stations DROP CONSTRAINT height")
            .await;
    }
}

async fn stations_exchange_a_nullable_value(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    database
        .sql("ALTER TABLE tarana_base_stations ADD UNIQUE (cell_id, market)")
        .await;
    let mut both = fleet(&["S1", "S2"]);
    both[1].cell_id = Some(5);
    sync(&store, &both).await;
    (both[0].cell_id, both[1].cell_id) = (Some(5), Some(4));
    let closed = sync(&store, &both).await;
    assert_eq!(counts(&closed), [0, 2, 0, 0, 0, 0]);
    assert_eq!(stored(&database, "cell_id").await, "S1 5, S2 4");
}

/// Each takes the name that the next one gives up, over the limits of statements.
async fn a_chain_of_names_is_moved(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    database.sql(UNIQUE).await;
    let at = |shift: u32| {
        let row = |i: u32| Row {
            hostname: format!("host-{}", i + shift).into(),
            ..row(&format!("S{i}"))
        };
        (10_000..10_400).map(row).collect::<Vec<_>>()
    };
    sync(&store, &at(0)).await;
    let closed = sync(&store, &at(1)).await;
    assert_eq!(counts(&closed), [0, 400, 0, 0, 0, 0]);
    assert_eq!(notes(&database).await, "-");
}

async fn a_real_conflict_costs_one_value(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    database.sql(UNIQUE).await;
    sync(&store, &named(&[("S1", "a"), ("S2", "b"), ("S3", "c")])).await;
    let mut fleet = named(&[("S1", "a"), ("S2", "a"), ("S3", "b")]);
    fleet[1].device_status = Some(0);
    let closed = sync(&store, &fleet).await;
    assert_eq!(counts(&closed), [0, 1, 2, 0, 0, 0]);
    assert_eq!(
        stored(&database, "hostname, device_status").await,
        "S1 a 1, S2 b 0, S3 c 1"
    );
    assert_eq!(notes(&database).await.lines().count(), 2);
}
