//! Entry points for `fuzz/`: the decoders of foreign bytes and user input, with assertions on their results.
//!
//! Each function accepts any bytes. It asserts what the rest of the operator relies on, and must not panic or hang. Built only
//! for tests and with the feature `fuzzing`, never for a release.

pub use crate::cron::fuzzing::cron;
pub use crate::tarana::fuzzing::{cookie, device, envelope, retry_after};

#[cfg(test)]
mod tests;
