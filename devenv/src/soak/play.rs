//! Brings a batch about: the fleet changes, runs are asked for, things happen to them, until they are over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::batch::{Batch, Change, Wish};
use super::crew::Crew;
use super::deeds::{Deed, deeds};
use super::plan::Plan;
use super::stage::{NAME, Stage};
use super::vendor;
use crate::error::{Error, Result};
use crate::simulator::{Endpoint, Fault, Row, Rule, Simulator};

const LOOK: Duration = Duration::from_millis(50);
/// What a batch may take beside twice the deadline of a run: queueing, takeovers, a last word of the log row.
const SPARE: Duration = Duration::from_mins(3);

/// A run that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) id: Uuid,
    pub(super) wish: Wish,
    /// As it was seen last.
    pub(super) object: Value,
    pub(super) gone: bool,
}

impl Asked {
    pub(super) fn phase(&self) -> &str {
        self.object["status"]["phase"].as_str().unwrap_or("Pending")
    }

    fn is_over(&self) -> bool {
        self.gone || matches!(self.phase(), "Completed" | "Failed" | "Cancelled")
    }
}

/// What became of a batch.
pub(super) struct Played {
    pub(super) asked: Vec<Asked>,
    /// The fleet at each moment of the runs.
    pub(super) fleets: Vec<Vec<Row>>,
    /// Stations of which a spoilt record was told.
    pub(super) spoilt: BTreeSet<String>,
    /// Letters beyond ASCII were spoilt.
    pub(super) latin1: bool,
    /// Faults of the vendor that hit, by kind.
    pub(super) fired: BTreeMap<String, u32>,
    /// What went wrong on the way.
    pub(super) wrong: Vec<String>,
    /// How operators ended that nobody had told to.
    pub(super) fell: Vec<String>,
    /// Not all runs are over: there is no point in going on.
    pub(super) hangs: bool,
}

/// Plays a batch. `first` numbers its runs.
pub(super) async fn play(
    plan: &Plan,
    stage: &Stage,
    crew: &mut Crew,
    batch: &Batch,
    first: usize,
) -> Result<Played> {
    change(&stage.tcs, batch.before);
    if let Some(refresh_too) = batch.expire {
        stage.tcs.expire_sessions(refresh_too);
    }
    let mut played = Played {
        asked: Vec::new(),
        fleets: vec![stage.tcs.truth()],
        spoilt: BTreeSet::new(),
        latin1: batch.rules.iter().any(|rule| rule.fault == Fault::Latin1),
        fired: BTreeMap::new(),
        wrong: Vec::new(),
        fell: Vec::new(),
        hangs: false,
    };
    stage.tcs.script(rules(batch));
    for (number, wish) in batch.wishes.iter().enumerate() {
        played.asked.push(ask(plan, stage, wish, first + number).await?);
    }
    let mut scene = Scene {
        stage,
        crew,
        late: None,
    };
    scene.until_over(plan, batch, &mut played).await?;
    played.spoilt = stage.tcs.spoilt().into_iter().map(|(serial, _)| serial).collect();
    for state in stage.tcs.rules().iter().take(batch.rules.len()) {
        if state.fired > 0 {
            *played.fired.entry(vendor::kind(&state.rule.fault)).or_default() += state.fired;
        }
    }
    stage.tcs.clear();
    stage.tcs.release();
    Ok(played)
}

fn rules(batch: &Batch) -> Vec<Rule> {
    let hang = |after| {
        Rule::on(Endpoint::Search, Fault::Hang { after_bytes: None })
            .after(after)
            .once()
    };
    let midway = batch.midway.map(|(after, _)| hang(after));
    batch.rules.iter().cloned().chain(midway).collect()
}

fn change(tcs: &Simulator, change: Change) {
    if change.drift > 0.0 {
        tcs.drift(change.drift);
    }
    if change.vanish > 0 {
        tcs.vanish(change.vanish);
    }
    if change.add > 0 {
        tcs.add(change.add);
    }
}

