//! tarana-operator keeps a PostgreSQL table of wireless base stations in sync with the vendor's cloud.
//!
//! # Code tour
//!
//! One run, from `main` to COMMIT, in eight files:
//!
//! 1. `src/main.rs`: parses the command line and runs the command.
//! 2. `src/operator.rs`: creates the watch caches, the three controllers and the sweeper of each scope, and runs them.
//! 3. `src/sync/controller.rs`: reconciles a run: observe, decide, act once, record.
//! 4. `src/sync/machine.rs`: decides, as a function of the object and the time, and whether a fault is retried.
//! 5. `src/sync/run.rs`: what a reconcile observes of connection and queue, and the effect of each action.
//! 6. `src/sync/steps.rs`: Fetch and Apply, the long steps, which can be aborted at any point.
//! 7. `src/tarana/listing/fetch.rs`: reads the whole listing and proves it complete.
//! 8. `src/store/apply.rs`: checks the fence and writes the difference, the log row and the outbox in one transaction; COMMIT.
//!
//! Not on this path: `src/connection/controller.rs` probes a connection and opens the gate for its runs, `src/sync/plan.rs` computes
//! the difference that Apply writes, and `src/schedule/decide.rs` decides when a schedule creates a run.
//!
//! | module | responsibility |
//! |---|---|
//! | `fuzzing` | entry points for `fuzz/`: decoders of foreign bytes, with assertions; only for tests |
//! | `doctor` | checks everything that a sync needs, with remedies |
//! | `operator` | composition root |
//! | `uninstall` | releases what a stopped operator holds |
//! | `cli` | flags, environment variables, defaults |
//! | `admin` | the admin API over HTTP |
//! | `sync` | executes one run, from spec to effect |
//! | `schedule` | creates runs on a cron schedule |
//! | `delivery` | delivers the events of the outbox |
//! | `connection` | probes, gate, shared session and limits |
//! | `monitoring` | metrics and probes over HTTP |
//! | `tarana` | the vendor's API: session, listings, decoding, proof of completeness |
//! | `store` | PostgreSQL: migrations, log rows, the Apply transaction |
//! | `notify` | Kubernetes Events |
//! | `webhook` | sends an event to a sink, signed, to permitted addresses only |
//! | `leader` | leader election |
//! | `telemetry` | logging, and the layer that exports spans |
//! | `metrics` | what is counted, and the list of all metrics |
//! | `trace` | traces of runs, and the spans of the logs |
//! | `listener` | listening sockets |
//! | `cluster` | Kubernetes clients with timeouts, watch caches, and how controllers write |
//! | `fault` | faults, and whether a retry can help |
//! | `api` | the kinds, their conditions and reasons |
//! | `cron` | cron patterns and their slots |
//! | `certificates` | bundles of CA certificates from Secrets |
//! | `tls` | TLS of HTTP clients, and whom they trust |
//! | `station` | base stations as the vendor lists them, as the table stores them and as a plan changes them |
//!
//! A module names only modules on lower rungs of this ladder, which `tests/architecture/main.rs` checks:
//!
//! ```text
//! doctor
//! operator  fuzzing  uninstall
//! cli
//! sync  schedule  admin  delivery
//! connection  monitoring
//! tarana  store  notify  webhook  leader  telemetry  cluster
//! metrics  trace  listener
//! fault  tls
//! api  station  certificates  cron
//! ```

pub mod admin;
pub mod api;
pub mod certificates;
pub mod cli;
pub mod cluster;
pub mod connection;
pub mod cron;
pub mod delivery;
pub mod doctor;
pub mod fault;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod leader;
pub mod listener;
pub mod metrics;
pub mod monitoring;
pub mod notify;
pub mod operator;
pub mod schedule;
pub mod station;
pub mod store;
pub mod sync;
pub mod tarana;
pub mod telemetry;
pub mod tls;
pub mod trace;
pub mod uninstall;
pub mod webhook;
