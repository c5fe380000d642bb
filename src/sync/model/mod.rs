//! Model checking of the machine: two operators, up to two runs on one connection, and every order of faults. See the
//! README in this folder.

mod checks;
mod database;
mod definition;
mod effect;
mod events;
mod functions;
mod liveness;
mod reconcile;
mod tests;
mod values;
mod world;
