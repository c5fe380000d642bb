//! A list is read completely, or the fetch fails.

use std::sync::Mutex;

use devenv::simulator::{Config as World, Endpoint, Fault as Trouble, Rule};
use tarana_operator::fault::Reason;
use tarana_operator::tarana::{Client, Config};

use super::{assert_whole, config, fetch, reason, search, simulator, under};

#[tokio::test]
async fn the_whole_fleet_is_read() {
    let sim = simulator(World::default()).await;
    let client = Client::new(config(&sim)).unwrap();
    let seen = Mutex::new(Vec::new());
    let fetched = client
        .fetch(&|rows, total| seen.lock().unwrap().push((rows, total)))
        .await
        .unwrap();
    assert_whole(&sim, &fetched);
    assert_eq!((fetched.skipped.len(), fetched.notes.len()), (0, 0));
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.last(), Some(&(718, 718)));
    assert!(seen.is_sorted_by_key(|(rows, _)| *rows));
    assert!(
        sim.requests()
            .iter()
            .all(|r| r.caller.as_deref() == Some("operator-portal"))
    );
    let agent = concat!("tarana-operator/", env!("CARGO_PKG_VERSION"));
    assert!(
        sim.requests()
            .iter()
            .all(|r| r.user_agent.as_deref() == Some(agent))
    );
    assert_eq!(sim.counters().logins, 1);
    assert!(sim.counters().in_flight_max <= 4);
}

#[tokio::test]
async fn any_page_size_and_server_cap_works() {
    for (page_size, page_cap) in [(1000, 5000), (1000, 7), (7, 3), (1, 5000), (13, 5000)] {
        let sim = simulator(World {
            page_cap,
            ..World::with_base_nodes(60)
        })
        .await;
        let client = Client::new(Config {
            page_size,
            ..config(&sim)
        })
        .unwrap();
        for time in 0..3 {
            let fetched = fetch(&client).await.unwrap();
            assert_whole(&sim, &fetched);
            // The cached shape is wrong from now on.
            if time == 1 {
                sim.add(25)
            } else {
                sim.vanish(12)
            };
        }
    }
}

#[tokio::test]
async fn short_pages_are_continued() {
    for rule in [
        search(Trouble::ShortPage { items: 3 }),
        search(Trouble::ShortPage { items: 3 }).once(),
        search(Trouble::ShortPage { items: 1 }).offset_from(5).after(1),
    ] {
        let (sim, fetched) = under(vec![rule]).await;
        assert_whole(&sim, &fetched.unwrap());
    }
}

#[tokio::test]
async fn what_does_not_add_up_is_incomplete() {
    let wrong = |by, step| search(Trouble::WrongTotal { by, step });
    for rule in [
        search(Trouble::EmptyPage).offset_from(1),
        wrong(5, 0),
        wrong(-1, 0).region(1073),
        wrong(-10, 0).region(1073),
        wrong(0, 1),
        wrong(3, 0).offset_from(1),
        search(Trouble::DropRows { rows: 2 }),
        search(Trouble::DropRows { rows: 2 }).offset(10),
        search(Trouble::RepeatRows {
            rows: 2,
            different: false,
        }),
        search(Trouble::RepeatRows {
            rows: 2,
            different: true,
        })
        .offset(0),
        Rule::on(Endpoint::Regions, Trouble::WrongTotal { by: 1, step: 0 }),
    ] {
        assert_eq!(reason(rule.clone()).await, Reason::FetchIncomplete, "{rule:?}");
    }
}

#[tokio::test]
async fn what_does_not_add_up_once_is_read_again() {
    let repeat = Trouble::RepeatRows {
        rows: 1,
        different: true,
    };
    for rule in [
        search(Trouble::EmptyPage).offset_from(1).once(),
        search(Trouble::WrongTotal { by: 3, step: 0 })
            .offset_from(1)
            .once(),
        search(Trouble::WrongTotal { by: 3, step: 0 }).once(),
        search(Trouble::WrongCount { by: 1 }).once(),
        search(Trouble::WrongOffset { by: 1 }).once(),
        search(Trouble::DropRows { rows: 2 }).region(1073).after(2).once(),
        search(repeat).region(1073).once(),
        search(Trouble::OtherRegion { region: 1074 }).region(1073).once(),
        Rule::on(Endpoint::Regions, Trouble::WrongTotal { by: 1, step: 0 }).once(),
        // In pages of one row, nothing repeats.
        Rule::on(
            Endpoint::Regions,
            Trouble::RepeatRows {
                rows: 1,
                different: false,
            },
        ),
    ] {
        let (sim, fetched) = under(vec![rule.clone()]).await;
        let fetched = fetched.unwrap_or_else(|fault| panic!("{rule:?}: {fault}"));
        assert_whole(&sim, &fetched);
        assert!(sim.rules()[0].fired > 0, "{rule:?}");
    }
}

