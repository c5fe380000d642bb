//! After a batch: the log rows, the change rows, the outbox, and every row of the table against what it must hold.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::batch::Batch;
use super::deeds::excuse;
use super::ledger::Ledger;
use super::plan::Plan;
use super::play::{Asked, Played};
use super::stage::Stage;
use super::table::Books;
use super::verdict::{self, End, number};
use crate::error::Result;

/// A row of a run that nobody holds is closed by the sweep: every two minutes, after a minute's grace.
const SWEPT: Duration = Duration::from_mins(5);

/// How a run ended, and after how long.
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) dry_run: bool,
    pub(super) took: Duration,
}

/// What was found.
#[derive(Default)]
pub(super) struct Finding {
    pub(super) ended: Vec<Ended>,
    /// Each with the run that it is about.
    pub(super) wrong: Vec<(String, String)>,
    /// Rows compared with the truth, and rows found otherwise.
    pub(super) compared: u64,
    pub(super) differing: u64,
    /// Rows of completed runs that could be told to have met spoilt records or a fleet that moved.
    pub(super) settled: u64,
}

/// Keeps the ledger and what is still open.
pub(super) struct Judge {
    pub(super) ledger: Ledger,
    open: HashMap<Uuid, Instant>,
}

impl Judge {
    pub(super) fn new() -> Self {
        Self {
            ledger: Ledger::default(),
            open: HashMap::new(),
        }
    }

    /// Judges a batch whose runs are over.
    pub(super) async fn judge(
        &mut self,
        plan: &Plan,
        stage: &Stage,
        batch: &Batch,
        played: &Played,
    ) -> Result<Finding> {
        let mut finding = Finding::default();
        let deadline = Duration::from_secs(u64::try_from(plan.pace.deadline).unwrap_or(0));
        let within = deadline + excuse(batch);
        let mut completed = Vec::new();
        for asked in &played.asked {
            let books = stage.table.books(asked.id).await?;
            let wrong = verdict::books(asked, &books, within);
            finding
                .wrong
                .extend(wrong.into_iter().map(|what| (asked.name.clone(), what)));
            let end = verdict::end(&books);
            let took = u64::try_from(number(&books, "duration_ms")).unwrap_or(0);
            finding.ended.push(Ended {
                end: end.clone(),
                dry_run: asked.wish.dry_run,
                took: Duration::from_millis(took),
            });
            if end == End::Completed && !asked.wish.dry_run {
                completed.push((asked, books));
            }
        }
        completed.sort_by_key(|(_, books)| books.row["completed_at"].to_string());
        self.table(stage, played, &completed, &mut finding).await?;
        self.left_open(stage, &mut finding).await?;
        Ok(finding)
    }

    /// The table against the truth, if a run was completed; else against what it was.
    async fn table(
        &mut self,
        stage: &Stage,
        played: &Played,
        completed: &[(&Asked, Books)],
        finding: &mut Finding,
    ) -> Result<()> {
        let certain = played.fleets.len() == 1 && played.spoilt.is_empty() && !played.latin1;
        let before = self.ledger.clone();
        let fleet = played.fleets.last().map_or(&[][..], Vec::as_slice);
        let mut deletes = false;
        for (asked, books) in completed {
            let gone = self.ledger.stale(fleet).len();
            let rows = self.ledger.digest().rows;
            let guarded = verdict::guard(asked, books, gone, rows, certain);
            let goes = asked.wish.delete_stale && number(books, "withheld") == 0;
            deletes |= goes;
            let delta = self.ledger.apply(fleet, goes);
            let counted = if certain {
                verdict::counts(books, delta)
            } else {
                None
            };
            let wrong = guarded.into_iter().chain(counted);
            finding.wrong.extend(wrong.map(|what| (asked.name.clone(), what)));
        }
        let found = stage.table.digest().await?;
        finding.compared += u64::try_from(found.rows).unwrap_or(0);
        if found != self.ledger.digest() {
            let may_differ = !certain && !completed.is_empty();
            self.differs(stage, played, &before, may_differ.then_some(deletes), finding)
                .await?;
        }
        Ok(())
    }

    /// Row by row. `deletes`: what a run that was told odd things may have done; `None`: nothing may differ.
    async fn differs(
        &mut self,
        stage: &Stage,
        played: &Played,
        before: &Ledger,
        deletes: Option<bool>,
        finding: &mut Finding,
    ) -> Result<()> {
        let found = stage.table.rows().await?;
        let differing = self.ledger.differing(&found);
        let all = differing.len();
        let may = |serial: &str| {
            deletes.is_some_and(|deletes| {
                verdict::may_be(
                    played,
                    before,
                    deletes,
                    serial,
                    found.get(serial).map(String::as_str),
                )
            })
        };
        let wrong: Vec<String> = differing.iter().filter(|serial| !may(serial)).cloned().collect();
        finding.settled += (all - wrong.len()) as u64;
        if !wrong.is_empty() {
            finding.differing += wrong.len() as u64;
            let runs: Vec<&str> = played.asked.iter().map(|asked| asked.name.as_str()).collect();
            let what = format!("the table: {}", verdict::show(&self.ledger, &found, &wrong));
            finding.wrong.push((runs.join(" "), what));
        }
        for serial in differing {
            self.ledger.adopt(&serial, found.get(&serial).map(String::as_str));
        }
        Ok(())
    }

    /// Log rows that are open although their runs are over: the sweep has some minutes for them.
    async fn left_open(&mut self, stage: &Stage, finding: &mut Finding) -> Result<()> {
        let now = stage.table.open().await?;
        self.open.retain(|id, _| now.iter().any(|(open, _)| open == id));
        for (id, name) in now {
            let since = *self.open.entry(id).or_insert_with(Instant::now);
            if since.elapsed() > SWEPT {
                finding.wrong.push((
                    name,
                    format!("its log row is open {:.0?} after its end", since.elapsed()),
                ));
                // Once is enough.
                self.open.insert(id, Instant::now());
            }
        }
        Ok(())
    }

    /// How many log rows wait for the sweep.
    pub(super) fn waiting(&self) -> usize {
        self.open.len()
    }
}
