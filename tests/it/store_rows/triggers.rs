//! Triggers that change, keep, suppress or refuse what is written.

use tarana_operator::trace::notices;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{AccessMode, changes, counts, fleet, notes, ready, stored, sync, tests_as_both_roles};

tests_as_both_roles! {
    a_trigger_that_keeps_the_old_name_changes_nothing,
    what_a_trigger_stores_is_recorded,
    a_row_that_a_trigger_suppresses_is_skipped,
}

const KEEPS_NAME: &str = "
    CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.hostname := OLD.hostname; RETURN NEW; END $$;
    CREATE TRIGGER keep BEFORE UPDATE ON tarana_base_stations FOR EACH ROW EXECUTE FUNCTION keep()";

/// The same afterwards, as a statement of its own.
const RESTORES_NAME: &str = "
    CREATE FUNCTION restore() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.hostname <> OLD.hostname THEN
            UPDATE tarana_base_stations SET hostname = OLD.hostname WHERE serial_number = OLD.serial_number;
        END IF;
        RETURN NULL; END $$;
    CREATE TRIGGER restore AFTER UPDATE ON tarana_base_stations FOR EACH ROW WHEN (pg_trigger_depth() = 0)
        EXECUTE FUNCTION restore()";

async fn a_trigger_that_keeps_the_old_name_changes_nothing(mode: AccessMode) {
    for trigger in [KEEPS_NAME, RESTORES_NAME] {
        let (database, store) = ready(mode).await;
        let mut fleet = fleet(&["S1", "S2", "S3"]);
        sync(&store, &fleet).await;
        database.sql(trigger).await;
        for row in &mut fleet[..2] {
            row.hostname = "renamed".into();
        }
        fleet[1].device_status = Some(0);
        assert_eq!(counts(&sync(&store, &fleet).await), [0, 1, 2, 0, 0, 0]);
        assert_eq!(changes(&database).await, "1 update S2 t");
        let after = "SELECT after FROM tarana_sync_changes WHERE op = 'update'";
        assert_eq!(database.value(after).await, r#"{"device_status":0}"#);
        let version = "SELECT string_agg(xmin::text || last_updated, ',' ORDER BY serial_number) FROM tarana_base_stations";
        let before = database.value(version).await;
        assert_eq!(counts(&sync(&store, &fleet).await), [0, 0, 3, 0, 0, 0]);
        assert_eq!(changes(&database).await, "-");
        assert_eq!(database.value(version).await, before, "no row was touched");
        let noted = notes(&database).await;
        assert!(
            noted.contains("hostname: a trigger") && noted.contains("1 other row"),
            "{noted}"
        );
        assert_eq!(noted.lines().count(), 1, "{noted}");
    }
}

async fn what_a_trigger_stores_is_recorded(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    database
        .sql(
            "CREATE FUNCTION upper_name() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.market := upper(NEW.market); RETURN NEW; END $$;
             CREATE TRIGGER upper_name BEFORE INSERT OR UPDATE ON tarana_base_stations FOR EACH ROW EXECUTE FUNCTION upper_name()",
        )
        .await;
    let mut fleet = fleet(&["S1", "S2"]);
    assert_eq!(counts(&sync(&store, &fleet).await), [2, 0, 0, 0, 0, 0]);
    let market = "SELECT string_agg(after->>'market', ',' ORDER BY serial) FROM tarana_sync_changes WHERE op = 'insert'";
    assert_eq!(database.value(market).await, "JHB GAUTENG,JHB GAUTENG");
    assert_eq!(counts(&sync(&store, &fleet).await), [0, 0, 2, 0, 0, 0]);
    fleet[0].market = Some("Cape".into());
    assert_eq!(counts(&sync(&store, &fleet).await), [0, 1, 1, 0, 0, 0]);
    let after = "SELECT after FROM tarana_sync_changes WHERE op = 'update'";
    assert_eq!(database.value(after).await, r#"{"market":"CAPE"}"#);
}

async fn a_row_that_a_trigger_suppresses_is_skipped(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    sync(&store, &fleet(&["S1", "S2", "S3", "S4"])).await;
    database
        .sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF TG_OP = 'DELETE' THEN RETURN NULL; END IF;
                IF NEW.serial_number = 'S1' THEN RETURN NULL; END IF;
                RAISE EXCEPTION E'not\\n%', repeat('x', 100000); END $$;
             CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON tarana_base_stations FOR EACH ROW
             WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse();
             ALTER TABLE tarana_base_stations DISABLE TRIGGER refuse;
             CREATE TRIGGER refuse_some BEFORE UPDATE OR INSERT ON tarana_base_stations FOR EACH ROW
             WHEN (NEW.serial_number IN ('S1', 'S2', 'S6')) EXECUTE FUNCTION refuse();
             CREATE TRIGGER refuse_delete BEFORE DELETE ON tarana_base_stations FOR EACH ROW
             WHEN (OLD.serial_number = 'S4') EXECUTE FUNCTION refuse()",
        )
        .await;
    let mut fleet = fleet(&["S1", "S2", "S3", "S5", "S6"]);
    for row in &mut fleet[..3] {
        row.device_status = Some(0);
    }
    assert_eq!(counts(&sync(&store, &fleet).await), [1, 1, 0, 0, 3, 1]);
    assert_eq!(
        stored(&database, "device_status").await,
        "S1 1, S2 1, S3 0, S4 1, S5 1"
    );
    let noted = notes(&database).await;
    for part in [
        "skipped S1: ",
        "suppressed",
        "skipped S2: ",
        "not xxx",
        "note S4: stale",
        "skipped S6: ",
    ] {
        assert!(noted.contains(part), "{part}: {noted}");
    }
    assert!(noted.len() < 2000, "{} bytes", noted.len());
}

#[tokio::test]
async fn messages_of_triggers_are_counted_and_not_shown() {
    let (database, store) = ready(AccessMode::Direct).await;
    database
        .sql(
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE NOTICE 'row %', NEW.hostname; RAISE WARNING 'row %', NEW.hostname; RAISE NOTICE 'again'; RETURN NEW; END $$;
             CREATE TRIGGER tell BEFORE INSERT ON tarana_base_stations FOR EACH ROW EXECUTE FUNCTION tell()",
        )
        .await;
    let _guard = tracing_subscriber::registry()
        .with(notices::layer())
        .set_default();
    assert_eq!(
        counts(&sync(&store, &fleet(&["S1", "S2", "S3"])).await),
        [3, 0, 0, 0, 0, 0]
    );
    let noted = notes(&database).await;
    assert!(
        noted.contains("6 notices and 3 warnings") && noted.lines().count() == 1,
        "{noted}"
    );
    assert!(!noted.contains("host"), "{noted}");
}
