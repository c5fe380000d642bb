//! One run, from spec to effect.

pub mod machine;
pub mod status;
