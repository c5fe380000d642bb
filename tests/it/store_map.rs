//! The stations of a map, and their groups.

use tarana_operator::store::{Bounds, MapQuery, StationExtent, StationFilter, StationMap, Store};

use crate::store_support::{AccessMode, Database, ready, tests_with_every_mode};

tests_with_every_mode! {
    stations_are_grouped_by_the_cells_of_a_grid,
    every_position_is_on_the_map,
    a_map_is_bounded,
}

const WORLD: Bounds = Bounds {
    west: -180.0,
    south: -90.0,
    east: 180.0,
    north: 90.0,
};

/// Stations with these serial numbers, positions and states.
async fn insert(database: &Database, stations: &[(&str, f64, f64, i32)]) {
    let values: Vec<String> = stations
        .iter()
        .map(|(serial, lng, lat, online)| {
            format!("('{serial}', 'host', 'site {serial}', {lng}, {lat}, {online}, 90)")
        })
        .collect();
    let insert = "INSERT INTO tarana_base_stations (serial_number, hostname, site_name, lng, lat, device_status, azimuth_deg) VALUES";
    database.sql(&format!("{insert} {}", values.join(","))).await;
}

async fn read(store: &Store, bounds: Bounds, cells: f64, is_detailed: bool) -> StationMap {
    let query = MapQuery {
        bounds,
        cells,
        is_detailed,
    };
    store
        .station_map(&StationFilter::default(), &query)
        .await
        .unwrap()
}

fn serials(map: &StationMap) -> Vec<&str> {
    map.stations
        .iter()
        .map(|station| station.serial.as_str())
        .collect()
}

fn counts(map: &StationMap) -> Vec<(i64, i64)> {
    map.groups
        .iter()
        .map(|group| (group.stations, group.online))
        .collect()
}

async fn stations_are_grouped_by_the_cells_of_a_grid(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    insert(
        &database,
        &[
            // Two places in one cell.
            ("A1", 28.2, -26.1, 1),
            ("A2", 28.3, -26.1, 0),
            ("A3", 28.4, -26.1, 1),
            // One place with two stations, in another cell. Its coordinates are no sums of powers of two.
            ("B1", 18.456_789, -33.987_654, 1),
            ("B2", 18.456_789, -33.987_654, 0),
            ("C1", 10.0, 50.0, 0),
            ("N1", 0.0, 0.0, 1),
        ],
    )
    .await;
    let map = read(&store, WORLD, 64.0, false).await;
    assert_eq!(serials(&map), ["B1", "B2", "C1"]);
    assert_eq!(counts(&map), [(3, 2)]);
    let group = map.groups[0];
    assert!(
        (group.lng - 28.3).abs() < 1e-9 && (group.lat + 26.1).abs() < 1e-9,
        "{group:?}"
    );
    let station = &map.stations[1];
    assert_eq!(
        (station.site_name.as_str(), station.online, station.azimuth_deg),
        ("site B2", false, Some(90.0))
    );
    assert_eq!((station.lng, station.lat), (18.456_789, -33.987_654));
    let detailed = read(&store, WORLD, 64.0, true).await;
    assert_eq!(serials(&detailed), ["A1", "A2", "A3", "B1", "B2", "C1"]);
    assert_eq!(counts(&detailed), []);
    let south = Bounds {
        north: -30.0,
        ..WORLD
    };
    assert_eq!(serials(&read(&store, south, 1.0, false).await), ["B1", "B2"]);

    let offline = StationFilter {
        online: Some(false),
        ..StationFilter::default()
    };
    let query = MapQuery {
        bounds: WORLD,
        cells: 64.0,
        is_detailed: false,
    };
    let offline_map = store.station_map(&offline, &query).await.unwrap();
    assert_eq!(serials(&offline_map), ["A2", "B2", "C1"]);
    let extent = store.station_extent(&offline).await.unwrap();
    let bounds = Bounds {
        west: 10.0,
        south: -33.987_654,
        east: 28.3,
        north: 50.0,
    };
    assert_eq!(
        (extent.stations, extent.without_position, extent.bounds),
        (3, 0, Some(bounds))
    );
}

async fn every_position_is_on_the_map(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    let none = store.station_extent(&StationFilter::default()).await.unwrap();
    assert_eq!(none, StationExtent::default());
    assert_eq!(read(&store, WORLD, 4.0, false).await, StationMap::default());
    insert(
        &database,
        &[
            ("EAST", 180.0, 10.0, 1),
            ("NORTH", 5.0, 90.0, 1),
            ("NOWHERE", 181.0, 10.0, 1),
            ("SOUTH", 5.0, -90.0, 1),
            ("WEST", -180.0, 10.0, 1),
        ],
    )
    .await;
    database
        .sql(
            "INSERT INTO tarana_base_stations (serial_number, hostname, site_name, lng, lat) VALUES ('NAN', '', '', 'NaN', 1)",
        )
        .await;
    let placed = ["EAST", "NORTH", "SOUTH", "WEST"];
    for is_detailed in [true, false] {
        assert_eq!(
            serials(&read(&store, WORLD, 1024.0, is_detailed).await),
            placed,
            "{is_detailed}"
        );
    }
    // Across the antimeridian.
    let pacific = Bounds {
        west: 170.0,
        south: 0.0,
        east: -170.0,
        north: 20.0,
    };
    assert_eq!(
        serials(&read(&store, pacific, 1024.0, false).await),
        ["EAST", "WEST"]
    );
    let extent = store.station_extent(&StationFilter::default()).await.unwrap();
    assert_eq!(
        (extent.stations, extent.without_position, extent.bounds),
        (6, 2, Some(WORLD))
    );
}

async fn a_map_is_bounded(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    // A place with nine stations, and 2,500 places with one.
    database
        .sql(
            "INSERT INTO tarana_base_stations (serial_number, hostname, site_name, lng, lat, device_status)
             SELECT 'P' || n, 'h', 's', 1, 1, 1 FROM generate_series(1, 9) n UNION ALL
             SELECT 'S' || n, 'h', 's', (n % 50) * 3 + 2, n / 50 + 2, 0 FROM generate_series(0, 2499) n",
        )
        .await;
    let map = read(&store, WORLD, 4096.0, true).await;
    let sum: i64 = map.groups.iter().map(|group| group.stations).sum();
    assert_eq!((map.stations.len(), sum), (2000, 509));
    assert_eq!(counts(&map)[0], (9, 9));
}
