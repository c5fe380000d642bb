//! The soak: a fleet that drifts, a run every few seconds, faults at random, the operator killed now and then, and after each
//! run the table compared with the truth. See the README of this folder.

mod batch;
mod board;
mod cluster;
mod crew;
mod deeds;
mod drive;
mod gauge;
mod judge;
mod ledger;
mod plan;
mod play;
mod report;
mod row;
mod stage;
mod table;
mod vendor;
mod verdict;
mod watch;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use board::Violation;
pub use plan::{Pace, Plan};

use crate::error::{Error, Result};
use board::Board;
use crew::Crew;
use stage::Stage;

/// How a soak ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Plain text, aligned.
    pub report: String,
    /// Runs that were asked for and judged.
    pub runs: usize,
    /// How many of them were completed.
    pub completed: usize,
    /// Rows that were compared with the truth.
    pub compared: u64,
    /// None is expected.
    pub violations: Vec<Violation>,
}

/// What the driver and the watcher share.
struct Shared {
    began: Instant,
    board: Mutex<Board>,
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Soaks, until the time is up or somebody presses Ctrl-C; one line a minute goes to standard output. The report, all samples
/// and the operators' logs stay in the plan's folder.
///
/// # Errors
/// When the servers do not come up, or the folder cannot be written. What goes wrong later is a violation.
pub async fn soak(plan: &Plan) -> Result<Outcome> {
    empty(&plan.folder)?;
    let (stage, mut crew) = Stage::set(plan).await?;
    let machine = gauge::machine();
    println!(
        "soak: seed {}, {} devices, {:.0?}, on {machine}; logs in {}",
        plan.seed,
        plan.devices,
        plan.duration,
        plan.folder.display()
    );
    let shared = Shared {
        began: Instant::now(),
        board: Mutex::default(),
    };
    drive_watched(plan, &stage, &mut crew, &shared).await;

    let mut board = shared.board().clone();
    board.processes = crew.started();
    if let Some(leak) = report::leak(&board) {
        board.violate(shared.elapsed(), "-", leak);
    }
    let report = report::report(plan, &machine, shared.elapsed(), &board);
    write(&plan.folder.join("report.txt"), &report)?;
    write(&plan.folder.join("samples.csv"), &report::csv(&board))?;
    Ok(Outcome {
        report,
        runs: board.runs,
        completed: board.ends.get("Completed").copied().unwrap_or(0),
        compared: board.compared,
        violations: board.violations,
    })
}

/// An end that comes early is a violation, not an error: the report tells what was found until then.
async fn drive_watched(plan: &Plan, stage: &Stage, crew: &mut Crew, shared: &Shared) {
    let leader = crew.leading();
    let done = tokio::select! {
        done = drive::drive(plan, stage, crew, shared) => done,
        never = watch::watch(plan, stage, &leader, shared) => match never {},
        asked = tokio::signal::ctrl_c() => asked.map_err(Error::io("wait for Ctrl-C")),
    };
    if let Err(error) = done {
        shared
            .board()
            .violate(shared.elapsed(), "-", format!("the soak cannot go on: {error}"));
    }
}

/// Makes the folder, without what an earlier soak left in it.
fn empty(folder: &Path) -> Result<()> {
    let doing = || Error::io(format!("empty {}", folder.display()));
    if folder.is_dir() {
        fs::remove_dir_all(folder).map_err(doing())?;
    }
    fs::create_dir_all(folder).map_err(doing())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(Error::io(format!("write {}", file.display())))
}
