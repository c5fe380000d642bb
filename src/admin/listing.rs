//! Runs from both places: the objects, and the rows of those whose objects are gone.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Admin;
use super::cursor::{self, Place};
use super::objects::id_of;
use super::problem::Problem;
use super::view::sync::{State, Sync};
use crate::api::connection::TaranaConnection;
use crate::api::sync::TaranaSync;
use crate::connection::Key;
use crate::store::{Logged, Store, Wanted};

/// Which runs are wanted.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Of this namespace; `None`: of all.
    pub namespace: Option<String>,
    /// On this connection.
    pub connection: Option<String>,
    /// That stand there; empty: all.
    pub phases: Vec<State>,
    /// Older than this one.
    pub before: Option<Place>,
    /// At most so many.
    pub limit: usize,
}

/// A page of runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The runs.
    items: Vec<Sync>,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Connections whose older runs could not be read now, since their database is away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
}

/// A page.
pub async fn page(app: &Admin, asked: &Asked) -> Result<Page, Problem> {
    let objects = of_objects(app, asked);
    // Older rows than these are for another page.
    let oldest = objects.get(asked.limit).map(|sync| sync.created_at);
    let (mut items, mut unread) = (objects, Vec::new());
    for connection in connections(app, asked) {
        match of_rows(app, &connection, asked, oldest).await {
            Ok(rows) => items.extend(rows),
            Err(problem) if asked.connection.is_some() && asked.namespace.is_some() => return Err(problem),
            Err(_) => unread.push(Key::of(&connection).to_string()),
        }
    }
    items.sort_by_key(|sync| std::cmp::Reverse((sync.created_at, sync.id)));
    // Two connections may share a table.
    items.dedup_by_key(|sync| sync.id);
    let more = items.len() > asked.limit;
    items.truncate(asked.limit);
    let last = items.last().filter(|_| more);
    Ok(Page {
        next_cursor: last.map(|sync| cursor::write((sync.created_at, sync.id))),
        items,
        unread,
    })
}

/// One run and its namespace. Rows are looked for in the databases of `namespaces`' connections.
pub async fn one(
    app: &Admin,
    id: Uuid,
    connections: &[Arc<TaranaConnection>],
) -> Result<Option<Sync>, Problem> {
    if let Some(sync) = app.objects.run(id).await {
        return Ok(Some(Sync::from(&*sync)));
    }
    Ok(row(app, id, connections).await?.map(|(_, row)| Sync::from(row)))
}

/// The row of a run, and where it is.
pub async fn row(
    app: &Admin,
    id: Uuid,
    connections: &[Arc<TaranaConnection>],
) -> Result<Option<(Store, Logged)>, Problem> {
    let mut away = None;
    for connection in connections {
        let key = Key::of(connection);
        let found = async {
            let store = app.databases.of(connection).await?;
            let row = store
                .run(id)
                .await
                .map_err(|fault| Problem::of_database(&fault))?;
            Ok(row.map(|row| (store, row)))
        };
        match found.await {
            Ok(Some((store, row))) if row.namespace.as_ref().is_none_or(|ns| *ns == key.namespace) => {
                return Ok(Some((store, row)));
            }
            Ok(_) => {}
            Err(problem) => away = Some(problem),
        }
    }
    // It may be in the one that could not be asked.
    away.map_or(Ok(None), Err)
}

/// The newest of the objects that are wanted, one more than asked for.
fn of_objects(app: &Admin, asked: &Asked) -> Vec<Sync> {
    let created = |sync: &TaranaSync| {
        sync.metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |t| t.0)
    };
    let wanted = |sync: &TaranaSync| {
        let phase = sync.status.as_ref().map(|s| s.phase).unwrap_or_default();
        asked
            .connection
            .as_ref()
            .is_none_or(|name| *name == sync.spec.connection_ref.name)
            && (asked.phases.is_empty() || asked.phases.contains(&State::from(phase)))
            && asked
                .before
                .is_none_or(|before| (created(sync), id_of(sync)) < before)
    };
    let mut objects = app.objects.all(asked.namespace.as_deref(), wanted);
    objects.sort_by_cached_key(|sync| std::cmp::Reverse((created(sync), id_of(sync))));
    objects.truncate(asked.limit + 1);
    objects.iter().map(|sync| Sync::from(&**sync)).collect()
}

fn connections(app: &Admin, asked: &Asked) -> Vec<Arc<TaranaConnection>> {
    let wanted = |connection: &TaranaConnection| {
        asked
            .connection
            .as_ref()
            .is_none_or(|name| connection.metadata.name.as_ref() == Some(name))
    };
    app.objects.all(asked.namespace.as_deref(), wanted)
}

/// The newest rows whose objects are gone, until there are enough or they are older than `oldest`.
async fn of_rows(
    app: &Admin,
    connection: &TaranaConnection,
    asked: &Asked,
    oldest: Option<Timestamp>,
) -> Result<Vec<Sync>, Problem> {
    let store = app.databases.of(connection).await?;
    let key = Key::of(connection);
    let live: HashSet<Uuid> = {
        let all = app
            .objects
            .all::<TaranaSync>(asked.namespace.as_deref(), |_| true);
        all.iter().map(|sync| id_of(sync)).collect()
    };
    let states: Vec<&str> = asked.phases.iter().map(|phase| phase.word()).collect();
    let most = i64::try_from(asked.limit + 1).unwrap_or(i64::MAX);
    let (mut found, mut before) = (Vec::new(), asked.before);
    loop {
        let wanted = Wanted {
            namespace: &key.namespace,
            connection: &key.name,
            states: &states,
            before,
            most,
        };
        let rows = store
            .runs(&wanted)
            .await
            .map_err(|fault| Problem::of_database(&fault))?;
        before = rows.last().map(|row| (row.created_at, row.id));
        let ended =
            rows.len() < asked.limit + 1 || oldest.is_some_and(|oldest| before.is_some_and(|b| b.0 < oldest));
        found.extend(
            rows.into_iter()
                .filter(|row| !live.contains(&row.id))
                .map(Sync::from),
        );
        if ended || found.len() > asked.limit {
            return Ok(found);
        }
    }
}
