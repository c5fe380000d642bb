//! Pure: formats the report, the progress line and the CSV of samples.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::plan::Plan;
use super::statistics::{Sample, Statistics};

const MIB: u64 = 1 << 20;
/// The minimum age of a process for the leak check.
const MIN_AGE: Duration = Duration::from_mins(10);
/// The tolerated growth of memory: a quarter, plus this.
const MEMORY_SLACK: u64 = 12 * MIB;
/// The tolerated growth of file descriptors.
const DESCRIPTOR_SLACK: u64 = 8;
/// The number of lines in the table of samples.
const LINES: usize = 13;

/// The medians of a part of a process's life.
struct Medians {
    resident: u64,
    descriptors: u64,
}

/// Describes a leak of memory or file descriptors, if there is one.
pub(super) fn leak(statistics: &Statistics) -> Option<String> {
    let life = statistics.longest_lived();
    let age = life.last().map_or(Duration::ZERO, |sample| sample.age);
    if age < MIN_AGE {
        return None;
    }
    let (early, late) = quarter_medians(&life);
    let memory = late.resident > early.resident + early.resident / 4 + MEMORY_SLACK;
    let descriptors = late.descriptors > early.descriptors + DESCRIPTOR_SLACK;
    (memory || descriptors).then(|| {
        format!(
            "the operator's memory went from {} to {} MB and its file descriptors from {} to {}",
            early.resident / 1_000_000,
            late.resident / 1_000_000,
            early.descriptors,
            late.descriptors
        )
    })
}

