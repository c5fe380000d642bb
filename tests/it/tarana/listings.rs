//! `OperatorList` and `RadioSearch`: the same fleet with another proof.

use std::collections::BTreeMap;

use devenv::simulator::{Config as World, Endpoint, Fault as Trouble, Rule, Simulator};
use tarana_operator::fault::Reason;
use tarana_operator::station::{Fetched, Listing, Proof, Station};
use tarana_operator::tarana::{Client, Config};

use super::{assert_whole, config, fetch, simulator};

const OTHERS: [(Listing, Endpoint); 2] = [
    (Listing::OperatorList, Endpoint::OperatorDevices),
    (Listing::RadioSearch, Endpoint::Radios),
];

fn by(sim: &Simulator, listing: Listing) -> Client {
    let config = Config {
        listing: Some(listing),
        ..config(sim)
    };
    Client::new(config).unwrap()
}

fn stations(fetched: &Fetched) -> BTreeMap<String, Station> {
    let by_serial = |s: &Station| (s.serial.to_string(), s.clone());
    fetched.stations.iter().map(by_serial).collect()
}

#[tokio::test]
async fn every_listing_reads_the_same_fleet() {
    for world in [
        World::default(),
        World {
            page_cap: 7,
            ..World::with_base_nodes(60)
        },
        World {
            honour_count: false,
            ..World::with_base_nodes(60)
        },
        World {
            honour_type: true,
            ..World::with_base_nodes(60)
        },
    ] {
        let sim = simulator(world).await;
        let best = stations(&fetch(&by(&sim, Listing::RegionSearch)).await.unwrap());
        for (listing, _) in OTHERS {
            let client = by(&sim, listing);
            // The second fetch has cached shapes, and still checks the answers.
            for _ in 0..2 {
                let fetched = fetch(&client).await.unwrap();
                assert_whole(&sim, &fetched);
                assert_eq!((fetched.listing, &fetched.proof), (listing, &Proof::TwoReadings));
                for (serial, station) in stations(&fetched) {
                    let mut want = best[&serial].clone();
                    if listing == Listing::OperatorList && station.region_id.is_none() {
                        // Only RegionSearch knows the region of a record without ancestry.
                        assert_eq!(want.market_id, None, "{serial}");
                        (want.region_id, want.region) = (None, None);
                    }
                    assert_eq!(station, want, "{serial} by {listing}");
                }
            }
        }
    }
}

#[tokio::test]
async fn regions_are_included_and_excluded_by_every_listing() {
    let sim = simulator(World::default()).await;
    for exclude in [true, false] {
        let read = async |listing| {
            let config = Config {
                listing: Some(listing),
                exclude_region_ids: if exclude { vec![1079] } else { vec![] },
                include_region_ids: if exclude { vec![] } else { vec![1074, 1079] },
                ..config(&sim)
            };
            fetch(&Client::new(config).unwrap()).await.unwrap()
        };
        let best = read(Listing::RegionSearch).await;
        for (listing, _) in OTHERS {
            let found = read(listing).await;
            assert_eq!(found.covered, best.covered, "{listing}");
            let (mut want, mut got) = (stations(&best), stations(&found));
            for orphan in &found.skipped {
                // It may belong to a region that is not read, but it is present.
                want.remove(orphan.serial.as_deref().unwrap());
            }
            let serials =
                |map: &mut BTreeMap<String, Station>| std::mem::take(map).into_keys().collect::<Vec<_>>();
            assert_eq!(serials(&mut got), serials(&mut want), "{listing}");
        }
    }
}

#[tokio::test]
async fn remote_nodes_are_counted_where_the_listing_has_them() {
    let sim = simulator(World::with_base_nodes(60)).await;
    let read = async |listing| {
        let config = Config {
            listing: Some(listing),
            count_connections: true,
            ..config(&sim)
        };
        stations(&fetch(&Client::new(config).unwrap()).await.unwrap())
    };
    let (best, list, radios) = (
        read(Listing::RegionSearch).await,
        read(Listing::OperatorList).await,
        read(Listing::RadioSearch).await,
    );
    assert!(best.values().any(|s| s.active_connections > Some(0)));
    for (serial, station) in &best {
        assert_eq!(
            list[serial].active_connections, station.active_connections,
            "{serial}"
        );
        assert_eq!(radios[serial].active_connections, None, "unknown, not zero");
    }
}

#[tokio::test]
async fn a_transient_gap_is_detected_and_read_again() {
    for (listing, endpoint) in OTHERS {
        let on = |trouble| Rule::on(endpoint, trouble);
        for rule in [
            on(Trouble::ShortPage { items: 3 }),
            on(Trouble::ShortPage { items: 1 }).offset_from(5).after(1),
        ] {
            let sim = simulator(World::with_base_nodes(60)).await;
            sim.set_rules(vec![rule.clone()]);
            let fetched = fetch(&by(&sim, listing))
                .await
                .unwrap_or_else(|e| panic!("{rule:?}: {e}"));
            assert_whole(&sim, &fetched);
        }
    }
    // Without a total an empty page looks like the end; the next two readings agree.
    let sim = simulator(World::with_base_nodes(60)).await;
    sim.set_rules(vec![
        Rule::on(Endpoint::Radios, Trouble::EmptyPage)
            .offset_from(1)
            .once(),
    ]);
    let fetched = fetch(&by(&sim, Listing::RadioSearch)).await.unwrap();
    assert_whole(&sim, &fetched);
    assert_eq!(fetched.proof, Proof::TwoReadings);
}

