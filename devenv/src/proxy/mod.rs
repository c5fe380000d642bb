//! Proxies between a program and its servers. Each forwards everything and can hold or drop the connection at any side effect.
//!
//! A side effect is a request that changes the state of a server: a write to the API server, a COMMIT, a login. All proxies
//! that share an [`Interceptor`] count in one sequence, so "the fifth side effect of a run" is the same one each time.

mod http;
mod interceptor;
mod listener;
mod postgres;

#[cfg(test)]
mod tests;

pub use http::HttpProxy;
pub use interceptor::{Interceptor, Moment, Target};
pub use postgres::PostgresProxy;
