//! Writes the status and the finalizer of the object. Each write carries the resourceVersion that was observed, so that a
//! fenced process gets a conflict.

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::context::SyncContext;
use super::machine::FINALIZER;
use crate::api::sync::{TaranaSync, TaranaSyncStatus};
use crate::cluster::{self, ReconcileError};

/// One object, as it was last read or written.
pub(super) struct Record<'a> {
    pub(super) context: &'a SyncContext,
    api: Api<TaranaSync>,
    /// The newest copy.
    pub sync: TaranaSync,
}

impl<'a> Record<'a> {
    pub fn new(context: &'a SyncContext, sync: TaranaSync) -> Self {
        let api = Api::namespaced(context.client.clone(), &sync.namespace().unwrap_or_default());
        Self { context, api, sync }
    }

    /// The time of the run.
    pub(super) fn now(&self) -> Timestamp {
        self.context.time_of(&self.sync.uid().unwrap_or_default())
    }

    /// Writes the status, if it differs.
    pub async fn set_status(&mut self, status: TaranaSyncStatus) -> Result<(), ReconcileError> {
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
                    self.written(written);
                    return Ok(());
                }
                Err(kube::Error::Api(e)) if e.code == 409 => {
                    let fresh = self.refetch_after_conflict().await?;
                    next.metadata.resource_version = fresh.metadata.resource_version;
                }
                Err(kube::Error::Api(e)) if e.code == 404 => return Err(ReconcileError::Conflict),
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Reads the object after a conflict. A change of the spec or the metadata does not prevent the status write; a change of
    /// the status does.
    async fn refetch_after_conflict(&mut self) -> Result<TaranaSync, ReconcileError> {
        let fresh = self
            .api
            .get_opt(&self.sync.name_any())
            .await?
            .ok_or(ReconcileError::Conflict)?;
        // A reconcile of an older cache entry would repeat the write that was just rejected.
        self.context.observe_version(&fresh);
        // Its labels were changed in the meantime: another operator continues it.
        let is_ours = self
            .context
            .syncs
            .selector()
            .matches(fresh.metadata.labels.as_ref());
        if fresh.uid() != self.sync.uid()
            || !is_ours
            || status_without_progress(&fresh) != status_without_progress(&self.sync)
        {
            return Err(ReconcileError::Conflict);
        }
        self.sync = fresh.clone();
        Ok(fresh)
    }

    /// Adds the finalizer.
    pub async fn add_finalizer(&mut self) -> Result<(), ReconcileError> {
        let mut finalizers = self.sync.metadata.finalizers.clone().unwrap_or_default();
        finalizers.push(FINALIZER.to_owned());
        let patch = json!({"metadata": {
            "uid": self.sync.metadata.uid,
            "resourceVersion": self.sync.metadata.resource_version,
            "finalizers": finalizers,
        }});
        let (name, params) = (self.sync.name_any(), PatchParams::default());
        match self.api.patch(&name, &params, &Patch::Merge(&patch)).await {
            Ok(written) => self.written(written),
            Err(kube::Error::Api(e)) if e.code == 404 || e.code == 409 => {
                return Err(ReconcileError::Conflict);
            }
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    /// Removes the finalizer. Succeeds if the object is gone.
    pub async fn remove_finalizer(&mut self) -> Result<(), ReconcileError> {
        match cluster::remove_finalizer(&self.api, &self.sync.metadata, FINALIZER).await? {
            Some(metadata) => {
                self.sync.metadata = metadata;
                self.context.record_version(&self.sync);
            }
            None => self.sync.metadata.finalizers = None,
        }
        Ok(())
    }

    /// Deletes this object, but no other object of the same name.
    pub async fn delete(&self) -> Result<(), ReconcileError> {
        cluster::delete(&self.api, &self.sync).await
    }

    fn written(&mut self, written: TaranaSync) {
        self.context.record_version(&written);
        self.sync = written;
    }
}

/// The status without the progress, which an aborted write may have changed.
pub(super) fn status_without_progress(sync: &TaranaSync) -> TaranaSyncStatus {
    TaranaSyncStatus {
        progress: None,
        ..sync.status.clone().unwrap_or_default()
    }
}
