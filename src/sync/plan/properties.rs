//! Property: applying a plan to the table gives the listing. The rules are implemented a second time, simply and slowly, for
//! comparison.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::Options;
use super::tests::{plan, skipped, unsaid};
use crate::station::{Change, Fetched, Plan, Position, Proof, Row, RunCounts, Station, Text};

/// The expected row after the values of a station.
fn told(row: &Row, station: &Station) -> Row {
    let said = station.clone();
    Row {
        serial: said.serial,
        hostname: said.hostname.unwrap_or(row.hostname.clone()),
        site_name: said.site_name.unwrap_or(row.site_name.clone()),
        active_connections: said.active_connections.or(row.active_connections),
        market: said.market.or(row.market.clone()),
        position: said.position.unwrap_or(row.position),
        region: said.region.or(row.region.clone()),
        height_cm: said.height_cm.or(row.height_cm),
        azimuth_cdeg: said.azimuth_cdeg.or(row.azimuth_cdeg),
        band: said.band.or(row.band.clone()),
        device_status: said.connected.map(i32::from).or(row.device_status),
        region_id: said.region_id.or(row.region_id),
        market_id: said.market_id.or(row.market_id),
        site_id: said.site_id.or(row.site_id),
        cell_id: said.cell_id.or(row.cell_id),
        sector_id: said.sector_id.or(row.sector_id),
        cell_name: said.cell_name.or(row.cell_name.clone()),
        sector_name: said.sector_name.or(row.sector_name.clone()),
    }
}

type Table = BTreeMap<Text, Row>;

/// The expected stale rows.
fn stale(table: &Table, fetched: &Fetched) -> BTreeSet<Text> {
    let listed = |serial: &str| fetched.stations.iter().any(|s| &*s.serial == serial);
    let absent = |row: &&Row| !listed(&row.serial) && !fetched.skipped_serials().contains(&*row.serial);
    let covered = |row: &&Row| row.region_id.is_some_and(|id| fetched.covered.contains(&id));
    table
        .values()
        .filter(absent)
        .filter(covered)
        .map(|row| row.serial.clone())
        .collect()
}

/// Whether the deletes are expected to be allowed.
fn may_delete(table: &Table, fetched: &Fetched, options: &Options) -> bool {
    let covered = |row: &&Row| row.region_id.is_some_and(|id| fetched.covered.contains(&id));
    let (stale, rows) = (
        stale(table, fetched).len() as u64,
        table.values().filter(covered).count() as u64,
    );
    let exceeds =
        stale > u64::from(options.free_count) && stale * 100 > rows * u64::from(options.max_percent);
    let approved = options.approved_deletes.is_some_and(|n| u64::from(n) >= stale);
    let proven = !matches!(fetched.proof, Proof::None(_));
    proven && fetched.unidentified() == 0 && (!exceeds || approved)
}

/// The expected table after a sync.
fn expected(table: &Table, fetched: &Fetched, options: &Options) -> Table {
    let mut wanted = table.clone();
    for station in &fetched.stations {
        if let Some(row) = table.get(&station.serial) {
            wanted.insert(station.serial.clone(), told(row, station));
        } else if station.position.is_some() {
            wanted.insert(station.serial.clone(), told(&unsaid(&station.serial), station));
        }
    }
    if options.delete_stale && may_delete(table, fetched, options) {
        let stale = stale(table, fetched);
        wanted.retain(|serial, _| !stale.contains(serial));
    }
    wanted
}

/// Applies a plan to a table and asserts that each change matches the row before it.
fn apply(table: &Table, plan: &Plan) -> Table {
    let mut table = table.clone();
    for change in &plan.changes {
        match change {
            Change::Insert(row) => assert_eq!(table.insert(row.serial.clone(), row.clone()), None),
            Change::Update { before, after } => {
                assert_ne!(before, after);
                assert_eq!(
                    table.insert(after.serial.clone(), Row::clone(after)).as_ref(),
                    Some(&**before)
                );
            }
            Change::Delete(row) => assert_eq!(table.remove(&row.serial).as_ref(), Some(row)),
            Change::Withhold(row) => assert_eq!(table.get(&row.serial), Some(row)),
        }
    }
    table
}

/// The counts according to the table before and after.
fn observed_counts(
    before: &Table,
    after: &Table,
    fetched: &Fetched,
    withheld: usize,
    stale: usize,
) -> RunCounts {
    let both = || {
        fetched
            .stations
            .iter()
            .filter_map(|s| Some((before.get(&s.serial)?, after.get(&s.serial)?)))
    };
    let unheld = |s: &&Station| !after.contains_key(&s.serial);
    let number = |n: usize| i64::try_from(n).unwrap();
    RunCounts {
        fetched: number(fetched.len()),
        inserted: number(
            after
                .keys()
                .filter(|serial| !before.contains_key(*serial))
                .count(),
        ),
        updated: number(both().filter(|(b, a)| a != b).count()),
        unchanged: number(both().filter(|(b, a)| a == b).count()),
        deleted: number(
            before
                .keys()
                .filter(|serial| !after.contains_key(*serial))
                .count(),
        ),
        skipped: number(fetched.skipped.len() + fetched.stations.iter().filter(unheld).count()),
        withheld: number(withheld),
        stale: number(stale),
    }
}

/// Mostly the same value, so that rows and stations often are equal.
fn value() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![9 => Just(None), 9 => Just(Some(0)), 1 => Just(Some(1))]
}

