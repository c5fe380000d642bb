//! Why runs could not be released.

use crate::cluster::ReconcileError;

/// Why objects could not be released.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operator would add the finalizers again.
    #[error(
        "operator {holder} still runs: it renewed Lease {namespace}/{name}; stop it first, for example with kubectl scale --replicas=0, or uninstall its release"
    )]
    StillRuns {
        /// `holderIdentity` of the Lease.
        holder: String,
        /// Namespace of the Lease.
        namespace: String,
        /// Name of the Lease.
        name: String,
    },
    /// A request failed.
    #[error("{what}: {source}")]
    Kubernetes {
        /// What was requested.
        what: String,
        /// Why it failed.
        source: kube::Error,
    },
    /// A finalizer could not be removed.
    #[error("TaranaSync {run} could not be released: {source}")]
    Unreleased {
        /// `namespace/name` of the run.
        run: String,
        /// Why.
        source: ReconcileError,
    },
    /// Others kept changing an object.
    #[error("TaranaSync {0} was changed at the same time, again and again: run this command once more")]
    Contended(String),
}

/// The error of a request.
pub(super) fn failed(what: &str) -> impl FnOnce(kube::Error) -> Error {
    let what = what.to_owned();
    move |source| Error::Kubernetes { what, source }
}
