//! Pure: the report, as plain text to be pasted.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::board::{Board, Sample};
use super::plan::Plan;

const MIB: u64 = 1 << 20;
/// A process has to live so long before its memory is judged.
const JUDGED: Duration = Duration::from_mins(10);
/// What may be there more at the end of its life than at the beginning: a quarter, and this.
const SLACK: u64 = 12 * MIB;
const FEW: u64 = 8;
/// Lines of the table of samples.
const LINES: usize = 13;

/// What a stretch of a process's life holds, at the median.
struct Stretch {
    resident: u64,
    descriptors: u64,
}

/// What grew without end, if anything did.
pub(super) fn leak(board: &Board) -> Option<String> {
    let life = board.longest_lived();
    let age = life.last().map_or(Duration::ZERO, |sample| sample.age);
    if age < JUDGED {
        return None;
    }
    let (early, late) = halves(&life);
    let memory = late.resident > early.resident + early.resident / 4 + SLACK;
    let descriptors = late.descriptors > early.descriptors + FEW;
    (memory || descriptors).then(|| {
        format!(
            "the operator's memory went from {} to {} MB and its descriptors from {} to {} while it lived",
            early.resident / 1_000_000,
            late.resident / 1_000_000,
            early.descriptors,
            late.descriptors
        )
    })
}

