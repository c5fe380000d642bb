//! Tables of cases, one per rule of a plan.

use super::{Options, Planner};
use crate::station::{Change, Fetched, Plan, Position, Proof, Rejected, Row, RunCounts, Station};

const HERE: Position = Position {
    lat_e6: -26_107_912,
    lng_e6: 28_056_721,
};

/// A station of region 1 with only a position.
fn station(serial: &str) -> Station {
    Station {
        serial: serial.into(),
        position: Some(HERE),
        region_id: Some(1),
        ..Station::default()
    }
}

/// A row with only the defaults.
pub(super) fn unsaid(serial: &str) -> Row {
    Row {
        serial: serial.into(),
        hostname: serial.into(),
        site_name: "Unknown Site".into(),
        active_connections: Some(0),
        market: Some("Unknown".into()),
        position: HERE,
        region: Some("South Africa".into()),
        height_cm: None,
        azimuth_cdeg: None,
        band: None,
        device_status: Some(0),
        region_id: None,
        market_id: None,
        site_id: None,
        cell_id: None,
        sector_id: None,
        cell_name: None,
        sector_name: None,
    }
}

fn row(serial: &str) -> Row {
    Row {
        region_id: Some(1),
        ..unsaid(serial)
    }
}

pub(super) fn skipped(serial: Option<&str>) -> Rejected {
    Rejected {
        serial: serial.map(Into::into),
        why: "bad".to_owned(),
    }
}

/// A complete listing of region 1.
fn reading(stations: impl IntoIterator<Item = Station>) -> Fetched {
    Fetched {
        stations: stations.into_iter().collect(),
        covered: [1].into(),
        proof: Proof::Total,
        ..Fetched::default()
    }
}

pub(super) fn plan(table: &[Row], fetched: &Fetched, options: Options) -> Plan {
    let mut planner = Planner::new(fetched.clone(), options);
    table.iter().cloned().for_each(|row| planner.add_row(row));
    planner.finish()
}

/// Options that delete without a guard.
const FREELY: Options = Options {
    delete_stale: true,
    approved_deletes: None,
    max_percent: 100,
    free_count: 0,
};
const KEEP: Options = Options {
    delete_stale: false,
    ..FREELY
};

fn numbered(n: usize) -> Vec<Row> {
    (0..n).map(|i| row(&format!("S{i:03}"))).collect()
}

#[test]
fn a_new_station_gets_defaults_for_absent_values() {
    let said = Station {
        hostname: Some("H".into()),
        connected: Some(true),
        ..station("B")
    };
    let found = plan(&[], &reading([said, station("A")]), KEEP);
    let told = Row {
        hostname: "H".into(),
        device_status: Some(1),
        ..row("B")
    };
    assert_eq!(found.changes, [Change::Insert(row("A")), Change::Insert(told)]);
    assert_eq!(
        found.counts,
        RunCounts {
            fetched: 2,
            inserted: 2,
            ..RunCounts::default()
        }
    );
}

#[test]
fn absent_values_change_nothing() {
    let known = Row {
        hostname: "H".into(),
        active_connections: Some(7),
        market: None,
        region: Some("Elsewhere".into()),
        device_status: Some(1),
        height_cm: Some(159_858),
        ..row("A")
    };
    let silent = Station {
        position: None,
        region_id: None,
        ..station("A")
    };
    let found = plan(&[known], &reading([silent]), KEEP);
    assert_eq!(found.changes, []);
    assert_eq!(
        found.counts,
        RunCounts {
            fetched: 1,
            unchanged: 1,
            ..RunCounts::default()
        }
    );
}

#[test]
fn null_columns_take_the_vendors_values() {
    let known = Row {
        market: None,
        band: None,
        device_status: None,
        ..row("A")
    };
    let said = Station {
        market: Some("JHB".into()),
        connected: Some(false),
        position: None,
        ..station("A")
    };
    let after = Row {
        market: Some("JHB".into()),
        device_status: Some(0),
        ..known.clone()
    };
    let found = plan(std::slice::from_ref(&known), &reading([said]), KEEP);
    assert_eq!(
        found.changes,
        [Change::Update {
            before: Box::new(known),
            after: Box::new(after)
        }]
    );
}

#[test]
fn a_station_without_position_is_updated_but_not_inserted() {
    let lost = |serial| Station {
        position: None,
        hostname: Some("H".into()),
        ..station(serial)
    };
    let found = plan(&[row("A")], &reading([lost("A"), lost("B")]), FREELY);
    let after = Row {
        hostname: "H".into(),
        ..row("A")
    };
    assert_eq!(
        found.changes,
        [Change::Update {
            before: Box::new(row("A")),
            after: Box::new(after)
        }]
    );
    assert_eq!(
        found.counts,
        RunCounts {
            fetched: 2,
            updated: 1,
            skipped: 1,
            ..RunCounts::default()
        }
    );
    assert_eq!(found.skipped[0].serial.as_deref(), Some("B"));
    assert!(found.skipped[0].why.contains("installParams.latitude"));
}

