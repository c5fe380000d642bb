//! The integration tests: everything that needs real servers, in one binary with a module for each subject.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking; its helpers are not marked as tests"
)]

mod accounts;
mod admin;
mod admission;
mod alerts;
mod api_writes;
mod bad_input;
mod chart;
mod clocks;
mod connections;
mod consistent_outcomes;
mod crash_loops;
mod crd_examples;
mod deleted_connections;
mod deletes;
mod delivery;
mod doctor;
mod environment;
mod expected_table;
mod hanging_runs;
mod image;
mod interruptions;
mod invalid_objects;
mod leadership;
mod least_privilege_runs;
mod listings;
mod many_connections;
mod matrix;
mod migration_guide;
mod monitoring;
mod odd_responses;
mod operator_process;
mod operator_rights;
mod proxied;
mod queue;
mod region_overlap;
mod rights;
mod runs;
mod schedules;
mod schema;
mod schema_types;
mod secrets;
mod servers;
mod shards;
mod soak;
mod store_apply;
mod store_changes;
mod store_config;
mod store_drop;
mod store_least_privilege;
mod store_logs;
mod store_map;
mod store_migrate;
mod store_outages;
mod store_pgbouncer;
mod store_probe;
mod store_probe_roles;
mod store_rejections;
mod store_retention;
mod store_rows;
mod store_servers;
mod store_support;
mod store_timeouts;
mod store_tls;
mod table_locks;
mod tarana;
mod traces;
mod two_operators;
mod two_replicas;
mod uninstall;
mod unwritable_objects;
mod upgrade;
mod vendor_faults;
mod watch_failures;
