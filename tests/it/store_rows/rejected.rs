//! Values and rows that types and constraints reject.

use super::{AccessMode, changes, counts, fleet, notes, ready, row, stored, sync, tests_as_both_roles};
use crate::store_support::{Database, apply, open, plan, run};
use tarana_operator::fault::Reason;
use tarana_operator::station::Change;
use tarana_operator::store::Store;

tests_as_both_roles! {
    rejected_values_are_dropped,
    rows_that_cannot_be_written_are_skipped,
    a_table_that_rejects_most_rows_fails_the_run,
    rejected_rows_are_found_among_thousands,
}

const CONSTRAINTS: &str = "
    CREATE DOMAIN band AS text CHECK (VALUE <> '6ghz');
    ALTER TABLE tarana_base_stations ALTER site_name TYPE varchar(12), ALTER band TYPE band, ALTER region_id TYPE smallint,
        ADD CONSTRAINT above_sea CHECK (height_m > 0)";

async fn rejected_values_are_dropped(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    database.sql(CONSTRAINTS).await;
    let good = fleet(&["S1", "S2", "S3", "S4", "S5", "S6"]);
    let mut bad = good.clone();
    bad[0].site_name = "Johannesburg North".into();
    bad[1].height_cm = Some(-500);
    bad[2].band = Some("6ghz".into());
    bad[3].region_id = Some(40_000);
    (bad[4].region_id, bad[4].height_cm, bad[4].hostname) = (Some(40_000), Some(-500), "new".into());
    bad[5].hostname = "new too".into();
    let columns = "site_name, height_m, band, region_id";

    let closed = sync(&store, &bad).await;
    assert_eq!(counts(&closed), [6, 0, 0, 0, 0, 0]);
    let expected = "S1 Unknown Site 1598.60 5ghz 1073, S2 Größe ☂ 5ghz 1073, S3 Größe ☂ 1598.60 1073, S4 Größe ☂ 1598.60 5ghz, \
                    S5 Größe ☂ 5ghz, S6 Größe ☂ 1598.60 5ghz 1073";
    assert_eq!(stored(&database, columns).await, expected);
    let noted = notes(&database).await;
    for part in [
        "note S1: site_name: the database rejected the value, the new row has none: value too long for type character varying(12) (22001)",
        "note S2: height_m: ",
        "above_sea",
        "note S3: band: ",
        "note S4: region_id: ",
        "note S5: height_m: ",
        "note S5: region_id: ",
    ] {
        assert!(noted.contains(part), "{part}: {noted}");
    }
    assert_eq!(noted.lines().count(), 6, "{noted}");

    sync(&store, &good).await;
    let before = stored(&database, columns).await;
    let closed = sync(&store, &bad).await;
    assert_eq!(counts(&closed), [0, 2, 4, 0, 0, 0], "only the hostnames changed");
    assert_eq!(
        stored(&database, columns).await,
        before,
        "the rows keep their values"
    );
    assert_eq!(changes(&database).await, "1 update S5 t, 2 update S6 t");
    let sides = "SELECT string_agg(after::text, ' ' ORDER BY seq) FROM tarana_sync_changes WHERE op = 'update' AND serial IN ('S5', 'S6')
                 AND run = (SELECT id FROM tarana_sync_logs ORDER BY created_at DESC LIMIT 1)";
    assert_eq!(
        database.value(sides).await,
        r#"{"hostname":"new"} {"hostname":"new too"}"#
    );
    assert_eq!(notes(&database).await.lines().count(), 6);
}

