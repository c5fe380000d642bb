//! Old rows are deleted, and only those.

use tarana_operator::store::{DeletedRows, Retention, RetentionScope, Store};
use uuid::{Uuid, uuid};

use crate::store_support::{AccessMode, Database, ready, tests_with_every_mode};

tests_with_every_mode! {
    rows_are_deleted_by_age_but_not_the_last_success_nor_what_others_refer_to,
    nothing_is_deleted_without_a_retention,
    rows_of_a_deleted_connection_are_deleted_in_its_cluster_and_namespace,
}

const CONNECTION: Uuid = uuid!("00000000-0000-0000-0000-0000000000c1");
const CLUSTER: Uuid = uuid!("00000000-0000-0000-0000-00000000aaaa");
const EXISTING: Uuid = uuid!("00000000-0000-0000-0000-0000000000e1");
const ALL: Retention = Retention {
    log_days: Some(90),
    change_days: Some(180),
    outbox_days: Some(7),
};

/// Log rows of which each name tells the age and why it is kept or deleted.
const LOGS: &str = "
    CREATE TABLE notes (run uuid REFERENCES tarana_sync_logs (id));
    CREATE TABLE late_notes (run uuid REFERENCES tarana_sync_logs (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE comments (run uuid REFERENCES tarana_sync_logs (id) ON DELETE CASCADE);
    INSERT INTO tarana_sync_logs (id, name, status, outcome, dry_run, namespace, connection, connection_uid, cluster_uid, completed_at)
    SELECT coalesce(id, gen_random_uuid()), name, CASE outcome WHEN 'completed' THEN 'completed' ELSE 'failed' END, outcome,
           dry_run, 'net', 'default', connection_uid, '00000000-0000-0000-0000-00000000aaaa', now() - make_interval(days => days)
    FROM (VALUES
        (NULL::uuid, 'failed 100', 'failed', false, '00000000-0000-0000-0000-0000000000c1'::uuid, 100),
        (NULL, 'cancelled 100', 'cancelled', false, '00000000-0000-0000-0000-0000000000c1', 100),
        (NULL, 'completed 100', 'completed', false, '00000000-0000-0000-0000-0000000000c1', 100),
        (NULL, 'dry run 91', 'completed', true, '00000000-0000-0000-0000-0000000000c1', 91),
        (NULL, 'last success 95', 'completed', false, '00000000-0000-0000-0000-0000000000c1', 95),
        (NULL, 'changes 100', 'completed', false, '00000000-0000-0000-0000-0000000000c1', 100),
        (NULL, 'changes 200', 'completed', false, '00000000-0000-0000-0000-0000000000c1', 200),
        ('00000000-0000-0000-0000-0000000000e1', 'object exists 100', 'failed', false, '00000000-0000-0000-0000-0000000000c1', 100),
        (NULL, 'noted 100', 'failed', false, '00000000-0000-0000-0000-0000000000c1', 100),
        (NULL, 'noted late 100', 'failed', false, '00000000-0000-0000-0000-0000000000c1', 100),
        (NULL, 'commented 100', 'failed', false, '00000000-0000-0000-0000-0000000000c1', 100),
        (NULL, 'failed 89', 'failed', false, '00000000-0000-0000-0000-0000000000c1', 89),
        (NULL, 'other connection 100', 'failed', false, '00000000-0000-0000-0000-0000000000c2', 100),
        (NULL, 'function 400', 'failed', false, NULL, 400)
    ) AS v (id, name, outcome, dry_run, connection_uid, days);
    UPDATE tarana_sync_logs SET cluster_uid = NULL WHERE connection_uid IS DISTINCT FROM '00000000-0000-0000-0000-0000000000c1';
    INSERT INTO tarana_sync_change_batches (run, first, op, applied, changes)
        SELECT id, first, 'update', true, '[]' FROM tarana_sync_logs, generate_series(1, 3) AS first WHERE name LIKE 'changes%';
    INSERT INTO notes SELECT id FROM tarana_sync_logs WHERE name = 'noted 100';
    INSERT INTO late_notes SELECT id FROM tarana_sync_logs WHERE name = 'noted late 100';
    INSERT INTO comments SELECT id FROM tarana_sync_logs WHERE name = 'commented 100';
    INSERT INTO tarana_sync_outbox (run, type, payload, created_at)
        SELECT id, 'old ' || n, '{}', now() - interval '8 days' FROM tarana_sync_logs, generate_series(1, 1500) AS n
        WHERE name = 'last success 95';
    INSERT INTO tarana_sync_outbox (run, type, payload, created_at)
        SELECT id, 'young', '{}', now() - interval '6 days' FROM tarana_sync_logs WHERE name = 'last success 95'";

/// The names of the log rows.
const NAMES: &str = "SELECT string_agg(name, ', ' ORDER BY name) FROM tarana_sync_logs";

fn scope() -> RetentionScope<'static> {
    RetentionScope {
        connection_uid: CONNECTION,
        cluster_uid: None,
        namespace: "net",
        existing: &[EXISTING],
    }
}

async fn with_old_rows(mode: AccessMode) -> (Database, Store) {
    let (database, store) = ready(mode).await;
    database.sql(LOGS).await;
    (database, store)
}

async fn rows_are_deleted_by_age_but_not_the_last_success_nor_what_others_refer_to(mode: AccessMode) {
    let (database, store) = with_old_rows(mode).await;
    let deleted = store.delete_expired(&scope(), ALL).await.unwrap();
    let expected = DeletedRows {
        events: 1500,
        change_batches: 3,
        logs: 6,
        referenced: 2,
    };
    assert_eq!(deleted, expected);
    assert_eq!(
        database.value(NAMES).await,
        "changes 100, failed 89, function 400, last success 95, noted 100, noted late 100, object exists 100, other connection 100"
    );
    let left = "SELECT concat_ws(' ', (SELECT count(*) FROM tarana_sync_outbox), (SELECT count(*) FROM tarana_sync_change_batches),
                                      (SELECT count(*) FROM comments), (SELECT count(*) FROM notes))";
    assert_eq!(database.value(left).await, "1 3 0 1");
    let again = store.delete_expired(&scope(), ALL).await.unwrap();
    let nothing = DeletedRows {
        referenced: 2,
        ..DeletedRows::default()
    };
    assert_eq!(again, nothing);
}

async fn nothing_is_deleted_without_a_retention(mode: AccessMode) {
    let (database, store) = with_old_rows(mode).await;
    let deleted = store
        .delete_expired(&scope(), Retention::default())
        .await
        .unwrap();
    assert_eq!(deleted, DeletedRows::default());
    assert_eq!(
        database
            .value("SELECT count(*)::text FROM tarana_sync_logs")
            .await,
        "14"
    );
    assert_eq!(
        database
            .value("SELECT count(*)::text FROM tarana_sync_outbox")
            .await,
        "1501"
    );
}

async fn rows_of_a_deleted_connection_are_deleted_in_its_cluster_and_namespace(mode: AccessMode) {
    let (database, store) = with_old_rows(mode).await;
    let new_connection = RetentionScope {
        connection_uid: Uuid::new_v4(),
        cluster_uid: Some(CLUSTER),
        ..scope()
    };
    let elsewhere = RetentionScope {
        namespace: "other",
        ..new_connection
    };
    let kept = store.delete_expired(&elsewhere, ALL).await.unwrap();
    assert_eq!(kept, DeletedRows::default());
    let deleted = store.delete_expired(&new_connection, ALL).await.unwrap();
    assert_eq!(deleted.logs, 6);
    assert!(database.value(NAMES).await.contains("last success 95"));
}
