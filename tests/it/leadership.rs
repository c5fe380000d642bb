//! Leader election, and connections to the API server that no longer work: one replica works at any time, and a connection that fails
//! silently costs less than a minute.

mod frozen_connections;
mod hand_over;
mod lease_object;
mod partitions;
