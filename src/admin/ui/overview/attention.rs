//! Pure: what needs the attention of a user, with the next action for each.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::admin::response::sync::{SyncPhase, SyncResponse};
use crate::admin::ui::words;
use crate::api::condition;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::cron::Cron;

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub action: String,
    /// The page that shows more.
    pub page: Option<RelatedPage>,
}

/// A page about something that needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelatedPage {
    /// That of the run with this id.
    Run(Uuid),
    /// That of the schedules.
    Schedules,
    /// That of the connection.
    Connection,
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub connection: &'a TaranaConnection,
    /// Its schedules.
    pub schedules: &'a [&'a TaranaSyncSchedule],
    /// Its newest ended runs, newest first.
    pub ended: &'a [SyncResponse],
    /// How fresh the table is; `None` before the first sync.
    pub true_as_of: Option<Timestamp>,
    pub now: Timestamp,
}

/// What needs attention, the most urgent first. Empty if all is well.
pub fn attention(facts: &Facts<'_>) -> Vec<Attention> {
    let suspended = facts
        .schedules
        .iter()
        .filter_map(|schedule| suspended_schedule(schedule));
    [
        connection_not_ready(facts.connection),
        repeated_failures(facts.ended),
        withheld_deletions(facts.ended),
        kept_stations(facts.ended),
        stale_data(facts),
        suspended_connection(facts.connection),
    ]
    .into_iter()
    .flatten()
    .chain(suspended)
    .collect()
}

fn connection_not_ready(connection: &TaranaConnection) -> Option<Attention> {
    let conditions = &connection.status.as_ref()?.conditions;
    let ready = condition::find(conditions, condition::READY)?;
    // A suspended connection is not ready on purpose.
    (ready.status == "False" && !connection.spec.suspend).then(|| Attention {
        page: Some(RelatedPage::Connection),
        problem: format!("The connection is not ready: {}", words::sentence(&ready.message)),
        action: "Syncs wait until this is corrected. The operator checks again every few minutes.".to_owned(),
    })
}

fn repeated_failures(ended: &[SyncResponse]) -> Option<Attention> {
    let failed: Vec<&SyncResponse> = ended
        .iter()
        .filter(|run| !run.dry_run && run.phase != SyncPhase::Cancelled)
        .take_while(|run| run.phase == SyncPhase::Failed)
        .collect();
    let (newest, failures) = (failed.first()?, failed.len());
    (failures >= 2).then(|| Attention {
        page: Some(RelatedPage::Run(newest.id)),
        problem: format!(
            "The last {failures} syncs failed. {}",
            words::sentence(newest.message.as_deref().unwrap_or("no reason is recorded"))
        ),
        action:
            "The table still has the stations of the last completed sync. Correct the cause, then sync now."
                .to_owned(),
    })
}

fn withheld_deletions(ended: &[SyncResponse]) -> Option<Attention> {
    let newest = ended
        .iter()
        .find(|run| run.phase == SyncPhase::Completed && !run.dry_run)?;
    let withheld = newest.withheld();
    (withheld > 0).then(|| Attention {
        page: Some(RelatedPage::Run(newest.id)),
        problem: format!(
            "{} {} no longer in the vendor's listing, but kept in the table.",
            words::stations(withheld),
            if withheld == 1 { "is" } else { "are" }
        ),
        action: if newest.has_unproven_listing() {
            "The listing was not proven complete, so they cannot be approved: sync again.".to_owned()
        } else {
            "If they are truly gone, approve their deletion on the page of the sync.".to_owned()
        },
    })
}

/// Stations that a sync without deletions kept.
fn kept_stations(ended: &[SyncResponse]) -> Option<Attention> {
    let newest = ended
        .iter()
        .find(|run| run.phase == SyncPhase::Completed && !run.dry_run)?;
    let kept = newest.kept_stale();
    (kept > 0).then(|| Attention {
        page: Some(RelatedPage::Run(newest.id)),
        problem: format!(
            "{} in the table {} missing from the vendor's last listing.",
            words::stations(kept),
            if kept == 1 { "is" } else { "are" }
        ),
        action: "To see which, choose Delete stale stations and Sync now: it shows what a dry run found, and asks before it deletes."
            .to_owned(),
    })
}

fn stale_data(facts: &Facts<'_>) -> Option<Attention> {
    let active = facts.schedules.iter().filter(|schedule| !schedule.spec.suspend);
    let interval = active
        .filter_map(|schedule| interval(schedule, facts.now))
        .min()?;
    let age = facts.now.duration_since(facts.true_as_of?);
    (age > interval.saturating_mul(2)).then(|| Attention {
        page: Some(RelatedPage::Schedules),
        problem: format!(
            "The stations are stale: they were read {}, although a sync is due every {}.",
            words::ago(age),
            words::duration(interval)
        ),
        action: "Sync now, and find out why the schedule's last slots did not succeed.".to_owned(),
    })
}

/// Time between the next two slots.
fn interval(schedule: &TaranaSyncSchedule, now: Timestamp) -> Option<SignedDuration> {
    let cron = Cron::parse(&schedule.spec.schedule, &schedule.spec.time_zone).ok()?;
    let first = cron.next_after(now)?;
    Some(cron.next_after(first)?.duration_since(first))
}

fn suspended_connection(connection: &TaranaConnection) -> Option<Attention> {
    connection.spec.suspend.then(|| Attention {
        page: Some(RelatedPage::Connection),
        problem: "The connection is suspended: no sync starts.".to_owned(),
        action: "To resume it, set spec.suspend of the TaranaConnection to false.".to_owned(),
    })
}