#[test]
fn only_rows_absent_from_a_covered_region_are_stale() {
    let elsewhere = Row {
        region_id: Some(2),
        ..unsaid("C")
    };
    let table = [row("A"), row("B"), elsewhere, unsaid("D"), row("E")];
    let fetched = Fetched {
        skipped: vec![skipped(Some("B"))],
        ..reading([station("A")])
    };
    let found = plan(&table, &fetched, FREELY);
    assert_eq!(found.changes, [Change::Delete(row("E"))]);
    assert_eq!(
        found.counts,
        RunCounts {
            fetched: 2,
            unchanged: 1,
            skipped: 1,
            deleted: 1,
            stale: 1,
            ..RunCounts::default()
        }
    );
    let kept = plan(&table, &fetched, KEEP).counts;
    assert_eq!((kept.deleted, kept.stale), (0, 1));
    assert_eq!(plan(&table, &fetched, KEEP).changes, []);
}

#[test]
fn the_guard_withholds_deletes_that_exceed_both_limits() {
    let guard = |free_count, max_percent, approved_deletes| Options {
        delete_stale: true,
        approved_deletes,
        max_percent,
        free_count,
    };
    for (rows, stale, options, withheld) in [
        (100, 5, guard(0, 5, None), false),
        (100, 6, guard(0, 5, None), true),
        (99, 5, guard(0, 5, None), true),
        (100, 10, guard(10, 5, None), false),
        (100, 11, guard(10, 5, None), true),
        (100, 100, guard(0, 100, None), false),
        (1, 1, guard(0, 0, None), true),
        (100, 40, guard(10, 5, Some(40)), false),
        (100, 40, guard(10, 5, Some(39)), true),
        (100, 3, guard(10, 5, Some(0)), false),
        (100, 0, guard(0, 0, None), false),
    ] {
        let listed = numbered(rows)
            .into_iter()
            .skip(stale)
            .map(|row| station(&row.serial));
        // Rows of a region that was not covered do not count for the percentage.
        let others = (0..500).map(|n| unsaid(&format!("T{n}")));
        let table: Vec<_> = numbered(rows).into_iter().chain(others).collect();
        let found = plan(&table, &reading(listed), options);
        let many = super::count(stale);
        let counts = (found.counts.withheld, found.counts.deleted);
        assert_eq!(
            counts,
            if withheld { (many, 0) } else { (0, many) },
            "{stale} of {rows}, {options:?}"
        );
        assert_eq!(found.withheld_because.is_some(), withheld);
    }
}

#[test]
fn an_unproven_listing_deletes_nothing() {
    let fetched = Fetched {
        proof: Proof::None("no total".into()),
        ..reading([station("A")])
    };
    let approved = Options {
        approved_deletes: Some(1000),
        ..FREELY
    };
    let found = plan(&[row("A"), row("B")], &fetched, approved);
    assert_eq!(found.changes, [Change::Withhold(row("B"))]);
    assert_eq!((found.counts.withheld, found.counts.stale), (1, 1));
    let kept = plan(&[row("A"), row("B")], &fetched, KEEP);
    assert_eq!(kept.counts.stale, 0, "no station can be called absent");
    assert!(found.withheld_because.unwrap().contains("no total"));
}

#[test]
fn a_record_without_serial_withholds_every_delete() {
    let fetched = Fetched {
        skipped: vec![skipped(None)],
        ..reading([])
    };
    let approved = Options {
        approved_deletes: Some(1000),
        free_count: 1000,
        ..FREELY
    };
    let found = plan(&numbered(2), &fetched, approved);
    assert_eq!(
        found.counts,
        RunCounts {
            fetched: 1,
            skipped: 1,
            withheld: 2,
            stale: 2,
            ..RunCounts::default()
        }
    );
    assert!(
        found
            .withheld_because
            .is_some_and(|why| why.contains("kept all 2 stale rows: 1 records"))
    );
    let kept = plan(&numbered(2), &fetched, KEEP);
    assert_eq!((kept.withheld_because, kept.counts.stale), (None, 0));
}

#[test]
fn the_reason_contains_the_numbers_and_the_remedy() {
    let options = Options {
        max_percent: 5,
        free_count: 10,
        approved_deletes: Some(7),
        ..FREELY
    };
    let why = plan(&numbered(40), &reading([]), options)
        .withheld_because
        .unwrap();
    for part in [
        "40 stale rows of 40",
        "allows 10 rows or 5 %",
        "only 7",
        "spec.approvedDeletes: 40",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(why.len() < 512, "fits the message of a condition");
}

#[test]
fn the_plan_of_a_first_sync_reuses_the_memory_of_its_listing() {
    assert!(size_of::<Change>() <= size_of::<Station>());
}

#[test]
fn a_row_that_one_of_two_readings_contains_is_not_stale() {
    let fetched = reading([station("S000")]);
    let plan = |missed: Option<[&str; 1]>| {
        let missed = missed.map(|serials| serials.map(Into::into).into());
        let mut planner = Planner::new(fetched.clone(), FREELY).confirming(missed);
        for row in numbered(3) {
            planner.add_row(row);
        }
        planner.missed().into_iter().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(plan(None), ["S001", "S002"]);
    assert_eq!(plan(Some(["S002"])), ["S002"]);
    assert_eq!(plan(Some(["S000"])), [""; 0]);
}
