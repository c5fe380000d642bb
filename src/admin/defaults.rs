//! Pure: what requests without a namespace or connection refer to.

/// Namespace and connection of requests that name none.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Namespace.
    pub namespace: String,
    /// Name of a connection in that namespace.
    pub connection: String,
}
