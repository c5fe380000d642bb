//! Wires to put between a program and its servers: each passes everything on, names the effects that go by, and can be
//! cut, held and slowed at any one of them.
//!
//! An effect is a request after which a server is not as it was before: a write to an API server, a COMMIT, a login. All
//! wires that share one [`Effects`] count in one sequence, so that "the fifth effect of a run" means the same thing each time.

mod effects;
mod http;
mod postgres;
mod serve;

#[cfg(test)]
mod tests;

pub use effects::{Effects, Moment, Target};
pub use http::HttpWire;
pub use postgres::PostgresWire;
