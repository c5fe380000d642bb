//! An invalid record does not affect the rest of its page.

use devenv::simulator::{Config as World, Fault as Trouble, RecordDefect};
use tarana_operator::tarana::Client;

use super::{config, fetch, search, simulator, under};

/// The result of a blemished record.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Taken,
    Noted,
    Skipped { with_serial: bool },
}

fn fate(blemish: RecordDefect) -> Fate {
    use RecordDefect as B;
    match blemish {
        B::NullItem
        | B::TextItem
        | B::ListItem
        | B::NumberSerial
        | B::MissingSerial
        | B::BlankSerial
        | B::LongSerial
        | B::NulInSerial => Fate::Skipped { with_serial: false },
        B::UnknownType
        | B::LoneSurrogate
        | B::HugeExponent
        | B::CoordinatesAsText
        | B::CoordinatesOutOfRange
        | B::ParamsAsList => Fate::Skipped { with_serial: true },
        B::NulInName
        | B::IdOverInt4
        | B::FractionalId
        | B::HugeAzimuth
        | B::HugeHeight
        | B::HeightAsText
        | B::ConnectedAsText
        | B::LongName => Fate::Noted,
        B::PaddedSerial
        | B::CoordinatesZero
        | B::IdAsText
        | B::NegativeAzimuth
        | B::ConnectedAbsent
        | B::DeepNesting => Fate::Taken,
    }
}

#[tokio::test]
async fn every_blemish_has_its_fate() {
    for blemish in RecordDefect::ALL {
        let trouble = Trouble::Record {
            defect: blemish,
            at: 3,
            size: None,
        };
        let (_sim, fetched) = under(vec![search(trouble).offset(0).once()]).await;
        let fetched = fetched.unwrap_or_else(|fault| panic!("{blemish:?}: {fault}"));
        let got = match (&fetched.skipped[..], &fetched.notes[..]) {
            ([], []) => Fate::Taken,
            ([], [note]) if note.serial.is_some() => Fate::Noted,
            ([skipped], []) => Fate::Skipped {
                with_serial: skipped.serial.is_some(),
            },
            other => panic!("{blemish:?}: {other:?}"),
        };
        assert_eq!(got, fate(blemish), "{blemish:?}");
        assert_eq!(fetched.len(), 60, "{blemish:?}");
    }
}

#[tokio::test]
async fn a_record_without_ancestry_belongs_to_the_requested_region() {
    let sim = simulator(World::with_base_nodes(30)).await;
    let row = sim.base_nodes()[4].clone();
    sim.edit(&row.serial, |device| device["ancestry"] = serde_json::Value::Null);
    let fetched = fetch(&Client::new(config(&sim)).unwrap()).await.unwrap();
    let orphan = fetched.stations.iter().find(|s| s.serial == *row.serial).unwrap();
    assert_eq!(orphan.region_id.map(i64::from), Some(row.region));
    assert!(orphan.region.is_some() && orphan.market.is_none() && orphan.site_name.is_none());
}

#[tokio::test]
async fn unset_coordinates_are_no_position() {
    let sim = simulator(World::with_base_nodes(30)).await;
    let rows = sim.base_nodes();
    sim.edit(&rows[0].serial, |d| {
        d["installParams"] = serde_json::json!({"latitude": 0, "longitude": 0.0});
    });
    sim.edit(&rows[1].serial, |d| {
        d["installParams"]["latitude"] = serde_json::Value::Null;
    });
    let fetched = fetch(&Client::new(config(&sim)).unwrap()).await.unwrap();
    for row in &rows[..2] {
        let station = fetched.stations.iter().find(|s| s.serial == *row.serial).unwrap();
        assert_eq!(station.position, None);
    }
}
