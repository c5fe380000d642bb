//! Checks, gate, shared session and limits: what runs need of a `TaranaConnection`.

pub mod controller;
pub mod link;
pub mod registry;
pub mod status;

pub use link::{Link, database};
pub use registry::{Connections, Key, State, View};
