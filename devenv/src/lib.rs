//! What makes a laptop a cluster: a control plane, PostgreSQL and a simulation of TCS.

pub mod simulator;
