//! The doorway for `fuzz/`: what decodes bytes of the vendor or text of a user, told to hold whatever they are.
//!
//! Each function takes any bytes and asserts what the rest of the operator relies on; that none of them panics, or goes on
//! for ever, is the other half. Built for tests and with the feature `fuzzing` only: no release has it.

pub use crate::schedule::fuzzing::cron;
pub use crate::tarana::fuzzing::{cookie, device, envelope, retry_after};

#[cfg(test)]
mod tests;
