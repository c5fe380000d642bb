//! Writes what a turn did to the object: status, finalizer. Each write carries the resourceVersion of what the turn
//! saw, so that a process that was overtaken is refused.

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::context::Context;
use super::machine::FINALIZER;
use crate::api::sync::{TaranaSync, TaranaSyncStatus};
use crate::cluster::{self, Error};

/// One object, as it was last seen or written.
pub(super) struct Record<'a> {
    context: &'a Context,
    api: Api<TaranaSync>,
    /// The newest copy.
    pub sync: TaranaSync,
}

impl<'a> Record<'a> {
    pub fn new(context: &'a Context, sync: TaranaSync) -> Self {
        let api = Api::namespaced(context.client.clone(), &sync.namespace().unwrap_or_default());
        Self { context, api, sync }
    }

    /// Writes the status, if it says anything new.
    pub async fn status(&mut self, status: TaranaSyncStatus) -> Result<(), Error> {
        if self.sync.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut next = TaranaSync {
            status: Some(status),
            ..self.sync.clone()
        };
        loop {
            match self
                .api
                .replace_status(&next.name_any(), &PostParams::default(), &next)
                .await
            {
                Ok(written) => {
                    self.took(written);
                    return Ok(());
                }
                Err(kube::Error::Api(e)) if e.code == 409 => {
                    next.metadata.resource_version = self.meanwhile().await?.metadata.resource_version;
                }
                Err(kube::Error::Api(e)) if e.code == 404 => return Err(Error::Overtaken),
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// After a conflict: somebody who changed the spec or the metadata does not stand in the way of our status;
    /// somebody who changed the status does.
    async fn meanwhile(&mut self) -> Result<TaranaSync, Error> {
        let fresh = self
            .api
            .get_opt(&self.sync.name_any())
            .await?
            .ok_or(Error::Overtaken)?;
        // A turn from a cache that knows less would repeat what was just refused.
        self.context.saw(&fresh);
        if fresh.uid() != self.sync.uid() || essence(&fresh) != essence(&self.sync) {
            return Err(Error::Overtaken);
        }
        self.sync = fresh.clone();
        Ok(fresh)
    }

    /// Takes or lets go of the finalizer.
    pub async fn finalizer(&mut self, wanted: bool) -> Result<(), Error> {
        let mut finalizers = self.sync.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|f| f != FINALIZER);
        if wanted {
            finalizers.push(FINALIZER.to_owned());
        }
        let patch = json!({"metadata": {
            "uid": self.sync.metadata.uid,
            "resourceVersion": self.sync.metadata.resource_version,
            "finalizers": finalizers,
        }});
        match self
            .api
            .patch(
                &self.sync.name_any(),
                &PatchParams::default(),
                &Patch::Merge(&patch),
            )
            .await
        {
            Ok(written) => {
                self.took(written);
                Ok(())
            }
            Err(kube::Error::Api(e)) if e.code == 404 || e.code == 409 => Err(Error::Overtaken),
            Err(e) => Err(e.into()),
        }
    }

    /// Deletes the object, and no other of the same name.
    pub async fn delete(&self) -> Result<(), Error> {
        cluster::delete(&self.api, &self.sync).await
    }

    fn took(&mut self, written: TaranaSync) {
        self.context.wrote(&written);
        self.sync = written;
    }
}

/// The status without what a write that was given up half-way may have changed.
pub(super) fn essence(sync: &TaranaSync) -> TaranaSyncStatus {
    TaranaSyncStatus {
        progress: None,
        ..sync.status.clone().unwrap_or_default()
    }
}
