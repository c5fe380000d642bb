//! `tarana-operator uninstall`: releases the objects that the operator holds, after it was stopped.
//!
//! A run that has started has a finalizer, which its operator removes after it has closed the log row. Without an operator nobody does, and
//! deleting the run, its namespace or its kind would wait for ever. The objects themselves are left as they are: an operator that is
//! installed later continues them.

mod error;
mod leader;

use std::time::Duration;

use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};

pub use self::error::Error;
use self::error::failed;
use crate::api::sync::TaranaSync;
use crate::cluster::{ReconcileError, WatchSelector, remove_finalizer};
use crate::sync::machine::FINALIZER;

/// Objects of one page of the listing.
const PAGE_SIZE: u32 = 500;

type Metadata = PartialObjectMeta<TaranaSync>;

/// What to release, and when.
#[derive(Clone, Debug)]
pub struct Uninstall {
    /// The namespaces that the operator watched; empty for all.
    pub namespaces: Vec<String>,
    /// Which runs of them the operator watched. Those of another operator are not released.
    pub selector: WatchSelector,
    /// Namespace and name of the operator's Lease; `None` without leader election.
    pub lease: Option<(String, String)>,
    /// How long an operator that still runs may take to stop.
    pub patience: Duration,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// `namespace/name` of the runs whose finalizer was removed.
    pub runs: Vec<String>,
    /// How many runs there are.
    pub total: usize,
}

impl Uninstall {
    /// Waits until no operator leads, then removes the finalizers. Succeeds if the kind does not exist.
    pub async fn run(&self, client: &Client) -> Result<Released, Error> {
        if let Some((namespace, name)) = &self.lease {
            leader::wait_until_stopped(client, (namespace, name), self.patience).await?;
        }
        let mut released = Released::default();
        match self.namespaces.as_slice() {
            [] => {
                self.release_all(&Api::all(client.clone()), client, &mut released)
                    .await?;
            }
            namespaces => {
                for namespace in namespaces {
                    let api = Api::namespaced(client.clone(), namespace);
                    self.release_all(&api, client, &mut released).await?;
                }
            }
        }
        Ok(released)
    }

    async fn release_all(
        &self,
        listed: &Api<TaranaSync>,
        client: &Client,
        released: &mut Released,
    ) -> Result<(), Error> {
        let mut params = ListParams {
            label_selector: self.selector.label_selector(),
            ..ListParams::default().limit(PAGE_SIZE)
        };
        loop {
            let page = match listed.list_metadata(&params).await {
                // The kind is gone, and its objects with it.
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
                page => page.map_err(failed("the TaranaSyncs could not be listed"))?,
            };
            released.total += page.items.len();
            for run in page.items {
                let name = format!("{}/{}", run.namespace().unwrap_or_default(), run.name_any());
                let api = Api::namespaced(client.clone(), &run.namespace().unwrap_or_default());
                if release(&api, &run, &name).await? {
                    released.runs.push(name);
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(()),
            }
        }
    }
}

/// Removes our finalizer. Returns whether the object had it.
async fn release(api: &Api<TaranaSync>, run: &Metadata, name: &str) -> Result<bool, Error> {
    match remove_finalizer(api, &run.metadata, FINALIZER).await {
        Ok(written) => Ok(written.is_some()),
        Err(ReconcileError::Conflict) => Err(Error::Contended(name.to_owned())),
        Err(source) => Err(Error::Unreleased {
            run: name.to_owned(),
            source,
        }),
    }
}
