use std::collections::BTreeSet;

use super::{ListingBuilder, Repeats};
use crate::station::{Fetched, Rejected, Station};
use crate::tarana::listing::device::{Base, Device, Remote};
use crate::tarana::listing::region::Region;

fn base(serial: &str, hostname: &str, updated: Option<i64>) -> Device {
    let station = Station {
        serial: serial.into(),
        hostname: Some(hostname.into()),
        ..Station::default()
    };
    Device::Base(Box::new(Base {
        station,
        notes: vec![],
        updated,
    }))
}

fn rejected(serial: Option<&str>) -> Device {
    Device::Rejected(Rejected {
        serial: serial.map(Into::into),
        why: "why".into(),
    })
}

fn remote(serial: &str, served_by: Option<&str>) -> Device {
    Device::Remote(Remote {
        serial: Some(serial.into()),
        served_by: served_by.map(Into::into),
        updated: None,
    })
}

fn build(count: bool, devices: Vec<Device>) -> (Repeats, Fetched) {
    let mut builder = ListingBuilder::new(count);
    for (row, device) in (0..).zip(devices) {
        builder.add(device, (0, row));
    }
    let repeats = builder.repeats();
    let fetched = builder.build(&repeats, BTreeSet::from([1073]));
    (repeats, fetched)
}

fn hosts(fetched: &Fetched) -> Vec<&str> {
    fetched
        .stations
        .iter()
        .filter_map(|s| s.hostname.as_deref())
        .collect()
}

#[test]
fn the_newest_record_of_a_repeated_serial_is_kept() {
    for (a, b, want) in [
        (Some(1), Some(2), "b"),
        (Some(2), Some(1), "a"),
        (Some(2), Some(2), "a"),
        (None, Some(1), "b"),
        (None, None, "a"),
    ] {
        let (repeats, fetched) = build(
            false,
            vec![base("S1", "a", a), base("S0", "x", None), base("S1", "b", b)],
        );
        assert_eq!(repeats, Repeats::from([("S1".into(), 2)]));
        assert_eq!(hosts(&fetched), [want, "x"], "{a:?} {b:?}");
        assert_eq!(fetched.notes.len(), 1);
    }
}

#[test]
fn a_usable_record_is_preferred() {
    let devices = vec![
        rejected(Some("S1")),
        base("S1", "a", None),
        rejected(Some("S2")),
        rejected(Some("S2")),
        rejected(None),
    ];
    let (repeats, fetched) = build(false, devices);
    assert_eq!(repeats.len(), 2);
    assert_eq!((fetched.len(), hosts(&fetched)), (3, vec!["a"]));
    assert_eq!((fetched.skipped_serials().len(), fetched.unidentified()), (1, 1));
}

#[test]
fn connected_remotes_are_counted_per_base_node() {
    let devices = || {
        vec![
            remote("R1", Some("S1")),
            base("S1", "a", None),
            base("S2", "b", None),
            remote("R2", Some("S1")),
            remote("R3", None),
            remote("R2", Some("S1")),
            remote("R4", Some("S9")),
        ]
    };
    let counts = |f: &Fetched| {
        f.stations
            .iter()
            .map(|s| s.active_connections)
            .collect::<Vec<_>>()
    };
    assert_eq!(counts(&build(true, devices()).1), [Some(2), Some(0)]);
    assert_eq!(counts(&build(false, devices()).1), [None, None]);
}

#[test]
fn a_station_in_the_list_of_another_region_is_misplaced() {
    let lists = [1073, 1074].map(|id| Region { id, name: None });
    let of = |serial: &str, region| {
        let Device::Base(mut base) = base(serial, "x", None) else {
            unreachable!()
        };
        base.station.region_id = region;
        Device::Base(base)
    };
    let misplaced = |devices: Vec<(Device, usize)>| {
        let mut builder = ListingBuilder::new(false);
        for (device, list) in devices {
            builder.add(device, (list, 0));
        }
        builder.misplaced(&lists)
    };
    let own = || {
        vec![
            (of("A", Some(1073)), 0),
            (of("B", Some(1074)), 1),
            (rejected(None), 1),
        ]
    };
    assert_eq!(misplaced(own()), None);
    let with = own().into_iter().chain([(of("C", Some(1073)), 1)]).collect();
    assert_eq!(misplaced(with), Some((1074, 1073)));
}
