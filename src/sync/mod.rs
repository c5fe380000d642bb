//! One run, from spec to effect.

pub mod plan;
