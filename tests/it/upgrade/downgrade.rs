//! The way back that `migrations/README.md` documents: its statements restore the schema of the previous release without losing its rows.

use sqlx::PgPool;
use tarana_operator::store::{Config, Store};

use super::{catalog, previous};
use crate::servers;

const README: &str = include_str!("../../../migrations/README.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_statements_restore_the_previous_schema() {
    let name = format!("downgrade_{}", uuid::Uuid::new_v4().simple());
    let url = servers::database(&name).await;
    previous::restore_tables(&url, &previous::Renamed::default());
    let db = PgPool::connect(&url).await.unwrap();
    let (old, rows) = (catalog::read(&db).await, dump(&db).await);
    let config = Config {
        url,
        ca_pem: None,
        schema: "public".into(),
        migrate: true,
    };
    let store = Store::new(&config).unwrap();
    assert!(!store.migrate().await.unwrap().is_empty());
    let new = catalog::read(&db).await;
    assert!(
        !catalog::restrictions(&new, &old).is_empty(),
        "what this version adds is found to be missing"
    );
    let statements = README
        .split("```sql\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    sqlx::raw_sql(statements).execute(&db).await.unwrap();
    let restored = catalog::read(&db).await;
    assert_eq!(restored, old);
    assert_eq!(dump(&db).await, rows);
    // And forward again.
    assert!(!store.migrate().await.unwrap().is_empty());
    store.verify().await.unwrap();
}

/// All rows, as text.
async fn dump(db: &PgPool) -> String {
    let select = "
        SELECT concat_ws(E'\\n', (SELECT string_agg(t::text, E'\\n' ORDER BY id) FROM tarana_base_stations t),
            (SELECT string_agg(t::text, E'\\n' ORDER BY id) FROM tarana_sync_logs t),
            (SELECT string_agg(t::text, E'\\n' ORDER BY run, seq) FROM tarana_sync_changes t),
            (SELECT string_agg(t::text, E'\\n' ORDER BY id) FROM tarana_sync_outbox t),
            (SELECT string_agg(t::text, E'\\n' ORDER BY version) FROM tarana_migrations t))";
    sqlx::query_scalar(select).fetch_one(db).await.unwrap()
}
