//! Valid and invalid configurations.

use devenv::simulator::{Config as World, Endpoint, Fault as Trouble, Rule};
use tarana_operator::fault::Reason;
use tarana_operator::tarana::{Client, Config};

use super::{config, fetch, simulator};

#[tokio::test]
async fn bad_input_names_its_field() {
    let sim = simulator(World::with_base_nodes(1)).await;
    let base = config(&sim);
    let url = |url: &str| Config {
        base_url: url.into(),
        ..base.clone()
    };
    for (config, field) in [
        (url(""), "spec.api.url"),
        (url("portal.example.com"), "spec.api.url"),
        (url("ftp://portal.example.com"), "spec.api.url"),
        (url("https://user:pass@portal.example.com"), "spec.api.url"),
        (url("https://portal.example.com/?x=1"), "spec.api.url"),
        (
            Config {
                ca_pem: Some(b"no certificate".to_vec()),
                ..base.clone()
            },
            "spec.api.caSecretRef",
        ),
        (
            Config {
                username: String::new(),
                ..base.clone()
            },
            "spec.api.credentialsSecretRef",
        ),
        (
            Config {
                username: "a:b".into(),
                ..base.clone()
            },
            "spec.api.credentialsSecretRef",
        ),
        (
            Config {
                password: "".into(),
                ..base.clone()
            },
            "spec.api.credentialsSecretRef",
        ),
    ] {
        let fault = Client::new(config).unwrap_err();
        assert_eq!(fault.reason, Reason::InvalidConfiguration, "{fault}");
        assert!(
            fault.message.contains(field) && !fault.message.contains("pass@"),
            "{fault}"
        );
    }
    assert_eq!(sim.counters().requests_to(Endpoint::Any), 0);
    Client::new(url(&format!(" {}/ ", base.base_url)))
        .unwrap()
        .verify()
        .await
        .unwrap();
}

#[tokio::test]
async fn regions_are_included_and_excluded() {
    let sim = simulator(World::default()).await;
    let all = Client::new(config(&sim)).unwrap().verify().await.unwrap().regions;
    assert!(all.len() > 2 && all.iter().all(|region| region.name.is_some()));
    let ids: Vec<i32> = all.iter().map(|region| region.id).collect();
    let with = |include: &[i32], exclude: &[i32]| {
        let (include_region_ids, exclude_region_ids) = (include.to_vec(), exclude.to_vec());
        Client::new(Config {
            include_region_ids,
            exclude_region_ids,
            ..config(&sim)
        })
        .unwrap()
    };
    let some = with(&ids[..2], &ids[1..2]);
    assert_eq!(some.verify().await.unwrap().regions, all[..1]);
    let fetched = fetch(&some).await.unwrap();
    assert_eq!(fetched.covered.into_iter().collect::<Vec<_>>(), ids[..1]);
    let here = sim
        .base_nodes()
        .iter()
        .filter(|row| row.region == i64::from(ids[0]))
        .count();
    assert_eq!(fetched.stations.len(), here);
    for (client, reason, part) in [
        (with(&[ids[0], 77], &[]), Reason::RegionNotFound, "77"),
        (with(&[], &ids), Reason::NoRegions, "spec.api.excludeRegionIds"),
    ] {
        let fault = client.verify().await.unwrap_err();
        assert_eq!(fault.reason, reason);
        assert!(fault.message.contains(part), "{fault}");
    }
}

#[tokio::test]
async fn the_operator_is_given_claimed_or_asked_for() {
    let sim = simulator(World {
        operator_id: 7,
        ..World::with_base_nodes(5)
    })
    .await;
    let given = Client::new(Config {
        operator_id: Some(7),
        ..config(&sim)
    })
    .unwrap();
    assert_eq!(given.verify().await.unwrap().operator_id, 7);
    let claimed = Client::new(config(&sim)).unwrap();
    assert_eq!(claimed.verify().await.unwrap().operator_id, 7);
    assert_eq!(sim.counters().requests_to(Endpoint::Users), 0);

    let bare = r#"{"data":{"idToken":"opaque","accessToken":"opaque"},"error":null}"#;
    let login = Rule::on(
        Endpoint::Login,
        Trouble::Status {
            status: 200,
            body: Some(bare.into()),
        },
    );
    let user = |operator: &str| {
        let body = Some(format!(r#"{{"data":{{"operatorId":{operator}}},"error":null}}"#));
        Rule::on(Endpoint::Users, Trouble::Status { status: 200, body })
    };
    let list = r#"{"data":{"items":[{"id":1,"name":"R"}],"count":1,"offset":0,"totalCount":1},"error":null}"#;
    let regions = Rule::on(
        Endpoint::Regions,
        Trouble::Status {
            status: 200,
            body: Some(list.into()),
        },
    );
    sim.set_rules(vec![login.clone(), user(r#""7""#), regions]);
    assert_eq!(
        Client::new(config(&sim))
            .unwrap()
            .verify()
            .await
            .unwrap()
            .operator_id,
        7
    );
    let refused = Rule::on(
        Endpoint::Users,
        Trouble::Status {
            status: 403,
            body: None,
        },
    );
    for rule in [user("null"), user(r#""x""#), refused] {
        sim.set_rules(vec![login.clone(), rule]);
        let fault = Client::new(config(&sim)).unwrap().verify().await.unwrap_err();
        assert_eq!(fault.reason, Reason::OperatorIdUnknown, "{fault}");
        assert!(fault.message.contains("spec.api.operatorId"), "{fault}");
    }
}
