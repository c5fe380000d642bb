//! The container image: that its recipe yields what it promises, and that the built image runs and stays small.

mod buildah;
mod container;
mod finished_runs;
mod memory;
mod recipe;
mod start;