/// The medians of the second and the last quarter of a process's life. The first quarter is for warming up.
fn quarter_medians(life: &[Sample]) -> (Medians, Medians) {
    let quarter = life.len() / 4;
    let of = |samples: &[Sample]| Medians {
        resident: median(samples.iter().map(|sample| sample.resident)),
        descriptors: median(samples.iter().map(|sample| sample.descriptors)),
    };
    (
        of(&life[quarter..(2 * quarter).max(quarter)]),
        of(&life[life.len() - quarter..]),
    )
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// The progress line.
pub(super) fn progress(at: Duration, statistics: &Statistics) -> String {
    let last = statistics.samples.last().copied().unwrap_or_default();
    let completed = statistics.outcomes.get("Completed").copied().unwrap_or(0);
    format!(
        "{:>4} min  {:>5} runs ({completed} completed)  {:>5} faults  {:>3} disruptions  {:>4} MB  {:>3} fds  {:>11} rows compared  {} violations",
        at.as_secs() / 60,
        statistics.runs,
        statistics.fault_count(),
        statistics.disruption_count(),
        last.resident / 1_000_000,
        last.descriptors,
        statistics.compared,
        statistics.violations.len()
    )
}

/// The report.
pub(super) fn report(plan: &Plan, machine: &str, took: Duration, statistics: &Statistics) -> String {
    let mut text = String::new();
    line(&mut text, "soak of", minutes(took));
    line(&mut text, "machine", machine);
    line(&mut text, "seed", plan.seed);
    line(&mut text, "devices at the start", plan.devices);
    runs(&mut text, statistics);
    faults_and_disruptions(&mut text, statistics);
    resources(&mut text, statistics);
    line(
        &mut text,
        "rows compared with the expected table",
        statistics.compared,
    );
    line(
        &mut text,
        "  differing as defective data permits",
        statistics.tolerated,
    );
    line(&mut text, "  differing otherwise", statistics.differing);
    line(&mut text, "violations", statistics.violations.len());
    for violation in &statistics.violations {
        let (at, run, what) = (minutes(violation.at), &violation.run, &violation.what);
        let _ = writeln!(text, "  {at} {run}: {what}");
    }
    text
}

fn runs(text: &mut String, statistics: &Statistics) {
    let (runs, batches, dry) = (statistics.runs, statistics.batches, statistics.dry_runs);
    line(
        text,
        "runs",
        format!("{runs} in {batches} batches, {dry} of them dry"),
    );
    list(text, statistics.outcomes.iter());
    line(
        text,
        "completed runs, median",
        format!("{:.2} s", statistics.median_duration().as_secs_f64()),
    );
    let (slowest, run) = &statistics.slowest;
    line(
        text,
        "slowest run, retries and waiting included",
        format!("{:.1} s ({run})", slowest.as_secs_f64()),
    );
    line(
        text,
        "cancels and deletes by users",
        statistics.user_actions.values().sum::<usize>(),
    );
    list(text, statistics.user_actions.iter());
    line(text, "fleet changes during a run", statistics.changes_during_runs);
}

fn faults_and_disruptions(text: &mut String, statistics: &Statistics) {
    line(text, "vendor faults that fired", statistics.fault_count());
    list(text, statistics.faults.iter());
    line(text, "disruptions", statistics.disruption_count());
    list(text, statistics.disruptions.iter());
    let (processes, takeovers) = (statistics.processes, statistics.takeovers);
    line(
        text,
        "operators started",
        format!("{processes} processes, {takeovers} takeovers"),
    );
    let exits = statistics.unexpected_exits.iter();
    list(
        text,
        exits.map(|(how, times)| (format!("unexpected exit: {how}"), times)),
    );
    line(
        text,
        "password changes after rejected logins",
        statistics.password_changes,
    );
}

fn minutes(time: Duration) -> String {
    format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
}

fn line(text: &mut String, what: &str, value: impl Display) {
    let _ = writeln!(text, "{what:<44} {value}");
}

fn list<K: Display, V: Display>(text: &mut String, counts: impl Iterator<Item = (K, V)>) {
    for (what, times) in counts {
        let _ = writeln!(text, "  {what:<42} {times}");
    }
}

/// Memory, file descriptors and sizes at the start, at the end and at their peak; and the longest-lived process.
fn resources(text: &mut String, statistics: &Statistics) {
    let (Some(first), Some(last)) = (statistics.samples.first(), statistics.samples.last()) else {
        return;
    };
    let life = statistics.longest_lived();
    let age = life.last().map_or(0, |sample| sample.age.as_secs());
    let (early, late) = quarter_medians(&life);
    let mb = |bytes: u64| bytes / 1_000_000;
    let _ = writeln!(
        text,
        "{:<44} {} min: {} MB and {} fds in its 2nd quarter, {} MB and {} fds in its last",
        "longest-lived operator",
        age / 60,
        mb(early.resident),
        early.descriptors,
        mb(late.resident),
        late.descriptors
    );
    let _ = writeln!(text, "{:<44} {:>10} {:>10} {:>10}", "", "start", "end", "peak");
    let all = &statistics.samples;
    let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
    let mut row = |what: &str, of: &dyn Fn(&Sample) -> u64| {
        let peak = all.iter().map(of).max().unwrap_or(0);
        let _ = writeln!(text, "  {what:<42} {:>10} {:>10} {peak:>10}", of(first), of(last));
    };
    row("operator's memory, MB", &|s| mb(s.resident));
    row("  its peak between samples", &|s| mb(s.peak));
    row("operator's file descriptors", &|s| s.descriptors);
    row("operator's threads", &|s| s.threads);
    row("operator's connections to PostgreSQL", &|s| {
        unsigned(s.connections)
    });
    row("database, MB", &|s| mb(unsigned(s.database)));
    row("  of which change rows (not pruned)", &|s| {
        mb(unsigned(s.changes))
    });
    row("log rows (not pruned)", &|s| unsigned(s.logs));
    row("TaranaSync objects", &|s| s.syncs as u64);
    row("Events (deleted after an hour)", &|s| s.events as u64);
    row("soak test with the simulator, MB", &|s| mb(s.own_resident));
    series(text, all);
}

/// A table of evenly spaced samples.
fn series(text: &mut String, samples: &[Sample]) {
    let _ = writeln!(
        text,
        "  {:>7} {:>9} {:>9} {:>6} {:>5} {:>8} {:>7}",
        "minute", "pid", "age", "MB", "fds", "threads", "pg"
    );
    let shown = samples.len().min(LINES);
    for at in 0..shown {
        let at = if shown > 1 {
            at * (samples.len() - 1) / (shown - 1)
        } else {
            0
        };
        let Some(s) = samples.get(at) else { continue };
        let _ = writeln!(
            text,
            "  {:>7.1} {:>9} {:>7} s {:>6} {:>5} {:>8} {:>7}",
            s.at.as_secs_f64() / 60.0,
            s.pid,
            s.age.as_secs(),
            s.resident / 1_000_000,
            s.descriptors,
            s.threads,
            s.connections
        );
    }
}

/// All samples as CSV.
pub(super) fn csv(statistics: &Statistics) -> String {
    let mut text = "seconds,pid,age,resident,highest,descriptors,threads,connections,database,changes,logs,syncs,events,own\n".to_owned();
    for s in &statistics.samples {
        let fields = [
            s.at.as_secs(),
            s.pid.into(),
            s.age.as_secs(),
            s.resident,
            s.peak,
            s.descriptors,
            s.threads,
            u64::try_from(s.connections).unwrap_or(0),
            u64::try_from(s.database).unwrap_or(0),
            u64::try_from(s.changes).unwrap_or(0),
            u64::try_from(s.logs).unwrap_or(0),
            s.syncs as u64,
            s.events as u64,
            s.own_resident,
        ];
        text += &(fields.map(|field| field.to_string()).join(",") + "\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn statistics(grows: u64) -> Statistics {
        let samples = (0..200).map(|at| Sample {
            at: Duration::from_secs(10 * at),
            pid: 7,
            age: Duration::from_secs(10 * at),
            resident: 90_000_000 + grows * at,
            descriptors: 20,
            ..Sample::default()
        });
        Statistics {
            samples: samples.collect(),
            outcomes: BTreeMap::from([("Completed".to_owned(), 3)]),
            ..Statistics::default()
        }
    }

    #[test]
    fn growing_memory_is_a_leak() {
        assert_eq!(leak(&statistics(0)), None);
        assert_eq!(leak(&statistics(50_000)), None, "a few megabytes in half an hour");
        assert!(leak(&statistics(1_000_000)).unwrap().contains("memory went from"));
        let mut short = statistics(1_000_000);
        short.samples.truncate(30);
        assert_eq!(leak(&short), None, "too short to judge");
    }

    #[test]
    fn the_report_is_aligned_and_lists_violations() {
        let mut statistics = statistics(0);
        statistics.add_violation(Duration::from_secs(61), "run-00001", "it hangs".to_owned());
        let plan = Plan {
            duration: Duration::from_mins(1),
            runs: None,
            devices: 5,
            seed: 42,
            program: std::path::PathBuf::new(),
            folder: std::path::PathBuf::new(),
            pace: super::super::plan::Pace::SHORT,
        };
        let text = report(&plan, "a machine", Duration::from_secs(62), &statistics);
        assert!(text.contains("  1 min 01 s run-00001: it hangs"), "{text}");
        assert!(text.contains(&format!("{:<44} 42", "seed")));
        assert_eq!(csv(&statistics).lines().count(), 201);
    }
}