/// The second and the last quarter of a life: the first one is for warming up.
fn halves(life: &[Sample]) -> (Stretch, Stretch) {
    let quarter = life.len() / 4;
    let of = |samples: &[Sample]| Stretch {
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

/// One line for the terminal.
pub(super) fn progress(at: Duration, board: &Board) -> String {
    let last = board.samples.last().copied().unwrap_or_default();
    let completed = board.ends.get("Completed").copied().unwrap_or(0);
    format!(
        "{:>4} min  {:>5} runs ({completed} completed)  {:>5} faults  {:>3} blows  {:>4} MB  {:>3} fds  {:>11} rows compared  {} violations",
        at.as_secs() / 60,
        board.runs,
        board.all_faults(),
        board.all_blows(),
        last.resident / 1_000_000,
        last.descriptors,
        board.compared,
        board.violations.len()
    )
}

/// The whole of it.
pub(super) fn report(plan: &Plan, machine: &str, took: Duration, board: &Board) -> String {
    let mut text = String::new();
    line(&mut text, "soak of", minutes(took));
    line(&mut text, "machine", machine);
    line(&mut text, "seed", plan.seed);
    line(&mut text, "devices at the start", plan.devices);
    runs(&mut text, board);
    troubles(&mut text, board);
    holdings(&mut text, board);
    line(&mut text, "rows compared with the truth", board.compared);
    line(
        &mut text,
        "  of them told oddly, and as they may be",
        board.settled,
    );
    line(&mut text, "  of them differing", board.differing);
    line(&mut text, "violations", board.violations.len());
    for violation in &board.violations {
        let (at, run, what) = (minutes(violation.at), &violation.run, &violation.what);
        let _ = writeln!(text, "  {at} {run}: {what}");
    }
    text
}

fn runs(text: &mut String, board: &Board) {
    let (runs, batches, dry) = (board.runs, board.batches, board.dry_runs);
    line(
        text,
        "runs",
        format!("{runs} in {batches} batches, {dry} of them dry"),
    );
    list(text, board.ends.iter());
    line(
        text,
        "completed runs, median",
        format!("{:.2} s", board.median().as_secs_f64()),
    );
    let (slowest, run) = &board.slowest;
    line(
        text,
        "slowest run, retries and waiting included",
        format!("{:.1} s ({run})", slowest.as_secs_f64()),
    );
    line(
        text,
        "what users did on the way",
        board.meddled.values().sum::<usize>(),
    );
    list(text, board.meddled.iter());
    line(text, "fleet changed in the middle of a run", board.midway);
}

fn troubles(text: &mut String, board: &Board) {
    line(text, "the vendor's faults that hit", board.all_faults());
    list(text, board.faults.iter());
    line(text, "what the world did", board.all_blows());
    list(text, board.blows.iter());
    let (processes, takeovers) = (board.processes, board.takeovers);
    line(
        text,
        "operators started",
        format!("{processes} processes, {takeovers} takeovers"),
    );
    let fell = board.fell.iter();
    list(
        text,
        fell.map(|(how, times)| (format!("ended by itself: {how}"), times)),
    );
    line(text, "passwords changed to let it log in again", board.rotations);
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

/// Memory, descriptors and sizes at the start, at the end, at their highest; and the life of the process that lived longest.
fn holdings(text: &mut String, board: &Board) {
    let (Some(first), Some(last)) = (board.samples.first(), board.samples.last()) else {
        return;
    };
    let life = board.longest_lived();
    let age = life.last().map_or(0, |sample| sample.age.as_secs());
    let (early, late) = halves(&life);
    let mb = |bytes: u64| bytes / 1_000_000;
    let _ = writeln!(
        text,
        "{:<44} {} min: {} MB and {} fds early, {} MB and {} fds late",
        "longest-lived operator",
        age / 60,
        mb(early.resident),
        early.descriptors,
        mb(late.resident),
        late.descriptors
    );
    let _ = writeln!(text, "{:<44} {:>10} {:>10} {:>10}", "", "start", "end", "highest");
    let all = &board.samples;
    let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
    let mut row = |what: &str, of: &dyn Fn(&Sample) -> u64| {
        let highest = all.iter().map(of).max().unwrap_or(0);
        let _ = writeln!(
            text,
            "  {what:<42} {:>10} {:>10} {highest:>10}",
            of(first),
            of(last)
        );
    };
    row("operator's memory, MB", &|s| mb(s.resident));
    row("  at its highest between samples", &|s| mb(s.highest));
    row("operator's descriptors", &|s| s.descriptors);
    row("operator's threads", &|s| s.threads);
    row("its connections to PostgreSQL", &|s| unsigned(s.connections));
    row("database, MB", &|s| mb(unsigned(s.database)));
    row("  of it change rows (none are pruned)", &|s| {
        mb(unsigned(s.changes))
    });
    row("log rows (none are pruned)", &|s| unsigned(s.logs));
    row("TaranaSync objects", &|s| s.syncs as u64);
    row("Events (gone after an hour)", &|s| s.events as u64);
    row("this program with the simulator, MB", &|s| mb(s.own));
    series(text, all);
}

/// A dozen looks, evenly spread.
fn series(text: &mut String, samples: &[Sample]) {
    let _ = writeln!(
        text,
        "  {:>7} {:>9} {:>9} {:>6} {:>5} {:>8} {:>7}",
        "minute", "pid", "its age", "MB", "fds", "threads", "pg"
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

/// All samples, for a spreadsheet.
pub(super) fn csv(board: &Board) -> String {
    let mut text = "seconds,pid,age,resident,highest,descriptors,threads,connections,database,changes,logs,syncs,events,own\n".to_owned();
    for s in &board.samples {
        let fields = [
            s.at.as_secs(),
            s.pid.into(),
            s.age.as_secs(),
            s.resident,
            s.highest,
            s.descriptors,
            s.threads,
            u64::try_from(s.connections).unwrap_or(0),
            u64::try_from(s.database).unwrap_or(0),
            u64::try_from(s.changes).unwrap_or(0),
            u64::try_from(s.logs).unwrap_or(0),
            s.syncs as u64,
            s.events as u64,
            s.own,
        ];
        text += &(fields.map(|field| field.to_string()).join(",") + "\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn board(grows: u64) -> Board {
        let samples = (0..200).map(|at| Sample {
            at: Duration::from_secs(10 * at),
            pid: 7,
            age: Duration::from_secs(10 * at),
            resident: 90_000_000 + grows * at,
            descriptors: 20,
            ..Sample::default()
        });
        Board {
            samples: samples.collect(),
            ends: BTreeMap::from([("Completed".to_owned(), 3)]),
            ..Board::default()
        }
    }

    #[test]
    fn what_grows_is_told() {
        assert_eq!(leak(&board(0)), None);
        assert_eq!(leak(&board(50_000)), None, "a few megabytes in half an hour");
        assert!(leak(&board(1_000_000)).unwrap().contains("memory went from"));
        let mut short = board(1_000_000);
        short.samples.truncate(30);
        assert_eq!(leak(&short), None, "too short to tell");
    }

    #[test]
    fn a_report_is_aligned_and_tells_violations() {
        let mut board = board(0);
        board.violate(Duration::from_secs(61), "run-00001", "it hangs".to_owned());
        let plan = Plan {
            duration: Duration::from_mins(1),
            runs: None,
            devices: 5,
            seed: 42,
            program: std::path::PathBuf::new(),
            folder: std::path::PathBuf::new(),
            pace: super::super::plan::Pace::SHORT,
        };
        let text = report(&plan, "a machine", Duration::from_secs(62), &board);
        assert!(text.contains("  1 min 01 s run-00001: it hangs"), "{text}");
        assert!(text.contains(&format!("{:<44} 42", "seed")));
        assert_eq!(csv(&board).lines().count(), 201);
    }
}
