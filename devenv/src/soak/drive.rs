//! One batch after the other, each played and judged.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Shared;
use super::batch::{Batch, Dice};
use super::crew::Crew;
use super::judge::Judge;
use super::plan::Plan;
use super::play::{Played, play};
use super::stage::Stage;
use super::verdict::End;
use crate::error::{Error, Result};

/// How long a connection may take to work again by itself, once nothing is wrong with the world.
const RECOVERS: Duration = Duration::from_secs(5);
/// And after another password was given.
const MENDED: Duration = Duration::from_mins(2);
/// How late an object may be deleted after its time; the operator is killed now and then.
const LATE: Duration = Duration::from_mins(2);
/// How long log rows may wait for the sweep at the end.
const SWEPT: Duration = Duration::from_mins(5);
const LOOK: Duration = Duration::from_millis(200);

/// A soak under way.
struct Drive<'a> {
    plan: &'a Plan,
    stage: &'a Stage,
    crew: &'a mut Crew,
    shared: &'a Shared,
    judge: Judge,
    /// Who held the Lease when it was looked at last.
    holder: Option<String>,
    /// Runs whose objects must go by themselves, and when.
    leaving: HashMap<String, Instant>,
}

/// Until the time is up; then calm, and everything must be in order.
pub(super) async fn drive(plan: &Plan, stage: &Stage, crew: &mut Crew, shared: &Shared) -> Result<()> {
    let mut drive = Drive {
        plan,
        stage,
        crew,
        shared,
        judge: Judge::new(),
        holder: None,
        leaving: HashMap::new(),
    };
    drive.calm("the first run").await?;
    let mut dice = Dice::new(plan.seed, plan.pace, plan.devices);
    while shared.elapsed() < plan.duration && plan.runs.is_none_or(|most| shared.board().runs < most) {
        let batch = dice.batch(plan.is_calm(shared.elapsed()));
        drive.one(&batch).await?;
        sleep(batch.pause).await;
    }
    drive.calm("the last run").await?;
    drive.settle().await
}

impl Drive<'_> {
    /// A run without any trouble, which must be completed.
    async fn calm(&mut self, which: &str) -> Result<()> {
        let ends = self.one(&Dice::quiet()).await?;
        if ends != [End::Completed] {
            self.violate(which, format!("nothing was wrong, and it ended as {ends:?}"));
        }
        Ok(())
    }

    async fn one(&mut self, batch: &Batch) -> Result<Vec<End>> {
        let first = self.shared.board().runs;
        let played = play(self.plan, self.stage, self.crew, batch, first).await?;
        if played.hangs {
            let told = played
                .asked
                .iter()
                .map(|asked| format!("{}: {}", asked.name, asked.object["status"]));
            let told: Vec<String> = told.collect();
            return Err(Error::Unexpected(format!(
                "a run does not end: {}",
                told.join("; ")
            )));
        }
        let finding = self.judge.judge(self.plan, self.stage, batch, &played).await?;
        let ends: Vec<End> = finding.ended.iter().map(|ended| ended.end.clone()).collect();
        self.shared
            .board()
            .count(self.shared.elapsed(), batch, &played, finding);
        self.tidy(&played).await?;
        self.mend(&ends).await?;
        self.look_for_takeover().await?;
        Ok(ends)
    }

    /// Deletes objects that have no end of their own, and sees that the others go in time.
    async fn tidy(&mut self, played: &Played) -> Result<()> {
        for asked in played.asked.iter().filter(|asked| !asked.gone) {
            match asked.wish.ttl {
                Some(ttl) => {
                    let due = Instant::now() + Duration::from_secs(ttl.into()) + LATE;
                    self.leaving.insert(asked.name.clone(), due);
                }
                None => self.stage.cluster.delete(&asked.name).await?,
            }
        }
        let late: Vec<String> = self
            .leaving
            .iter()
            .filter(|(_, due)| Instant::now() > **due)
            .map(|(name, _)| name.clone())
            .collect();
        for name in late {
            self.leaving.remove(&name);
            if self.stage.cluster.run(&name).await?.is_some() {
                self.violate(&name, "its object is there 2 min after its time".to_owned());
            }
        }
        Ok(())
    }

    /// Sees that the connection works before the next batch. A refused login waits for a person: another password.
    async fn mend(&mut self, ends: &[End]) -> Result<()> {
        if !is_shut_out(ends) && self.stage.is_ready_within(RECOVERS).await? {
            return Ok(());
        }
        self.stage.rotate().await?;
        self.shared.board().rotations += 1;
        let end = Instant::now() + MENDED;
        while !self.stage.is_ready_within(LOOK).await? {
            self.crew.tend(&self.stage.plane).await?;
            if Instant::now() > end {
                self.violate("-", "the connection does not work again".to_owned());
                return Ok(());
            }
        }
        Ok(())
    }

    async fn look_for_takeover(&mut self) -> Result<()> {
        let now = self.stage.cluster.holder().await?;
        if let (Some(before), Some(now)) = (&self.holder, &now) {
            self.shared.board().takeovers += usize::from(before != now);
        }
        self.holder = now.or(self.holder.take());
        Ok(())
    }

    /// No log row may be left open.
    async fn settle(&mut self) -> Result<()> {
        let end = Instant::now() + SWEPT;
        while self.judge.waiting() > 0 {
            let open = self.stage.table.open().await?;
            if open.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                self.violate("-", format!("log rows stay open: {open:?}"));
                return Ok(());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn violate(&self, run: &str, what: String) {
        self.shared.board().violate(self.shared.elapsed(), run, what);
    }
}

/// Whether the operator may remember that a login was refused: for 15 minutes it asks for none.
fn is_shut_out(ends: &[End]) -> bool {
    let refused = |reason: &str| {
        reason.starts_with("Authentication") || ["AccessDenied", "ApiRejected"].contains(&reason)
    };
    ends.iter()
        .any(|end| matches!(end, End::Failed(reason) if refused(reason)))
}