async fn ask(plan: &Plan, stage: &Stage, wish: &Wish, number: usize) -> Result<Asked> {
    let name = format!("run-{number:05}");
    let mut spec = json!({"connectionRef": {"name": NAME}, "dryRun": wish.dry_run, "deleteStale": wish.delete_stale,
        "backoffLimit": wish.retries, "backoff": {"initialSeconds": 1, "maxSeconds": 2},
        "activeDeadlineSeconds": plan.pace.deadline, "trigger": {"actor": "soak"}});
    if let Some(ttl) = wish.ttl {
        spec["ttlSecondsAfterFinished"] = json!(ttl);
    }
    if wish.approved {
        spec["approvedDeletes"] = json!(plan.devices);
    }
    let object = stage.cluster.create(&name, spec).await?;
    let id = object["metadata"]["uid"].as_str().and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| Error::Unexpected(format!("{name} has no uid")))?;
    Ok(Asked {
        name,
        id,
        wish: wish.clone(),
        object,
        gone: false,
    })
}

/// What deeds are done to.
struct Scene<'a> {
    stage: &'a Stage,
    crew: &'a mut Crew,
    /// The operator that fell, or was stopped.
    late: Option<&'static str>,
}

impl Scene<'_> {
    /// Until every run is over and every deed is done.
    async fn until_over(&mut self, plan: &Plan, batch: &Batch, played: &mut Played) -> Result<()> {
        let begun = Instant::now();
        let deadline = u64::try_from(plan.pace.deadline).unwrap_or(0);
        let patience = Duration::from_secs(2 * deadline) + SPARE;
        let mut deeds = deeds(batch).into_iter().peekable();
        let mut midway = batch.midway.map(|(_, change)| change);
        loop {
            while let Some((_, deed)) = deeds.next_if(|(at, _)| *at <= begun.elapsed()) {
                self.perform(deed, played).await?;
            }
            played.fell.extend(self.crew.tend(&self.stage.plane).await?);
            if self.stage.tcs.hanging() > 0
                && let Some(now) = midway.take()
            {
                change(&self.stage.tcs, now);
                played.fleets.push(self.stage.tcs.truth());
                self.stage.tcs.release();
            }
            for asked in played.asked.iter_mut().filter(|asked| !asked.is_over()) {
                look(self.stage, asked).await?;
            }
            if deeds.peek().is_none() && played.asked.iter().all(Asked::is_over) {
                return Ok(());
            }
            if begun.elapsed() > patience {
                played.hangs = true;
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    async fn perform(&mut self, deed: Deed, played: &mut Played) -> Result<()> {
        let stage = self.stage;
        let leader = self.crew.leader();
        match deed {
            Deed::Cancel(number) => stage.cluster.cancel(&played.asked[number].name).await?,
            Deed::Delete(number) => stage.cluster.delete(&played.asked[number].name).await?,
            Deed::Kill => {
                self.late = leader;
                if let Some(name) = leader {
                    self.crew.kill(name);
                }
            }
            Deed::Terminate => {
                self.late = leader;
                self.dismiss(leader, played).await?;
            }
            Deed::Restart => {
                if let Some(name) = self.late.take() {
                    self.crew.start(&stage.plane, name).await?;
                }
            }
            Deed::StandBy => {
                let name = self.crew.other();
                self.crew.start(&stage.plane, name).await?;
            }
            Deed::Freeze => {
                self.late = leader;
                if let Some(name) = leader {
                    self.crew.freeze(name).await?;
                }
            }
            Deed::Thaw => {
                if let Some(name) = self.late {
                    self.crew.thaw(name).await?;
                }
            }
            Deed::Retire => {
                let late = self.late.take();
                self.dismiss(late, played).await?;
            }
            Deed::CrashDatabase => stage.crash_database().await?,
            Deed::CutDatabase => stage.table.terminate_others().await?,
            Deed::DatabaseAway(away) => stage.database_wire.set_away(away),
            Deed::ClusterAway(away) => stage.cluster_wire.set_away(away),
        }
        Ok(())
    }

    async fn dismiss(&mut self, name: Option<&'static str>, played: &mut Played) -> Result<()> {
        let Some(name) = name else { return Ok(()) };
        if !self.crew.terminate(name).await? {
            played
                .wrong
                .push(format!("operator {name} did not end within 30 s of SIGTERM"));
        }
        Ok(())
    }
}

/// The object as it is now. One of the same name but another uid is nobody's.
async fn look(stage: &Stage, asked: &mut Asked) -> Result<()> {
    match stage.cluster.run(&asked.name).await? {
        Some(object) => asked.object = object,
        None => asked.gone = true,
    }
    Ok(())
}