async fn rows_that_cannot_be_written_are_skipped(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    sync(&store, &fleet(&["S1", "S2", "S3"])).await;
    database
        .sql(
            "ALTER TABLE tarana_base_stations ADD CONSTRAINT south CHECK (lat < 0);
             ALTER TABLE tarana_base_stations ADD CONSTRAINT frozen CHECK (serial_number <> 'S2') NOT VALID;
             ALTER TABLE tarana_base_stations ADD CONSTRAINT both_or_none CHECK ((site_id IS NULL) = (sector_id IS NULL))",
        )
        .await;
    let mut fleet = fleet(&["S1", "S2", "S3", "S4", "S5"]);
    fleet[0].position.lat_e6 = 26_000_000;
    fleet[0].hostname = "renamed".into();
    fleet[1].hostname = "renamed".into();
    (fleet[2].site_id, fleet[2].sector_id) = (Some(1), Some(2));
    fleet[3].position.lat_e6 = 26_000_000;
    let closed = sync(&store, &fleet).await;
    assert_eq!(counts(&closed), [1, 2, 0, 0, 2, 0]);
    let expected = "S1 -26.107912 renamed, S2 -26.107912 host \"S2\", S3 -26.107912 host \"S3\" 1 2, S5 -26.107912 host \"S5\"";
    assert_eq!(
        stored(&database, "lat, hostname, site_id, sector_id").await,
        expected
    );
    let noted = notes(&database).await;
    for part in [
        "note S1: lat, lng: ",
        "skipped S2: ",
        "skipped S4: ",
        "south",
        "frozen",
    ] {
        assert!(noted.contains(part), "{part}: {noted}");
    }
    assert_eq!(
        changes(&database).await,
        "1 update S1 t, 2 update S3 t, 3 insert S5 t"
    );
}

async fn a_table_that_rejects_most_rows_fails_the_run(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    database
        .sql("ALTER TABLE tarana_base_stations ADD CONSTRAINT north CHECK (lat > 0 OR serial_number = 'S0')")
        .await;
    let run = run();
    let fence = open(&store, &run).await;
    let inserts = (0..40).map(|i| Change::Insert(row(&format!("S{i}")))).collect();
    let apply = apply(&store, &run, fence).await;
    let fault = apply.finish(&plan(inserts), false, &[]).await.unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseError);
    for part in ["21 of 40 records", "S1: ", "north"] {
        assert!(fault.message.contains(part), "{part}: {fault}");
    }
    assert_eq!(
        database.value("SELECT count(*) FROM tarana_base_stations").await,
        "0"
    );
}

async fn rejected_rows_are_found_among_thousands(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    database.sql(CONSTRAINTS).await;
    let serials: Vec<String> = (10_000..18_000).map(|i| format!("S{i}")).collect();
    let mut all: Vec<_> = serials.iter().map(|serial| row(serial)).collect();
    for at in [0, 1, 4000, 7999] {
        all[at].height_cm = Some(-1);
    }
    let closed = sync(&store, &all).await;
    assert_eq!(counts(&closed), [8000, 0, 0, 0, 0, 0]);
    let heights = "SELECT concat_ws(' ', count(*), count(height_m)) FROM tarana_base_stations";
    assert_eq!(database.value(heights).await, "8000 7996");
    let numbered = "SELECT concat_ws(' ', count(DISTINCT seq), min(seq), max(seq), count(DISTINCT serial)) FROM tarana_sync_changes";
    assert_eq!(database.value(numbered).await, "8000 1 8000 8000");
}

#[tokio::test]
async fn characters_that_the_encoding_lacks_cost_a_value() {
    let outer = Database::new(AccessMode::Direct).await;
    let (_, name) = outer.address_and_name();
    let latin = format!("{name}_latin");
    outer
        .sql(&format!(
            "CREATE DATABASE {latin} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
        ))
        .await;
    let mut config = outer.direct();
    config.url = config.url.replace(name, &latin);
    let store = Store::new(&config).unwrap();
    store.verify().await.unwrap();
    let mut fleet = fleet(&["S1", "S2", "S\u{2602}"]);
    fleet[0].site_name = "Größe".into();
    let closed = sync(&store, &fleet).await;
    assert_eq!(counts(&closed), [2, 0, 0, 0, 1, 0]);
    let latin = Database::at(config.url, &outer);
    assert_eq!(stored(&latin, "site_name").await, "S1 Größe, S2 Unknown Site");
    let noted = notes(&latin).await;
    assert!(
        noted.contains("note S2: site_name: ") && noted.contains("skipped S?: "),
        "{noted}"
    );
    let closed = sync(&store, &fleet).await;
    assert_eq!(counts(&closed), [0, 0, 2, 0, 1, 0]);
}