fn suspended_schedule(schedule: &TaranaSyncSchedule) -> Option<Attention> {
    let name = schedule.metadata.name.as_deref().unwrap_or_default();
    let suspended = words::suspension(schedule.spec.suspend_reason.as_deref());
    schedule.spec.suspend.then(|| Attention {
        page: Some(RelatedPage::Schedules),
        problem: format!("The schedule {name} is {suspended}"),
        action: "Its slots start no sync until it is resumed. Sync now to refresh the stations once."
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::sync::TaranaSync;

    fn connection(spec: &Value, ready: &str) -> TaranaConnection {
        let condition = json!({"type": "Ready", "status": ready, "reason": "R", "message": "wrong password",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let mut object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaConnection", "metadata": {"name": "default"},
            "spec": {"api": {"url": "https://a", "credentialsSecretRef": {"name": "a"}}, "database": {"secretRef": {"name": "b"}}},
            "status": {"conditions": [condition]}});
        object["spec"]["suspend"] = spec["suspend"].as_bool().unwrap_or_default().into();
        serde_json::from_value(object).unwrap()
    }

    fn schedule(suspend: bool) -> TaranaSyncSchedule {
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule", "metadata": {"name": "nightly"},
            "spec": {"schedule": "0 4 * * *", "suspend": suspend, "suspendReason": "maintenance"}});
        serde_json::from_value(object).unwrap()
    }

    fn run(phase: &str, dry_run: bool, withheld: i64) -> SyncResponse {
        run_with_stale(phase, dry_run, withheld, withheld)
    }

    fn run_with_stale(phase: &str, dry_run: bool, withheld: i64, stale: i64) -> SyncResponse {
        let counts = json!({"fetched": 0, "inserted": 0, "updated": 0, "unchanged": 0, "deleted": 0, "skipped": 0, "withheld": withheld, "stale": stale});
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": {"name": "r"},
            "spec": {"dryRun": dry_run}, "status": {"phase": phase, "counts": counts}});
        SyncResponse::from(&serde_json::from_value::<TaranaSync>(object).unwrap())
    }

    fn problems(
        connection: &TaranaConnection,
        schedule: &TaranaSyncSchedule,
        ended: &[SyncResponse],
        age_hours: i64,
    ) -> Vec<String> {
        let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        let facts = Facts {
            connection,
            schedules: &[schedule],
            ended,
            true_as_of: Some(now - SignedDuration::from_hours(age_hours)),
            now,
        };
        attention(&facts).into_iter().map(|a| a.problem).collect()
    }

    #[test]
    fn nothing_needs_attention_if_all_is_well() {
        let (connection, schedule) = (connection(&json!({}), "True"), schedule(false));
        let one_failure = [run("Failed", false, 0), run("Completed", false, 0)];
        let dry = [run("Completed", true, 9), run("Completed", false, 0)];
        let between = [
            run("Failed", false, 0),
            run("Completed", false, 0),
            run("Failed", false, 0),
        ];
        for ended in [&[][..], &one_failure, &dry, &between] {
            assert_eq!(
                problems(&connection, &schedule, ended, 47),
                Vec::<String>::new(),
                "{ended:?}"
            );
        }
    }

    #[test]
    fn each_problem_is_named() {
        let (well, planned) = (connection(&json!({}), "True"), schedule(false));
        let failed = [
            run("Failed", false, 0),
            run("Cancelled", false, 0),
            run("Failed", true, 0),
            run("Failed", false, 0),
            run("Completed", false, 0),
        ];
        let stopped = connection(&json!({"suspend": true}), "False");
        for (connection, schedule, ended, age, parts) in [
            (
                &connection(&json!({}), "False"),
                &planned,
                &[][..],
                1,
                &["not ready: Wrong password."][..],
            ),
            (&stopped, &planned, &[], 1, &["connection is suspended"]),
            (
                &well,
                &schedule(true),
                &[],
                100,
                &["nightly is suspended: Maintenance."],
            ),
            (
                &well,
                &planned,
                &[],
                49,
                &["they were read 2 days ago, although a sync is due every 24 h"],
            ),
            (&well, &planned, &failed, 1, &["last 2 syncs failed"]),
            (
                &well,
                &planned,
                &[run("Completed", false, 1)],
                1,
                &["1 station is no longer"],
            ),
            (
                &well,
                &planned,
                &[run("Completed", false, 1200)],
                49,
                &["1,200 stations are no longer", "stale"],
            ),
        ] {
            let found = problems(connection, schedule, ended, age);
            assert_eq!(found.len(), parts.len(), "{found:?}");
            for (problem, part) in found.iter().zip(parts) {
                assert!(problem.contains(part), "{found:?}");
            }
        }
    }

    #[test]
    fn stations_that_the_newest_sync_kept_are_counted() {
        let (connection, schedule) = (connection(&json!({}), "True"), schedule(false));
        let kept = |stale: i64| run_with_stale("Completed", false, 0, stale);
        for (ended, expected) in [
            (vec![kept(60)], Some("60 stations in the table are missing from")),
            (
                vec![run_with_stale("Completed", true, 0, 9), kept(1), kept(60)],
                Some("1 station in the table is missing from"),
            ),
            (vec![kept(0), kept(60)], None),
        ] {
            let found = problems(&connection, &schedule, &ended, 1);
            assert_eq!(found.len(), expected.iter().len(), "{found:?}");
            assert!(
                found
                    .iter()
                    .zip(expected)
                    .all(|(problem, part)| problem.contains(part)),
                "{found:?}"
            );
        }
    }
}