#[tokio::test]
async fn a_persistent_gap_is_incomplete() {
    let same = |rows| Trouble::RepeatRows {
        rows,
        different: false,
    };
    for (listing, endpoint) in OTHERS {
        let on = |trouble| Rule::on(endpoint, trouble);
        let mut rules = vec![
            on(Trouble::EmptyPage).offset_from(10),
            on(Trouble::DropRows { rows: 2 }),
            on(same(2)),
            on(Trouble::RepeatRows {
                rows: 1,
                different: true,
            }),
        ];
        if listing == Listing::OperatorList {
            rules.push(on(Trouble::WrongTotal { by: 5, step: 0 }));
            rules.push(on(Trouble::WrongTotal { by: -5, step: 0 }));
            rules.push(on(Trouble::WrongTotal { by: 0, step: 1 }));
        }
        for rule in rules {
            for honour_count in [true, false] {
                let sim = simulator(World {
                    honour_count,
                    ..World::with_base_nodes(60)
                })
                .await;
                sim.set_rules(vec![rule.clone()]);
                let outcome = fetch(&by(&sim, listing)).await.map(|fetched| fetched.len());
                let fault = outcome.expect_err(&format!("{listing} {honour_count} {rule:?}"));
                assert_eq!(fault.reason, Reason::FetchIncomplete, "{rule:?}: {fault}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_that_is_cut_short_in_either_order_is_not_proven() {
    let world = World {
        honour_sort: false,
        ..World::with_base_nodes(60)
    };
    let sim = simulator(world).await;
    sim.set_rules(vec![
        Rule::on(Endpoint::Radios, Trouble::EmptyPage).offset_from(10),
    ]);
    let fetched = fetch(&by(&sim, Listing::RadioSearch)).await.unwrap();
    assert!(fetched.len() < 60);
    assert!(matches!(fetched.proof, Proof::None(_)), "{:?}", fetched.proof);
}

#[tokio::test]
async fn a_fleet_that_changes_between_two_readings_is_read_again() {
    for (listing, endpoint) in OTHERS {
        let sim = simulator(World::with_base_nodes(60)).await;
        // The first page of every list of the second reading hangs until the fleet has changed.
        let lists = if listing == Listing::OperatorList { 1 } else { 4 };
        let rule = Rule::on(endpoint, Trouble::Hang { after_bytes: None }).offset(0);
        sim.set_rules(vec![rule.after(lists).times(lists)]);
        let client = by(&sim, listing);
        let (outcome, ()) = tokio::join!(fetch(&client), async {
            sim.wait_until_hanging(usize::try_from(lists).unwrap()).await;
            sim.vanish(3);
            sim.add(3);
            sim.release_hanging();
        });
        assert_whole(&sim, &outcome.unwrap());
    }
}

#[tokio::test]
async fn without_the_hierarchy_names_are_unknown() {
    for rule in [
        Trouble::Status {
            status: 403,
            body: None,
        },
        Trouble::Status {
            status: 404,
            body: None,
        },
        Trouble::Html,
    ] {
        let sim = simulator(World::with_base_nodes(60)).await;
        sim.set_rules(vec![Rule::on(Endpoint::Hierarchy, rule)]);
        let fetched = fetch(&by(&sim, Listing::RadioSearch)).await.unwrap();
        assert_whole(&sim, &fetched);
        assert_eq!(fetched.notes.len(), 1);
        assert!(fetched.stations.iter().any(|s| s.site_id.is_some()));
        assert!(
            fetched
                .stations
                .iter()
                .all(|s| s.site_name.is_none() && s.market.is_none())
        );
    }
    let sim = simulator(World::with_base_nodes(60)).await;
    let away = Trouble::Status {
        status: 503,
        body: None,
    };
    sim.set_rules(vec![Rule::on(Endpoint::Hierarchy, away)]);
    let fault = fetch(&by(&sim, Listing::RadioSearch)).await.unwrap_err();
    assert_eq!(
        fault.reason,
        Reason::ApiUnavailable,
        "a transient fault is returned"
    );
}

#[tokio::test]
async fn a_region_without_base_nodes_in_the_operator_list_is_not_covered() {
    let sim = simulator(World::with_base_nodes(60)).await;
    for row in sim.base_nodes().iter().filter(|row| row.region == 1075) {
        sim.remove(&row.serial);
    }
    let fetched = fetch(&by(&sim, Listing::OperatorList)).await.unwrap();
    assert!(!fetched.covered.contains(&1075) && fetched.covered.contains(&1073));
    assert!(fetched.notes.iter().any(|note| note.why.contains("1075")));
}