/// The page after the last one proves that the list ends, whatever total it reports and although it may be rejected.
#[tokio::test]
async fn the_page_after_the_last_one_may_say_anything_but_rows() {
    let cases: [fn(i64) -> Trouble; 3] = [
        |total| Trouble::WrongTotal { by: -total, step: 0 },
        |_| Trouble::WrongTotal { by: 7, step: 0 },
        |_| Trouble::Status {
            status: 400,
            body: None,
        },
    ];
    for case in cases {
        let sim = simulator(World::with_base_nodes(40)).await;
        let client = Client::new(Config {
            include_region_ids: vec![1073],
            ..config(&sim)
        })
        .unwrap();
        let total = fetch(&client).await.unwrap().len();
        let trouble = case(i64::try_from(total).unwrap());
        let page_size = u32::try_from(total).unwrap();
        sim.set_rules(vec![search(trouble.clone()).offset_from(total)]);
        for client in [
            Client::new(Config {
                include_region_ids: vec![1073],
                page_size,
                ..config(&sim)
            })
            .unwrap(),
            client,
        ] {
            // With and without a total that is known before.
            let fetched = fetch(&client).await;
            let fetched = fetched.unwrap_or_else(|fault| panic!("{trouble:?}: {fault}"));
            assert_eq!(fetched.len(), total, "{trouble:?}");
        }
        assert!(sim.rules()[0].fired > 0, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_region_that_is_listed_twice_is_read_once() {
    let sim = simulator(World {
        repeated_regions: 1,
        ..World::with_base_nodes(40)
    })
    .await;
    let client = Client::new(config(&sim)).unwrap();
    assert_eq!(client.verify().await.unwrap().regions.len(), 4);
    assert_whole(&sim, &fetch(&client).await.unwrap());
}

#[tokio::test]
async fn a_list_of_one_page_is_read_again_in_smaller_pages() {
    let repeat = || {
        search(Trouble::RepeatRows {
            rows: 1,
            different: false,
        })
    };
    let whole = || search(Trouble::LongPage { items: 100 });
    for rules in [vec![repeat()], vec![whole(), repeat()]] {
        for base_nodes in [2, 3, 5, 12] {
            let sim = simulator(World::with_base_nodes(base_nodes)).await;
            sim.set_rules(rules.clone());
            let fault = fetch(&Client::new(config(&sim)).unwrap()).await.unwrap_err();
            assert_eq!(
                fault.reason,
                Reason::FetchIncomplete,
                "{base_nodes} under {rules:?}: {fault}"
            );
        }
    }
}

#[tokio::test]
async fn the_page_of_another_region_is_incomplete() {
    for region in [1073, 1074] {
        let found = reason(search(Trouble::OtherRegion { region })).await;
        assert_eq!(found, Reason::FetchIncomplete, "{region}");
    }
}

#[tokio::test]
async fn the_newest_of_confirmed_repeats_is_kept() {
    for page_size in [10, 1000] {
        let sim = simulator(World::with_base_nodes(60)).await;
        let serial = sim.base_nodes()[7].serial.to_string();
        sim.duplicate(&serial, |device| {
            let newer = device["lastUpdateTimeSeconds"].as_i64().unwrap_or_default() + 60;
            device["lastUpdateTimeSeconds"] = newer.into();
            device["hostName"] = "NEWER".into();
        });
        let client = Client::new(Config {
            page_size,
            ..config(&sim)
        })
        .unwrap();
        let fetched = fetch(&client).await.unwrap();
        let station = fetched
            .stations
            .iter()
            .filter(|s| *s.serial == *serial)
            .collect::<Vec<_>>();
        assert_eq!(station.len(), 1);
        assert_eq!(station[0].hostname.as_deref(), Some("NEWER"));
        assert_eq!(fetched.notes.len(), 1);
        assert_eq!(fetched.len(), 60);
    }
}

#[tokio::test]
async fn nothing_at_all_is_a_fault() {
    let sim = simulator(World::with_base_nodes(5)).await;
    sim.vanish(5);
    let fault = fetch(&Client::new(config(&sim)).unwrap()).await.unwrap_err();
    assert_eq!(fault.reason, Reason::FetchEmpty);
}

#[tokio::test]
async fn remote_nodes_are_counted_if_configured() {
    let sim = simulator(World::with_base_nodes(60)).await;
    let client = Client::new(Config {
        count_connections: true,
        ..config(&sim)
    })
    .unwrap();
    let fetched = fetch(&client).await.unwrap();
    assert_whole(&sim, &fetched);
    let rows = sim.devices();
    let devices: Vec<_> = rows.iter().map(|row| row.value().unwrap()).collect();
    for station in &fetched.stations {
        let served = devices
            .iter()
            .filter(|d| d["type"] == "RN" && d["connected"] == true && d["masterSerial"] == *station.serial);
        let served = i32::try_from(served.count()).unwrap();
        assert_eq!(station.active_connections, Some(served), "{}", station.serial);
    }
    assert!(fetched.stations.iter().any(|s| s.active_connections > Some(0)));
}

#[tokio::test]
async fn dropping_a_fetch_cancels_its_requests() {
    let sim = simulator(World::with_base_nodes(60)).await;
    sim.set_rules(vec![search(Trouble::Hang { after_bytes: None })]);
    let client = Client::new(config(&sim)).unwrap();
    tokio::select! {
        _ = fetch(&client) => panic!("the fetch ended"),
        () = sim.wait_until_hanging(1) => {}
    }
    sim.wait_until(|counters| counters.in_flight == 0).await;
}

#[tokio::test]
async fn a_fetch_is_send() {
    fn is_send<T: Send>(_: &T) {}
    let sim = simulator(World::with_base_nodes(5)).await;
    let client = Client::new(config(&sim)).unwrap();
    let (fetching, verifying) = (client.fetch(&|_, _| ()), client.verify());
    is_send(&fetching);
    is_send(&verifying);
    assert_eq!(fetching.await.unwrap().len(), 5);
}
