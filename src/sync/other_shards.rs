//! Objects that the watch cache does not have, although they exist: with a selector, they may be those of another operator. They are read from
//! the API server before anything concludes that they are deleted.

use futures::{StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use uuid::Uuid;

use super::context::SyncContext;
use crate::api::sync::TaranaSync;
use crate::store::AbandonedRow;

/// Objects that are read at the same time.
const CONCURRENCY: usize = 8;
/// Objects of one page of a listing.
const PAGE_SIZE: u32 = 500;

/// What became of an object that the cache does not have.
#[derive(Debug)]
pub(super) enum UncachedRun {
    /// It does not exist.
    Gone,
    /// It exists. `None` if it cannot be decoded.
    Exists(Option<Box<TaranaSync>>),
    /// It could not be read.
    Unknown(kube::Error),
}

/// Reads a run by name and uid. Without a selector, the cache has every object, so that none is read.
pub(super) async fn find(context: &SyncContext, namespace: &str, name: &str, uid: &str) -> UncachedRun {
    if context.syncs.selector().selects_all() {
        return UncachedRun::Gone;
    }
    let is_it = |object: Option<&str>| object == Some(uid);
    let runs: Api<TaranaSync> = Api::namespaced(context.client.clone(), namespace);
    match runs.get_opt(name).await {
        Ok(Some(run)) if is_it(run.metadata.uid.as_deref()) => UncachedRun::Exists(Some(Box::new(run))),
        Ok(_) => UncachedRun::Gone,
        Err(kube::Error::SerdeError(_)) => match runs.get_metadata_opt(name).await {
            Ok(Some(run)) if is_it(run.metadata.uid.as_deref()) => UncachedRun::Exists(None),
            Ok(_) => UncachedRun::Gone,
            Err(error) => UncachedRun::Unknown(error),
        },
        Err(error) => UncachedRun::Unknown(error),
    }
}

/// The objects of these rows.
pub(super) async fn of_rows(
    context: &SyncContext,
    namespace: &str,
    rows: &[AbandonedRow],
) -> Vec<(Uuid, UncachedRun)> {
    let found = rows.iter().map(|row| async move {
        let uid = row.id.to_string();
        (row.id, find(context, namespace, &row.name, &uid).await)
    });
    let found: Vec<_> = found.collect();
    stream::iter(found).buffer_unordered(CONCURRENCY).collect().await
}

/// The runs of a namespace that were created before this time, whatever operator they belong to. Empty without a selector, as the cache has
/// all.
pub(super) async fn created_before(
    context: &SyncContext,
    namespace: &str,
    before: Timestamp,
) -> Result<Vec<Uuid>, kube::Error> {
    let mut found = Vec::new();
    if context.syncs.selector().selects_all() {
        return Ok(found);
    }
    let runs: Api<TaranaSync> = Api::namespaced(context.client.clone(), namespace);
    let mut params = ListParams::default().limit(PAGE_SIZE);
    loop {
        let page = runs.list_metadata(&params).await?;
        let old = page.items.iter().filter(|run| {
            let created = run.metadata.creation_timestamp.as_ref();
            created.is_some_and(|created| created.0 < before)
        });
        found.extend(old.filter_map(|run| run.uid()?.parse::<Uuid>().ok()));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}
