//! What users write and read: the kinds of group `tarana.dev`, version `v1alpha1`.

pub mod condition;
pub mod reason;
