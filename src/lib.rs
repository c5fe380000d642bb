//! tarana-operator keeps a PostgreSQL table of wireless base stations true to the vendor's cloud.
//!
//! # Code tour
//!
//! One run, from `main` to commit, in eight files:
//!
//! 1. `src/main.rs`: reads the command line and hands over.
//! 2. `src/operator.rs`: builds the watches, the three controllers and the sweeper of each scope, and runs them.
//! 3. `src/sync/controller.rs`: gives a run its turns: observe, decide, act once, record.
//! 4. `src/sync/machine.rs`: decides, as a function of the object and the time; judges faults.
//! 5. `src/sync/run.rs`: what a turn sees of connection and queue, and what each decision does to the world.
//! 6. `src/sync/steps.rs`: Fetch and Apply, the long steps, droppable at any point.
//! 7. `src/tarana/fetch.rs`: reads the whole listing and proves it complete.
//! 8. `src/store/apply.rs`: fence, difference, log row and outbox in one transaction; COMMIT.
//!
//! Beside the way: `src/connection/controller.rs` tries a connection and opens the gate for its runs, and `src/sync/plan.rs` is the
//! difference that Apply writes. `src/schedule/turn.rs` decides when a run is created by the clock.
//!
//! A module names only what stands below it here; `tests/architecture/main.rs` holds that.
//!
//! | module | is |
//! |---|---|
//! | `fuzzing` | for tests and `fuzz/` alone: what decodes foreign bytes, with what it must hold |
//! | `cli` | flags, environment variables, defaults |
//! | `operator` | puts the parts together |
//! | `admin` | the same runs over HTTP |
//! | `sync` | one run, from spec to effect |
//! | `schedule` | when runs are created by the clock |
//! | `connection` | checks, gate, shared session and limits |
//! | `tarana` | the vendor's API: session, listings, decoding, completeness |
//! | `store` | PostgreSQL: migrations, log rows, the Apply transaction |
//! | `notify` | Kubernetes Events |
//! | `leader` | one of several replicas works |
//! | `cluster` | clients of the Kubernetes API whose calls end, and how controllers write |
//! | `telemetry` | logs |
//! | `fault` | what can go wrong, and whether trying again helps |
//! | `api` | what users write and read: kinds, conditions, reasons |
//! | `station` | what a base station is, to the vendor, to the table and to a plan |

pub mod admin;
pub mod api;
pub mod cli;
pub mod cluster;
pub mod connection;
pub mod fault;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod leader;
pub mod notify;
pub mod operator;
pub mod schedule;
pub mod station;
pub mod store;
pub mod sync;
pub mod tarana;
pub mod telemetry;