fn any_station(serial: u8) -> impl Strategy<Value = Station> {
    proptest::array::uniform18(value()).prop_map(move |v| {
        let text = |at: usize| v[at].map(|n| format!("t{n}"));
        let number = |at: usize| v[at].map(i32::from);
        Station {
            serial: format!("S{serial:02}").into(),
            hostname: text(0).map(Into::into),
            site_name: text(1).map(Into::into),
            market: text(2).map(Into::into),
            region: text(3).map(Into::into),
            position: v[4].map(|n| Position {
                lat_e6: n.into(),
                lng_e6: 1,
            }),
            height_cm: number(5),
            azimuth_cdeg: number(6),
            band: text(7).map(Into::into),
            connected: v[8].map(|n| n == 1),
            active_connections: number(9),
            region_id: number(10),
            market_id: number(11),
            site_id: number(12),
            cell_id: number(13),
            sector_id: number(14),
            cell_name: text(15).map(Into::into),
            sector_name: text(16).map(Into::into),
        }
    })
}

/// A row of an earlier listing or of another program, whose nullable columns may be NULL.
fn any_row(serial: u8) -> impl Strategy<Value = Row> {
    (any_station(serial), any::<bool>()).prop_map(|(station, bare)| {
        let row = told(&unsaid(&station.serial), &station);
        if bare {
            Row {
                market: None,
                region: None,
                device_status: None,
                ..row
            }
        } else {
            row
        }
    })
}

fn any_table() -> impl Strategy<Value = Table> {
    let some = proptest::collection::btree_set(0..16u8, 0..16);
    let rows = some.prop_flat_map(|serials| serials.into_iter().map(any_row).collect::<Vec<_>>());
    rows.prop_map(|rows| rows.into_iter().map(|row| (row.serial.clone(), row)).collect())
}

fn any_fetch() -> impl Strategy<Value = Fetched> {
    let usable = proptest::collection::hash_set(0..16u8, 0..16)
        .prop_flat_map(|serials| serials.into_iter().map(any_station).collect::<Vec<_>>());
    let bad = proptest::collection::hash_set(prop_oneof![1 => 12..20u8, 9 => 0..20u8], 0..3);
    let covered = proptest::collection::btree_set(0..2, 0..3);
    let proven = prop::bool::weighted(0.9);
    (usable, bad, prop::bool::weighted(0.1), covered, proven).prop_map(
        |(stations, bad, unreadable, covered, proven)| {
            let serials = bad
                .into_iter()
                .map(|n| format!("S{n:02}"))
                .filter(|s| stations.iter().all(|t| *t.serial != **s));
            let mut rejected: Vec<_> = serials.map(|s| skipped(Some(&s))).collect();
            rejected.extend(unreadable.then(|| skipped(None)));
            Fetched {
                stations,
                skipped: rejected,
                covered,
                proof: if proven { Proof::Total } else { Proof::default() },
                ..Fetched::default()
            }
        },
    )
}

prop_compose! {
    fn any_options()(
        delete_stale in prop::bool::weighted(0.8),
        approved_deletes in proptest::option::weighted(0.2, 0..8u32),
        max_percent in 0..80u32,
        free_count in 0..4u32,
    ) -> Options {
        Options { delete_stale, approved_deletes, max_percent, free_count }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn applying_a_plan_gives_the_listing(table in any_table(), fetched in any_fetch(), options in any_options()) {
        let rows: Vec<Row> = table.values().cloned().collect();
        let first = plan(&rows, &fetched, options);
        let after = apply(&table, &first);
        prop_assert_eq!(&after, &expected(&table, &fetched, &options));

        let withheld: BTreeSet<_> = first.changes.iter()
            .filter_map(|c| if let Change::Withhold(row) = c { Some(row.serial.clone()) } else { None })
            .collect();
        let kept = options.delete_stale && !may_delete(&table, &fetched, &options);
        prop_assert_eq!(&withheld, &if kept { stale(&table, &fetched) } else { BTreeSet::new() });
        prop_assert_eq!(first.withheld_because.is_some(), !withheld.is_empty());

        let counts = first.counts;
        let is_known = options.delete_stale || (fetched.unidentified() == 0 && !matches!(fetched.proof, Proof::None(_)));
        let known = if is_known { stale(&table, &fetched).len() } else { 0 };
        prop_assert_eq!(counts, observed_counts(&table, &after, &fetched, withheld.len(), known));
        prop_assert_eq!(counts.fetched, counts.inserted + counts.updated + counts.unchanged + counts.skipped);
        prop_assert_eq!(first.skipped.len(), usize::try_from(counts.skipped).unwrap());

        // A second plan writes nothing, except deletes that now are a smaller percentage of a larger table.
        let again: Vec<Row> = after.values().cloned().collect();
        let second = plan(&again, &fetched, options);
        prop_assert_eq!(second.changes.len(), withheld.len());
        prop_assert!(second.changes.iter().all(|c| matches!(c, Change::Delete(_) | Change::Withhold(_))));
    }

    #[test]
    fn changes_are_ordered(table in any_table(), fetched in any_fetch(), options in any_options()) {
        let rows: Vec<Row> = table.into_values().rev().collect();
        let ranks: Vec<u8> = plan(&rows, &fetched, options).changes.iter().map(|change| match change {
            Change::Insert(_) => 0,
            Change::Update { .. } => 1,
            Change::Delete(_) | Change::Withhold(_) => 2,
        }).collect();
        prop_assert!(ranks.is_sorted());
    }
}
